"""What can be said to each command: options with the same name mean the same everywhere."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser

from imprior import __version__

OPTIONS: dict[str, dict[str, Any]] = {
    "files": {
        "nargs": "+",
        "type": str,
        "metavar": "FILE",
        "help": "images: files, globs or folders",
    },
    "--model": {"required": True, "help": "a folder, a bundled name or a hub id (owner/name)"},
    "--out": {"required": True, "metavar": "PATH"},
    "--gray": {"action": "store_true", "help": "make colour images grey"},
    "--reduce-bits": {"action": "store_true", "help": "drop lowest bits that the model lacks"},
    "--seed": {"type": int, "default": 0, "metavar": "N", "help": "of all that is random"},
    "--temperature": {
        "type": float,
        "default": 1.0,
        "metavar": "T",
        "help": "1 draws from the model, less what is likelier",
    },
    "--ensemble": {
        "action": "store_true",
        "help": "the mean over all 8 mirrored, turned and transposed views of an image",
    },
    "--device": {"default": "cpu", "help": "where to compute: cpu, cuda, ..."},
    "--tile": {"type": int, "default": 1024, "metavar": "N", "help": "side of tiles (1024)"},
    "--batch-size": {"type": int, "default": 1, "metavar": "N", "help": "images at a time"},
    "--json": {"metavar": "PATH", "help": "write all figures there; - is standard output"},
    "--overwrite": {"action": "store_true", "help": "replace outputs that are there"},
    "--quiet": {"action": "store_true", "help": "print errors only"},
}


class Parser(ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Says what is wrong and exits with status 2."""
        self.exit(2, f"imprior: {' '.join(message.split())} (--help tells more)\n")


def overview() -> argparse.ArgumentParser:
    """The parser of a command line that names no command: it helps, or complains."""
    parser = argparse.ArgumentParser(
        prog="imprior",
        description="Learn the probability of your images, then evaluate, sample and compress "
        "them with it.",
        epilog="imprior COMMAND --help tells what a command takes.",
    )
    parser.add_argument("--version", action="version", version=f"imprior {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (about, _) in COMMANDS.items():
        commands.add_parser(name, help=about)
    return parser


def parser_of(name: str, words: Sequence[str]) -> Parser:
    """The parser of a command, given all that it will parse."""
    about, add_options = COMMANDS[name]
    parser = Parser(prog=f"imprior {name}", description=about)
    add_options(parser, words)
    return parser


def _add(parser: ArgumentParser, *names: str, **changes: Any) -> None:
    """Adds options of `OPTIONS`; `changes` are for the last of them."""
    for name in names:
        parser.add_argument(name, **OPTIONS[name] | (changes if name == names[-1] else {}))


def _train(parser: ArgumentParser, words: Sequence[str]) -> None:
    from imprior.data.named import NAMED
    from imprior.presets import PRESETS

    parser.add_argument("--preset", choices=list(PRESETS), required=True, help="what to train")
    data = "images: files, globs or folders; .parquet or .tar shards; hub:OWNER/NAME[:SPLIT]; or "
    parser.add_argument("--data", **OPTIONS["files"] | {"help": data + ", ".join(NAMED)})
    _add(parser, "--out", help="the model folder to write")
    parser.add_argument(
        "--restart", action="store_true", help="do not go on from an interrupted run"
    )
    start = "a trained model to go on from: a folder, a bundled name or a hub id"
    parser.add_argument("--start", metavar="MODEL", help=start)
    level = "train this part only, of a model made of parts; without it all are joined"
    parser.add_argument("--level", metavar="NAME", help=level)
    _add(parser, "--gray", "--reduce-bits", "--seed", "--device", "--overwrite", "--quiet")
    parser.add_argument("--settings", action="config", help="YAML, as --print_config writes it")
    preset = PRESETS.get(_preset_name(words))
    for name in ("config", "training") if preset else ():
        default = getattr(preset, name)
        parser.add_argument(f"--{name}", type=type(default))
        parser.set_defaults({name: dataclasses.asdict(default)})


def _preset_name(words: Sequence[str]) -> str:
    """The preset that arguments of `train` name: it decides what else they may be."""
    early = argparse.ArgumentParser(prog="imprior train", add_help=False, allow_abbrev=False)
    early.add_argument("--preset")
    early.add_argument("--settings", type=Path)
    known, _ = early.parse_known_args(words)
    if known.preset is not None or known.settings is None or not known.settings.is_file():
        return known.preset or ""
    try:
        settings = yaml.safe_load(known.settings.read_text())
    except yaml.YAMLError:
        return ""  # the parser proper says what is wrong with it
    return str(settings.get("preset")) if isinstance(settings, dict) else ""


def _evaluate(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "files", "--model", "--gray", "--reduce-bits")
    names = "png, webp, jpegls, jpeg2000, jxl (effort 7), jxl9 (effort 9)"
    against = f"measure also {names}; for a denoiser bm3d or other denoisers"
    parser.add_argument("--against", default="", metavar="NAME,...", help=against)
    _add(parser, "--ensemble")
    parser.add_argument("--map", metavar="DIR", help="write surprise maps there")
    half = "networks compute in bfloat16: faster on processors that have it"
    parser.add_argument("--half", action="store_true", help=half)
    parser.add_argument("--sigmas", metavar="S,...", help="noise for a denoiser, /255 (15,25,50)")
    curves = "of a denoiser: write a page there, index.html, with the curves"
    _add(parser, "--tile", "--seed", "--out", required=False, metavar="DIR", help=curves)
    _add(parser, "--device", "--batch-size", "--json", "--quiet")


def _sample(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "--model")
    parser.add_argument("--size", default="64x64", metavar="HxW", help="height and width in pixels")
    parser.add_argument("--num", type=int, default=16, metavar="N", help="how many images")
    _add(parser, "--temperature")
    _add(parser, "--out", metavar="DIR", help="the folder for the images and a sheet of them all")
    _add(parser, "--seed", "--device", "--json", "--overwrite", "--quiet")


def size(text: str) -> tuple[int, int]:
    """What `--size` says.

    Example:
        >>> size("64x48")
        (64, 48)
    """
    height, cross, width = text.partition("x")
    if not (cross and height.isdecimal() and width.isdecimal()):
        raise ValueError(f"--size {text} is not HEIGHTxWIDTH, 64x48 for example")
    return int(height), int(width)


def _inpaint(parser: ArgumentParser, words: Sequence[str]) -> None:
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    _add(parser, "--model")
    missing = parser.add_mutually_exclusive_group(required=True)
    missing.add_argument("--mask", metavar="FILE", help="an image: fill where it is not black")
    missing.add_argument("--box", metavar="X,Y,W,H", help="fill a rectangle: left, top, size")
    share = "fill all pixels but a random share: 0.1 keeps one in ten"
    missing.add_argument("--known", type=float, metavar="SHARE", help=share)
    _add(parser, "--out", metavar="DIR", help="the folder for the fillings and a report")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="how many fillings")
    methods = "draw given all around, climb to the likeliest, or draw once; of a denoiser ascent"
    names = ["gibbs", "map", "draw", "ascent"]
    parser.add_argument("--method", choices=names, help=f"{methods} (gibbs, or ascent)")
    parser.add_argument("--epochs", type=int, metavar="N", help="of gibbs (100) or map (50)")
    parser.add_argument("--flip", choices=["none", "horizontal", "vertical", "both"],
                        default="none", help="of gibbs: the texture is symmetric")  # fmt: skip
    intact = "the image is intact: PSNR and SSIM of what was filled in are reported"
    parser.add_argument("--compare", action="store_true", help=intact)
    _add(parser, "--gray", "--reduce-bits", "--seed", "--device")
    _add(parser, "--json", "--overwrite", "--quiet")


def _upscale(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "files", "--model")
    times = "how many times as high and wide (2)"
    parser.add_argument("--scale", type=int, choices=[2, 4, 8], default=2, help=times)
    several = "how many of each image; of several also their mean and standard deviation"
    parser.add_argument("--samples", type=int, default=1, metavar="N", help=several)
    mean = "of a denoiser: write also the least-squares answer (alone with --samples 0)"
    parser.add_argument("--mean", action="store_true", help=mean)
    small = "first make images smaller by the scale; PSNR and SSIM to them are reported"
    parser.add_argument("--shrink", action="store_true", help=small)
    _add(parser, "--temperature")
    _add(parser, "--out", help="a folder; or the name of the output, if there is one input")
    page = "write also a page, index.html, that shows before, after and where samples differ"
    parser.add_argument("--report", action="store_true", help=page)
    _add(parser, "--gray", "--reduce-bits", "--seed", "--device")
    _add(parser, "--json", "--overwrite", "--quiet")


def _denoise(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "files", "--model")
    _add(parser, "--out", help="a folder; or the name of the output, if there is one input")
    noise = "first add noise of S/255 of the range, not clipped; PSNR and SSIM are reported"
    parser.add_argument("--sigma", type=float, metavar="S", help=noise)
    page = "write also a page, index.html, that shows before, after and what was removed"
    parser.add_argument("--report", action="store_true", help=page)
    _add(parser, "--ensemble", "--tile", "--seed", "--device")
    _add(parser, "--json", "--overwrite", "--quiet")


def _texture(parser: ArgumentParser, words: Sequence[str]) -> None:
    parser.add_argument("image", metavar="IMAGE", help="an image file, of one texture all over")
    _add(parser, "--out", metavar="DIR", help="the folder for models, textures and a report")
    parser.add_argument("--size", default="512x512", metavar="HxW", help="of the new textures")
    trained = "what to train, may be repeated (mcgsm-texture and ride-texture, or for RGB theirs)"
    parser.add_argument("--preset", action="append", metavar="NAME", help=trained)
    parser.add_argument("--samples", type=int, default=2, metavar="N", help="textures a model")
    _add(parser, "--temperature")
    _add(parser, "--gray", "--seed", "--device", "--json", "--overwrite", "--quiet")


def _compress(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "files", "--model")
    _add(parser, "--out", help="a folder; or the name of the output, if there is one input")
    _add(parser, "--json", "--overwrite", "--quiet")


def _decompress(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "files", "--model", "--out", help="a folder, or the name of a single output")
    formats = ["png", "tiff", "webp", "npy"]
    parser.add_argument("--format", choices=formats, default="png", help="of the outputs")
    _add(parser, "--json", "--overwrite", "--quiet")


def _info(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(parser, "--json")
    _add(parser, "files", help="images, model folders, bundled names: what they are")


def _demo(parser: ArgumentParser, words: Sequence[str]) -> None:
    _add(
        parser,
        "--out",
        required=False,
        default="imprior-demo",
        help="the folder to write (imprior-demo)",
    )
    parser.add_argument("--quick", action="store_true", help="a smaller model, in seconds")
    _add(parser, "--seed", "--quiet")


COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser, Sequence[str]], None]]] = {
    "train": ("Learn a model from images.", _train),
    "evaluate": ("Tell how many bits images take under a model, or how it denoises.", _evaluate),
    "sample": ("Draw images from a model.", _sample),
    "inpaint": ("Fill a hole in an image, several times if asked to.", _inpaint),
    "denoise": ("Remove noise of unknown level from images.", _denoise),
    "upscale": ("Make images 2, 4 or 8 times as large, several times if asked to.", _upscale),
    "texture": ("Learn one texture in minutes, then draw more of its kind.", _texture),
    "compress": ("Make images smaller without loss.", _compress),
    "decompress": ("Restore compressed images, bit for bit.", _decompress),
    "info": ("Tell what images and models are.", _info),
    "demo": ("Learn from photographs, then show in a report what was learnt.", _demo),
}
