"""The command line: one sub-command a task; each calls and prints.

Whatever a task needs is imported when its command runs, so that `imprior --help` is instant.
Exit status: 0 done, 1 some inputs failed (each named), 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imprior.arguments import overview, parser_of, size

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from imprior.base import ImageModel
    from imprior.tasks.compress import Compressed
    from imprior.tasks.files import Failure, Run
    from imprior.train.progress import Progress as TrainingProgress


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    command, *words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if command not in COMMANDS:
        overview().parse_args([command])  # exits
    parser = parser_of(command, words)
    args = parser.parse_args(words)
    try:
        return COMMANDS[command](parser.instantiate(args))
    except KeyboardInterrupt as error:
        kept = f"; {error}" if str(error) else ""
        goes_on = command in ("train", "inpaint", "texture")
        _complain(f"interrupted{kept}" + "; the same command goes on from there" * goes_on)
        return 130
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _complain(f"{error.strerror or error}{where}")
        return 1
    except (ValueError, MemoryError) as error:
        _complain(str(error) or type(error).__name__)
        return 2


def train(args: Namespace) -> int:
    """Learns a model from images."""
    from imprior.checkpoint import CONFIG
    from imprior.data.datasets import find_images
    from imprior.presets import PRESETS
    from imprior.train.training import train

    preset = PRESETS[args.preset]
    gray, reduce = args.gray or preset.data.gray, args.reduce_bits or preset.data.reduce_bits
    data = dataclasses.replace(preset.data, gray=gray, reduce_bits=reduce)
    preset = dataclasses.replace(preset, config=args.config, training=args.training, data=data)
    out = Path(args.out)
    if (out / CONFIG).exists() and not args.overwrite:
        raise ValueError(f"{out} holds a model already: choose another --out, or --overwrite")
    with _bar(args) as bar:
        how = {"seed": args.seed, "resume": not args.restart, "progress": partial(_show, args, bar)}
        train(preset, find_images(args.data), out, device=args.device, start=args.start, **how)
    _say(args, f"{out} is ready; imprior info {out} says what it is")
    return 0


def evaluate(args: Namespace) -> int:
    """Tells how many bits images take under a model and under codecs, and draws where."""
    from imprior.base import LikelihoodModel, require
    from imprior.inference.symmetry import Ensemble
    from imprior.report.figures import write_surprise_map
    from imprior.tasks import codecs
    from imprior.tasks import evaluate as task
    from imprior.tasks.files import Failure

    started = time.perf_counter()
    names = codecs.choose([name for name in args.against.split(",") if name])
    model = require(_load(args), LikelihoodModel, "evaluate")
    model = Ensemble(model) if args.ensemble else model
    options = {name: args[name] for name in ("gray", "reduce_bits", "batch_size", "device")}
    images: list[dict[str, Any]] = []
    failures: list[Failure] = []
    _say(args, "  ".join(f"{name:>8}" for name in ("model", *names)) + "  bits per value of")
    for result in task.evaluate(model, args.files, against=names, **options):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        if args.map is not None:
            write_surprise_map(Path(args.map), result)
        images.append(result.record())
        _say(args, _figures(result.bits_per_dim, result.codecs, names, result.path))
    total = task.total(images)
    if images:
        _say(args, _figures(total["bits_per_dim"], total["codecs"], names, "all"))
    record = {"model": args.model, "likelihood": model.likelihood, "ensemble": args.ensemble}
    record |= {"images": images, "total": total, "seconds": time.perf_counter() - started}
    return _finish(args, record, failures)


def _figures(model: float, codecs: Mapping[str, float], names: Sequence[str], what: str) -> str:
    from imprior.report.tables import number

    values = [model, *(codecs.get(name) for name in names)]
    return "  ".join(f"{number(value):>8}" for value in values) + f"  {what}"


def sample(args: Namespace) -> int:
    """Draws images: one file each, and a sheet of them all."""
    from imprior.base import Sampler, require
    from imprior.tasks.sample import sample_files

    model = require(_load(args), Sampler, "sample")
    options = {name: args[name] for name in ("seed", "temperature", "overwrite")}
    files = sample_files(model, Path(args.out), size(args.size), args.num, **options)
    done = [str(path) for path in _bar(args, files, total=args.num + 1)]
    _say(args, f"{done[-1]} shows all {args.num} images")
    said = {name: args[name] for name in ("model", "size", "seed", "temperature")}
    return _finish(args, said | {"files": done}, [])


def inpaint(args: Namespace) -> int:
    """Fills a hole in an image, several times if asked to."""
    from imprior.base import LikelihoodModel, require
    from imprior.report.inpainting import write_report
    from imprior.tasks.holes import read_with_hole
    from imprior.tasks.inpaint import Filling
    from imprior.tasks.inpaint_files import Progress, inpaint_files

    filling = Filling(args.method, args.epochs, flip=args.flip)
    model = require(_load(args), LikelihoodModel, "inpaint")
    how = {name: args[name] for name in ("mask", "box", "gray", "reduce_bits")}
    image, hole = read_with_hole(args.image, model, **how)
    with _bar(args) as bar:

        def show(at: Progress) -> None:
            bar.total, bar.n = at.num * (at.epochs + 1), at.sample * (at.epochs + 1) + at.epoch + 1
            rate = "" if at.acceptance is None else f", {at.acceptance:.1%} accepted"
            where = f"filling {at.sample + 1} of {at.num}, epoch {at.epoch} of {at.epochs}"
            kind = "log-density" if args.method == "map" else "log-probability"
            _tell(args, bar, f"{where}: {kind} {at.log_prob:.1f} nats{rate}")

        options = {"num": args.samples, "seed": args.seed, "overwrite": args.overwrite}
        options |= {"progress": show}
        result = inpaint_files(model, image, hole, Path(args.out), filling, **options)
    _say(args, f"{write_report(result, Path(args.out))} shows what was filled in")
    return _finish(args, {"model": args.model, **result.record()}, [])


def texture(args: Namespace) -> int:
    """Learns one texture and draws more of its kind."""
    from imprior.report.texture import write_report
    from imprior.tasks.texture import Wanted, read_texture
    from imprior.tasks.texture_files import synthesize

    wanted = Wanted(size(args.size), args.samples, args.seed, args.temperature)
    image, presets = read_texture(Path(args.image), args.preset, gray=args.gray)
    out, options = Path(args.out), {name: args[name] for name in ("device", "overwrite")}
    with _bar(args) as bar:
        show = partial(_show, args, bar)
        result = synthesize(image, presets, out, wanted, progress=show, **options)
    for name, bits in result.bits_per_dim().items():
        _say(args, f"{bits:.3f} bits per held-out value with {name}")
    _say(args, f"{write_report(result, out)} shows the texture beside what was drawn")
    return _finish(args, result.record(), [])


def compress(args: Namespace) -> int:
    """Makes images smaller without loss."""
    from imprior.tasks.compress import compress_files

    return _over_files(args, compress_files)


def decompress(args: Namespace) -> int:
    """Restores compressed images, bit for bit."""
    from imprior.tasks.compress import decompress_files

    return _over_files(args, partial(decompress_files, suffix=f".{args.format}"))


def _over_files(args: Namespace, work: Callable[..., Run[Compressed]]) -> int:
    from imprior.base import ExactModel, require
    from imprior.report import tables
    from imprior.tasks.compress import total

    model = require(_load(args), ExactModel, "compression")
    with _bar(args, unit="file") as bar:

        def show(done: int, total: int, path: Path) -> None:
            bar.total, bar.n = total, done
            bar.set_postfix_str(path.name)

        out = Path(args.out)
        run = work(model, args.files, out, overwrite=args.overwrite, progress=show)
    _say(args, "bits/value        size      time  file")
    for done in run.results:
        size, time = tables.size(done.bytes), tables.seconds(done.seconds)
        _say(args, f"{done.bits_per_dim:10.3f}  {size:>10}  {time:>8}  {done.path}")
    if run.skipped:
        _say(args, f"{len(run.skipped)} outputs were there already (--overwrite replaces them)")
    files = [done.record() for done in run.results]
    return _finish(args, {"files": files, "total": total(run.results)}, run.failures)


def info(args: Namespace) -> int:
    """Tells what images and models are."""
    from imprior.report.tables import description
    from imprior.tasks.files import Failure
    from imprior.tasks.info import describe

    found: list[dict[str, Any]] = []
    failures: list[Failure] = []
    for record in describe(args.files):
        if isinstance(record, Failure):
            failures.append(record)
        else:
            found.append(record)
            _say(args, description(record))
    return _finish(args, {"found": found}, failures)


def demo(args: Namespace) -> int:
    """Learns from photographs, then shows in a report what was learnt."""
    from imprior.report.demo import demo

    with _bar(args, bar_format="{desc}  {elapsed}") as bar:
        tell = partial(_tell, args, bar)
        page = demo(Path(args.out), quick=args.quick, seed=args.seed, progress=tell)
    _say(args, f"{page} is ready: open it in a browser")
    return 0


COMMANDS: dict[str, Callable[[Namespace], int]] = {
    command.__name__: command
    for command in (train, evaluate, sample, inpaint, texture, compress, decompress, info, demo)
}


def _load(args: Namespace) -> ImageModel:
    from imprior import checkpoint

    model, device = checkpoint.load(args.model), args.get("device", "cpu")
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # as torch says that there is no such device
        raise ValueError(f"cannot compute on {device!r}: {str(error).splitlines()[0]}") from None


def _bar(args: Namespace, *steps: Any, **options: Any) -> Any:
    """A progress bar, where someone can see it."""
    from tqdm import tqdm

    return tqdm(*steps, disable=True if args.quiet else None, leave=False, **options)


def _show(args: Namespace, bar: Any, at: TrainingProgress) -> None:
    """Shows how far a training is."""
    bar.total, bar.n = at.total, at.step
    measured = f": {at.bits:.4f} bits/value" * math.isfinite(at.bits)
    _tell(args, bar, at.stage + measured)


def _tell(args: Namespace, bar: Any, text: str) -> None:
    """Writes beside the bar; where nobody would see a bar, in a log for example, a line."""
    if bar.disable:
        _say(args, text)
    else:
        bar.set_description_str(text)


def _finish(args: Namespace, record: dict[str, Any], failures: Sequence[Failure]) -> int:
    """Writes the figures and names what failed; returns the exit status."""
    from imprior.data.files import replace_file

    record = record | {"failures": [dataclasses.asdict(failure) for failure in failures]}
    if args.json == "-":
        print(json.dumps(record, indent=2))
    elif args.json is not None:
        replace_file(Path(args.json), json.dumps(record, indent=2).encode())
    for failure in failures:
        named = failure.reason.startswith(failure.path)
        _complain(failure.reason if named else f"{failure.path}: {failure.reason}")
    return 1 if failures else 0


def _say(args: Namespace, text: str) -> None:
    """Prints for people; out of the way where standard output is for a program."""
    if not args.get("quiet"):
        print(text, file=sys.stderr if args.get("json") == "-" else sys.stdout, flush=True)


def _complain(text: str) -> None:
    print(f"imprior: {' '.join(text.split())}", file=sys.stderr)
