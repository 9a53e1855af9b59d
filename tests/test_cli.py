"""The command line keeps its promises: exit status, one clear line, nothing lost."""

from __future__ import annotations

import builtins
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from imprior import arguments, checkpoint, cli
from imprior.cli import terminal
from imprior.data.images import Image, read, write
from imprior.inference.symmetry import Ensemble
from imprior.provenance import PROVENANCE
from tests.blocks import Blocks, BlocksConfig
from tests.toys import Toy, ToyConfig

Run = Callable[..., tuple[int, str, str]]

SMALL = (
    "--preset=mcgsm-gray-tiny",
    "--config.num_components=2",
    "--training.drawing.pixels=3000",
    "--training.validation_pixels=500",
    '--training.stages=[{"method": "adam", "target": "mass", "steps": 40, "batch": 256, '
    '"check_every": 10}]',
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command: its exit status and what it printed; errors are lines without a trace."""
    from imprior.models import MODELS

    monkeypatch.setattr(checkpoint, "MODELS", (*MODELS, Toy, Blocks))

    def run_command(*words: object) -> tuple[int, str, str]:
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        assert all(line.startswith("imprior: ") for line in err.splitlines()), err
        assert (status != 0) == bool(err), (status, err)
        return status, out, err

    return run_command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_toy(tmp_path / "model")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two good grey pictures, one in a sub-folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(("a.png", "sub/b.png")):
        write(folder / name, Image(noise(1, 10, 12, seed=i), bits=8))
    return folder


def save_toy(folder: Path, channels: int = 1, bits: int = 8) -> Path:
    toy = Toy(ToyConfig(channels=channels, bits=bits))
    return checkpoint.save(toy, folder, dict.fromkeys(PROVENANCE))


def noise(*shape: int, bits: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(seed))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- help and wrong use


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["train", "--help"],
                                   ["evaluate", "--help"], ["sample", "--help"],
                                   ["compress", "--help"], ["decompress", "--help"],
                                   ["info", "--help"], ["demo", "--help"],
                                   ["inpaint", "--help"], ["texture", "--help"],
                                   ["upscale", "--help"]])  # fmt: skip
def test_help_is_everywhere(run: Run, words: list[str]) -> None:
    status, out, _ = run(*words)
    assert status == 0 and "imprior" in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["evaluate", "a.png"], "model"),
        (["evaluate", "--model", "m"], "files"),
        (["evaluate", "a.png", "--model", "m", "--nonsense"], "--nonsense"),
        (["sample", "--model", "m", "--out", "o", "--num", "many"], "many"),
        (["train", "--preset", "nonsense", "--data", "d", "--out", "o"], "nonsense"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--config.nonsense=1"], "nonsense"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--config.bits=many"], "many"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--config.bits=17"], "17"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--settings=none.yaml"], "none.yaml"),
        (["train", *SMALL, "--data", "nowhere", "--out", "o"], "nowhere"),
        (["compress", "a.png", "--model", "nonsense", "--out", "o"], "nonsense"),
        (["inpaint", "a.png", "--model", "m", "--out", "o"], "--mask"),
        (["inpaint", "a.png", "--model", "m", "--out", "o", "--mask=m.png", "--box=1"], "--box"),
        (["inpaint", "a.png", "--model", "m", "--out", "o", "--box=1", "--method=magic"], "magic"),
        (["upscale", "a.png", "--model", "m"], "out"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--scale=3"], "3"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--samples=0"], "at least 1, got 0"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--seed=-1"], "seed"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--temperature=-1"], "temperature"),
        (["texture", "--out", "o"], "image"),
        (["texture", "nowhere.png", "--out", "o"], "nowhere.png"),
        (["texture", "a.png", "--out", "o", "--size=63x512"], "63"),
        (["texture", "a.png", "--out", "o", "--size=large"], "large"),
    ],
)
def test_wrong_use_is_status_2(run: Run, words: list[str], named: str) -> None:
    status, out, err = run(*words)
    assert status == 2 and not out
    assert named in err and len(err.splitlines()) == 1


def test_every_command_has_its_arguments() -> None:
    assert cli.COMMANDS.keys() == arguments.COMMANDS.keys()


def test_unknown_command_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["nonsense"])
    assert end.value.code == 2 and "invalid choice: 'nonsense'" in capsys.readouterr().err


def test_wrong_values_are_status_2(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    for words in (
        ("evaluate", photos, "--model", model, "--against", "png,gif"),
        ("evaluate", photos, "--model", model, "--device", "nonsense"),
        ("evaluate", photos, "--model", model, "--batch-size", 0),
        ("sample", "--model", model, "--out", tmp_path / "s", "--size", "7"),
        ("sample", "--model", model, "--out", tmp_path / "s", "--num", 0),
        ("sample", "--model", model, "--out", tmp_path / "s", "--seed", -1),
        ("sample", "--model", model, "--out", tmp_path / "s", "--temperature", -1),
    ):
        status, _, err = run(*words)
        assert status == 2 and len(err.splitlines()) == 1, words
    assert not (tmp_path / "s").exists()


def test_installed_command_runs() -> None:
    """In a process of its own, as a user's shell would."""
    words = [sys.executable, "-m", "imprior", "info", "nowhere.png"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "imprior: nowhere.png: there is no such file or folder\n"


# -- what the commands do


def test_evaluate_prints_and_writes_the_figures(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("evaluate", photos, "--model", model, "--against", "png,jxl")
    status, out, _ = run(*words, "--json", tmp_path / "f.json", "--map", tmp_path / "maps")
    assert status == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [Path(image["path"]).name for image in figures["images"]] == ["a.png", "b.png"]
    assert list(figures["total"]["codecs"]) == ["png", "jxl"] and figures["failures"] == []
    assert figures["likelihood"] == "mass" and figures["seconds"] > 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:3] == ["model", "png", "jxl"]
    assert lines[-1] == [
        f"{figures['total']['bits_per_dim']:.3f}",
        *(f"{value:.3f}" for value in figures["total"]["codecs"].values()),
        "all",
    ]
    assert sorted(tree(tmp_path / "maps")) == ["a.png.png", "sub/b.png.png"]


def test_evaluate_averages_over_symmetries(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("evaluate", photos, "--model", model, "--ensemble", "--json", tmp_path / "f.json")
    assert run(*words)[0] == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    ensemble = Ensemble(Toy(ToyConfig()))
    for image in figures["images"]:
        expected = ensemble.bits_per_dim(read(image["path"]).pixels[None]).item()
        assert image["bits_per_dim"] == pytest.approx(expected, abs=1e-9)
    assert figures["ensemble"] and figures["likelihood"] == "mass"
    status, _, err = run(*words, "--map", tmp_path / "maps")
    assert status == 2 and "only an exact model has surprise maps" in err


def test_json_on_standard_output_is_alone_there(
    capsys: pytest.CaptureFixture[str], run: Run, model: Path, photos: Path
) -> None:
    assert cli.main(["info", str(photos), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["found"]) == 2 and "12 x 10 pixels" in err


def test_quiet_is_quiet(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    assert run("evaluate", photos, "--model", model, "--quiet") == (0, "", "")
    assert run("sample", "--model", model, "--out", tmp_path / "s", "--quiet") == (0, "", "")


def test_compress_and_decompress(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    options = ("--model", model, "--json", tmp_path / "f.json")
    status, out, _ = run("compress", photos, *options, "--out", packed)
    assert status == 0 and len(out.splitlines()) >= 2
    assert sorted(tree(packed)) == ["a.imp", "sub/b.imp"]
    total = json.loads((tmp_path / "f.json").read_text())["total"]
    assert total["files"] == 2 and total["bytes"] == sum(map(len, tree(packed).values()))
    assert run("decompress", packed, *options, "--out", unpacked)[0] == 0
    for name in ("a.png", "sub/b.png"):
        assert torch.equal(read(unpacked / name).pixels, read(photos / name).pixels)
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*.imp")}
    status, out, _ = run("compress", photos, *options, "--out", packed)
    assert status == 0 and "2 outputs were there already" in out
    assert before == {path: path.stat().st_mtime_ns for path in packed.rglob("*.imp")}


def test_sample_does_not_replace_unasked(run: Run, model: Path, tmp_path: Path) -> None:
    words = ("sample", "--model", model, "--out", tmp_path / "s", "--size", "5x7", "--num", 3)
    assert run(*words)[0] == 0
    first = tree(tmp_path / "s")
    assert sorted(first) == ["000.png", "001.png", "002.png", "sheet.png"]
    assert read(tmp_path / "s" / "000.png").pixels.shape == (1, 5, 7)
    assert run(*words)[0] == 2
    assert run(*words, "--overwrite")[0] == 0
    assert tree(tmp_path / "s") == first


def test_info_of_images_and_models(run: Run, model: Path, photos: Path) -> None:
    status, out, _ = run("info", photos / "a.png", model)
    assert status == 0
    assert "12 x 10 pixels, 1 channels, 8 bits" in out and "a mass on 8-bit images" in out


# -- training


def test_train_overrides_resumes_and_refuses(run: Run, photos: Path, tmp_path: Path) -> None:
    words = ("train", *SMALL, "--data", photos, "--out", tmp_path / "m")
    assert run(*words)[0] == 0
    trained = checkpoint.load(tmp_path / "m")
    assert trained.config.num_components == 2
    status, _, err = run(*words)
    assert status == 2 and "holds a model already" in err
    assert run("evaluate", photos, "--model", tmp_path / "m")[0] == 0


def test_one_level_alone_does_not_complete_a_model(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imprior.train import training

    asked = []
    monkeypatch.setattr(training, "train", lambda *_, **options: asked.append(options["level"]))
    words = ("train", *SMALL, "--data", photos, "--out", tmp_path / "m")
    status, out, _ = run(*words, "--level", "level 1")
    assert status == 0 and "level 1 is trained; without --level the same command" in out
    assert "is ready" in run(*words)[1] and asked == ["level 1", None]


def test_level_of_a_model_without_levels_is_status_2(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    words = ("train", *SMALL, "--data", photos, "--out", tmp_path / "m", "--level", "nonsense")
    status, _, err = run(*words)
    assert status == 2 and "MCGSM" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "m").exists() and not list(tmp_path.glob("*.training"))


def test_printed_config_trains_the_same_model(run: Run, photos: Path, tmp_path: Path) -> None:
    words = ("train", *SMALL, "--data", photos, "--out")
    status, out, _ = run(*words, tmp_path / "two", "--print_config")
    assert status == 0 and "num_components: 2" in out
    (tmp_path / "settings.yaml").write_text(out)
    assert run(*words, tmp_path / "one")[0] == 0
    assert run("train", "--settings", tmp_path / "settings.yaml")[0] == 0
    digests = {checkpoint.digest(checkpoint.load(tmp_path / name)) for name in ("one", "two")}
    assert len(digests) == 1


def test_interrupted_training_goes_on_to_the_same_weights(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imprior.train import shallow

    monkeypatch.setattr(shallow, "SECONDS_BETWEEN_SAVES", 0.0)
    words = ("train", *SMALL, "--data", photos, "--out")
    assert run(*words, tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "bar", interrupted_after(3))
        status, _, err = run(*words, tmp_path / "m")
    assert status == 130
    assert err == "imprior: interrupted; the same command goes on from there\n"
    assert not (tmp_path / "m").exists()
    assert run(*words, tmp_path / "m")[0] == 0
    digests = {checkpoint.digest(checkpoint.load(tmp_path / name)) for name in ("whole", "m")}
    assert len(digests) == 1
    assert not list(tmp_path.glob("*.training"))


def interrupted_after(steps: int) -> Callable[..., Any]:
    """A progress bar on which Ctrl-C is pressed."""
    left = iter(range(steps))

    def press(text: str) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    bar = SimpleNamespace(set_description_str=press, disable=False)
    return lambda *_, **__: nullcontext(bar)


# -- textures


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets of grey textures, made small."""
    from imprior.presets import PRESETS
    from imprior.train import shallow
    from tests.tasks import textures

    monkeypatch.setattr(shallow, "SECONDS_BETWEEN_SAVES", -1.0)
    for name in ("mcgsm-texture", "ride-texture"):
        monkeypatch.setitem(PRESETS, name, textures.shallow())


@pytest.mark.usefixtures("tiny")
def test_texture_writes_models_samples_figures_and_a_page(run: Run, tmp_path: Path) -> None:
    from tests.tasks.textures import stripes

    write(tmp_path / "x.png", stripes())
    sized = ("--size", "64x72", "--samples", 1, "--json", tmp_path / "f.json")
    words = ("texture", tmp_path / "x.png", "--out", tmp_path / "out", *sized)
    status, out, _ = run(*words, "--preset", "ride-texture")
    assert status == 0 and "bits per held-out value with ride-texture" in out
    assert {"index.html", "held-out.png", "ride-texture-000.png"} <= tree(tmp_path / "out").keys()
    assert read(tmp_path / "out" / "ride-texture-000.png").pixels.shape == (1, 64, 72)
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [model["name"] for model in figures["models"]] == ["ride-texture"]
    assert figures["failures"] == [] and figures["size"] == [64, 72]
    assert run(*words)[0] == 2
    assert run(*words, "--overwrite", "--quiet") == (0, "", "")
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [model["name"] for model in figures["models"]] == ["mcgsm-texture", "ride-texture"]


@pytest.mark.usefixtures("tiny")
def test_interrupted_texture_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.tasks.textures import stripes

    write(tmp_path / "x.png", stripes())
    words = ("texture", tmp_path / "x.png", "--out", tmp_path / "out", "--size", "64x64")
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "bar", interrupted_after(3))
        status, _, err = run(*words)
    assert status == 130
    assert err == "imprior: interrupted; the same command goes on from there\n"
    assert run(*words)[0] == 0 and (tmp_path / "out" / "index.html").exists()


@pytest.mark.usefixtures("tiny")
def test_colour_textures_are_made_grey_only_if_asked(run: Run, tmp_path: Path) -> None:
    from tests.tasks.textures import stripes

    write(tmp_path / "x.png", stripes(4))
    words = ("texture", tmp_path / "x.png", "--out", tmp_path / "out", "--size", "64x64")
    status, _, err = run(*words, "--preset", "mcgsm-texture")
    assert status == 2 and "--gray converts colour" in err and not (tmp_path / "out").exists()
    assert run(*words, "--preset", "mcgsm-texture", "--gray")[0] == 0


# -- inpainting


def test_inpaint_writes_fillings_figures_and_a_page(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    pixels = torch.zeros(1, 10, 12, dtype=torch.int64)
    pixels[:, 4:7, 3:8] = 255
    write(mask, Image(pixels, bits=8))
    words = ("inpaint", photos / "a.png", "--model", model, "--out", out, "--samples", 2)
    status, said, _ = run(*words, "--mask", mask, "--epochs", 3, "--json", tmp_path / "f.json")
    assert status == 0 and "epoch 3 of 3" in said and "% accepted" in said
    names = ["000.png", "001.png", "best.png", "deviation.png", "index.html"]
    assert sorted(tree(out)) == names
    known = pixels == 0
    for name in ("000.png", "001.png"):
        filled = read(out / name).pixels
        assert torch.equal(filled[known], read(photos / "a.png").pixels[known])
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["missing_pixels"] == 15 and len(figures["fillings"][1]["acceptances"]) == 3
    first = tree(out)
    assert run(*words, "--mask", mask, "--epochs", 3)[0] == 2
    boxed = ("--box", "3,4,5,3", "--epochs", 3, "--overwrite", "--quiet")
    assert run(*words, *boxed) == (0, "", "")
    assert {name: tree(out)[name] for name in names[:3]} == {
        name: first[name] for name in names[:3]
    }


def test_interrupted_inpainting_keeps_the_best_image(
    run: Run, model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("inpaint", photos / "a.png", "--model", model, "--box", "2,2,3,3", "--epochs", 5)
    assert run(*words, "--out", tmp_path / "whole")[0] == 0
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "bar", interrupted_after(3))
        status, _, err = run(*words, "--out", out)
    best = out / "best.png"
    kept = f"interrupted; the best image so far is {best}; the same command goes on from there"
    assert (status, err) == (130, f"imprior: {kept}\n")
    assert read(best).pixels.shape == (1, 10, 12)
    assert run(*words, "--out", out)[0] == 0
    pictures = {"000.png", "best.png"}
    done, whole = tree(out), tree(tmp_path / "whole")
    assert {done[name] for name in pictures} == {whole[name] for name in pictures}


def test_holes_that_cannot_be_are_status_2(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    image, mask = photos / "a.png", tmp_path / "mask.png"
    write(mask, Image(torch.zeros(1, 10, 12, dtype=torch.int64), bits=8))
    colourful(tmp_path / "colour.png")
    for path, hole, named in (
        (image, ("--mask", mask), "black everywhere"),
        (image, ("--mask", tmp_path / "colour.png"), "a mask is as large as its image"),
        (image, ("--mask", tmp_path / "none.png"), "none.png"),
        (image, ("--box", "8,8,5,1"), "not inside the image of 12 x 10"),
        (image, ("--box", "0,0,12,10"), "covers the whole image"),
        (tmp_path / "colour.png", ("--box", "0,0,1,1"), "--gray"),
        (image, ("--box", "0,0,1,1", "--samples", 0), "at least 1, got 0"),
        (image, ("--box", "0,0,1,1", "--method", "map"), "Differentiable"),
        (image, ("--box", "0,0,1,1", "--seed", -1), "seed"),
    ):
        status, _, err = run("inpaint", path, "--model", model, "--out", tmp_path / "o", *hole)
        assert status == 2 and named in err and len(err.splitlines()) == 1, err
    assert not (tmp_path / "o").exists()


# -- up-scaling


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    return checkpoint.save(Blocks(BlocksConfig()), tmp_path / "blocks", dict.fromkeys(PROVENANCE))


def test_upscale_writes_samples_figures_and_a_page(
    run: Run, blocks: Path, photos: Path, tmp_path: Path
) -> None:
    colourful(photos / "colour.png")
    out, figures = tmp_path / "out", tmp_path / "f.json"
    words = ("upscale", photos, "--model", blocks, "--out", out, "--scale", 4, "--samples", 2)
    status, said, err = run(*words, "--json", figures, "--report")
    assert status == 1 and "colour.png has 3 channels" in err
    assert "40 x 48" in said and "index.html shows what was drawn" in said
    names = [f"{name}.png" for name in ("", "-001", "-mean", "-deviation")]
    expected = {*(f"a{name}" for name in names), *(f"sub/b{name}" for name in names)}
    assert tree(out).keys() == expected | {"index.html"}
    told = json.loads(figures.read_text())
    assert (told["scale"], told["samples"], told["seed"]) == (4, 2, 0)
    assert [Path(each["path"]).name for each in told["files"]] == ["a.png", "b.png"]
    assert [Path(each["path"]).name for each in told["failures"]] == ["colour.png"]
    (photos / "colour.png").unlink()
    status, said, _ = run(*words)
    assert status == 0 and "2 outputs were there already" in said
    first = tree(out)
    assert run(*words, "--overwrite", "--quiet") == (0, "", "") and tree(out) == first


def test_upscale_to_one_file_keeps_the_pixels(
    run: Run, blocks: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("upscale", photos / "a.png", "--model", blocks, "--out", tmp_path / "large.png")
    assert run(*words, "--report")[0] == 0
    large = read(tmp_path / "large.png").pixels
    assert torch.equal(large[:, 1::2, 1::2], read(photos / "a.png").pixels)
    assert (tmp_path / "index.html").exists()


def test_upscale_needs_a_multiscale_model(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    status, _, err = run("upscale", photos, "--model", model, "--out", tmp_path / "out")
    assert status == 2 and "upscale needs a model that is a Multiscale; Toy is not" in err
    assert not (tmp_path / "out").exists()


# -- bad input


def broken_png(path: Path) -> None:
    write(path, Image(noise(1, 20, 20), bits=8))
    path.write_bytes(path.read_bytes()[:60])


def cmyk(path: Path) -> None:
    PIL.Image.new("CMYK", (5, 4)).save(path, "JPEG")


def palette(path: Path) -> None:
    PIL.Image.fromarray(noise(5, 6).byte().numpy(), "L").convert("P").save(path, "PNG")


def animated(path: Path) -> None:
    frames = [PIL.Image.fromarray(noise(5, 6, seed=i).byte().numpy()) for i in range(2)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def not_a_number(path: Path) -> None:
    tifffile.imwrite(path, np.full((4, 5), np.nan, np.float32))


def deep(path: Path) -> None:
    write(path, Image(noise(1, 4, 5, bits=12), bits=12))


def colourful(path: Path) -> None:
    write(path, Image(noise(3, 4, 5), bits=8))


BAD = [
    ("zero.png", lambda path: path.write_bytes(b""), "empty"),
    ("text.png", lambda path: path.write_text("hello"), "is not a PNG"),
    ("cut.png", broken_png, "cut.png"),
    ("cmyk.jpg", cmyk, "CMYK"),
    ("palette.png", palette, "channels"),
    ("animated.png", animated, "animation"),
    ("nan.tif", not_a_number, "float"),
    ("deep.png", deep, "12 bits"),
    ("colour.png", colourful, "3 channels"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BAD, ids=[name for name, *_ in BAD])
@pytest.mark.parametrize("command", ["evaluate", "compress"])
def test_one_bad_file_among_good_ones(
    run: Run, model: Path, photos: Path, tmp_path: Path,
    command: str, name: str, make: Callable[[Path], object], reason: str,
) -> None:  # fmt: skip
    make(photos / name)
    words = [command, photos, "--model", model, "--json", tmp_path / "f.json"]
    words += ["--out", tmp_path / "out"] if command == "compress" else []
    status, _, err = run(*words)
    assert status == 1
    assert len(err.splitlines()) == 1 and name in err and reason in err
    figures = json.loads((tmp_path / "f.json").read_text())
    assert len(figures["images" if command == "evaluate" else "files"]) == 2
    assert [Path(failure["path"]).name for failure in figures["failures"]] == [name]
    if command == "compress":
        assert sorted(tree(tmp_path / "out")) == ["a.imp", "sub/b.imp"]


@pytest.mark.parametrize("command", ["evaluate", "compress", "decompress", "info"])
def test_missing_and_empty_inputs_are_named(
    run: Run, model: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "empty").mkdir()
    words = [command, tmp_path / "nowhere.png", tmp_path / "empty"]
    words += [] if command == "info" else ["--model", model]
    words += ["--out", tmp_path / "out"] if "compress" in command else []
    status, _, err = run(*words)
    assert status == 1
    first, second = err.splitlines()
    assert "nowhere.png: there is no such file" in first and "empty: the folder has no" in second


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 20000), (20000, 3)])
def test_extreme_shapes_are_fine(
    run: Run, model: Path, tmp_path: Path, height: int, width: int
) -> None:
    x = noise(1, height, width)
    write(tmp_path / "x.png", Image(x, bits=8))
    words = ("evaluate", tmp_path / "x.png", "--model", model, "--map", tmp_path / "maps")
    assert run(*words, "--against", "png,webp,jpegls,jpeg2000,jxl")[0] == 0
    if width == 20000:  # a toy walks column by column, in Python
        return
    assert run("compress", tmp_path / "x.png", "--model", model, "--out", tmp_path / "c")[0] == 0
    assert run("decompress", tmp_path / "c", "--model", model, "--out", tmp_path / "r")[0] == 0
    assert torch.equal(read(tmp_path / "r" / "x.png").pixels, x)


def test_damaged_and_foreign_compressed_files(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    packed, other = tmp_path / "packed", save_toy(tmp_path / "other", bits=9)
    assert run("compress", photos, "--model", model, "--out", packed)[0] == 0
    (packed / "a.imp").write_bytes((packed / "a.imp").read_bytes()[:-3])
    status, _, err = run("decompress", packed, "--model", model, "--out", tmp_path / "r")
    assert status == 1 and "a.imp" in err and "damaged" in err
    assert sorted(tree(tmp_path / "r")) == ["sub/b.png"]
    words = ("decompress", packed / "sub/b.imp", "--model", other, "--out", tmp_path / "f")
    status, _, err = run(*words)
    assert status == 1 and "was compressed with the model" in err
    assert not (tmp_path / "f").exists()


def remove(path: Path) -> None:
    path.unlink()


def tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("harm", [remove, tamper])
def test_harmed_model_folder(
    run: Run, model: Path, photos: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(model / name)
    for words in (
        ("evaluate", photos, "--model", model),
        ("compress", photos, "--model", model, "--out", tmp_path / "c"),
        ("sample", "--model", model, "--out", tmp_path / "s"),
    ):
        status, _, err = run(*words)
        assert status == 2 and name in err and len(err.splitlines()) == 1
    assert run("info", model)[0] == 1
    assert not (tmp_path / "c").exists() and not (tmp_path / "s").exists()


def no_new_files(number: int) -> Callable[..., Any]:
    """`open` on a disk that answers with an error to whoever wants to write."""
    really_open = builtins.open

    def refuse(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if set(mode) & set("wxa"):
            raise OSError(number, os.strerror(number), str(file))
        return really_open(file, mode, *rest, **options)

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
@pytest.mark.parametrize("command", ["evaluate", "sample", "compress", "decompress"])
def test_unwritable_output_loses_nothing(
    run: Run, model: Path, photos: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, command: str, number: int,
) -> None:  # fmt: skip
    out, packed = tmp_path / "out", tmp_path / "packed"
    out.mkdir()
    (out / "precious").write_text("data")
    assert run("compress", photos, "--model", model, "--out", packed)[0] == 0
    before = tree(tmp_path)
    words = {
        "evaluate": ("evaluate", photos, "--model", model, "--map", out),
        "sample": ("sample", "--model", model, "--out", out),
        "compress": ("compress", photos, "--model", model, "--out", out),
        "decompress": ("decompress", packed, "--model", model, "--out", out),
    }[command]
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", no_new_files(number))
        status, _, err = run(*words)
    assert status in (1, 2) and os.strerror(number) in err
    assert tree(tmp_path) == before


def test_out_that_is_a_file(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for words in (
        ("sample", "--model", model, "--out", tmp_path / "file"),
        ("compress", photos, "--model", model, "--out", tmp_path / "file"),
        ("evaluate", photos, "--model", model, "--map", tmp_path / "file"),
        ("evaluate", photos, "--model", model, "--json", tmp_path / "file" / "f.json"),
    ):
        status, _, err = run(*words)
        assert status in (1, 2) and "file" in err, words
    assert (tmp_path / "file").read_text() == "precious"
