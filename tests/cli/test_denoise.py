"""`imprior denoise`, and `evaluate` and `info` of a denoiser: figures, one clear line, status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from imprior import arguments, checkpoint
from imprior.data.images import Image, read, write
from imprior.inference.tiled import TILE
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.provenance import PROVENANCE
from tests.cli.given import Run

CONFIG = FlatDenoiserConfig(1, NetworkConfig(3, 4, 5))


def save(folder: Path, channels: int = 1) -> Path:
    model = FlatDenoiser(replace(CONFIG, channels=channels))
    return checkpoint.save(model, folder, dict.fromkeys(PROVENANCE))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "model")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A grey picture, one in colours, and one of floats."""
    folder = tmp_path / "photos"
    folder.mkdir()
    write(folder / "a.png", Image(torch.randint(256, (1, 20, 24)), 8))
    write(folder / "b.png", Image(torch.randint(2**16, (3, 20, 24)), 16))
    tifffile.imwrite(folder / "c.tif", np.random.rand(20, 24).astype("float32"))
    return folder


def test_denoise_writes_files_figures_and_a_page(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("denoise", photos, "--model", model, "--out", out, "--json", tmp_path / "f.json")
    status, said, _ = run(*words, "--sigma", 25, "--seed", 3, "--report", "--tile", 16)
    assert status == 0 and "each channel was denoised by itself" in said
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "c.tif", "index.html"]
    assert read(out / "b.png").bits == 16 and tifffile.imread(out / "c.tif").dtype == np.float32
    figures = json.loads((tmp_path / "f.json").read_text())
    psnrs = [file["psnr"] for file in figures["files"]]
    assert figures["sigma"] == 25 and figures["total"]["psnr"] == pytest.approx(np.mean(psnrs))
    assert all(f"{psnr:.2f}" in said for psnr in psnrs)
    assert figures["files"][1]["notes"] and not figures["files"][0]["notes"]
    status, said, _ = run(*words)
    assert status == 0 and "3 outputs were there already" in said


def test_ensembles_take_the_mean_over_views(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    words = (photos / "a.png", "--model", model, "--json", tmp_path / "f.json")
    sigma, found = ("--sigma", 25), {}
    for name, more in (("one", ()), ("eight", ("--ensemble",))):
        assert run("denoise", *words, *sigma, "--out", tmp_path / f"{name}.png", *more)[0] == 0
        of_file = json.loads((tmp_path / "f.json").read_text())
        assert run("evaluate", *words, "--sigmas=25", *more)[0] == 0
        figures = json.loads((tmp_path / "f.json").read_text())
        assert figures["ensemble"] == of_file["ensemble"] == bool(more)
        found[name] = of_file["total"]["psnr"]
        assert figures["total"]["25"]["psnr"] == pytest.approx(found[name])
    assert found["one"] != found["eight"]


def test_page_does_not_replace_another(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("of somebody else")
    words = ("denoise", photos / "a.png", "--model", model, "--report", "--out")
    assert run(*words, tmp_path / "b.png")[0] == 0
    assert (tmp_path / "b.html").is_file() and (tmp_path / "b.png").is_file()
    status, _, err = run(*words, tmp_path)
    assert status == 2 and "index.html is there already" in err
    assert (tmp_path / "index.html").read_text() == "of somebody else"
    assert not (tmp_path / "a.png").exists()
    assert run(*words, tmp_path, "--overwrite")[0] == 0
    assert "<html" in (tmp_path / "index.html").read_text()
    status, _, err = run("evaluate", photos, "--model", model, "--out", tmp_path)
    assert status == 2 and "index.html is there already: choose another --out" in err


def test_marks_of_missing_pixels_are_named(run: Run, model: Path, tmp_path: Path) -> None:
    pixels = np.zeros((20, 24), "float32")
    pixels[3, 4] = -3.4e38
    tifffile.imwrite(tmp_path / "c.tif", pixels)
    status, _, err = run("denoise", tmp_path / "c.tif", "--model", model, "--out", tmp_path / "o")
    assert status == 1 and "c.tif: values overflow in the model" in err and "-3.4e+38 to 0" in err
    assert not list((tmp_path / "o").glob("*"))


def test_output_of_another_format_is_refused(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clean.tiff"
    status, _, err = run("denoise", photos / "a.png", "--model", model, "--out", out)
    assert status == 2 and "clean.tiff: of" in err and "a .png file is made" in err
    assert not out.exists()


def test_figures_are_json_for_anyone(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "flat.png", Image(torch.full((1, 16, 16), 128), 8))
    words = ("upscale", tmp_path / "flat.png", "--model", "local-gray", "--scale", 2, "--shrink")
    status, told, _ = run(*words, "--out", tmp_path / "o", "--json", "-", "--quiet")
    record = json.loads(told, parse_constant=pytest.fail)  # Infinity, -Infinity and NaN
    assert status == 0 and record["files"][0]["quality"]["bicubic"]["psnr"] is None


def test_blind_denoising_has_no_figures_of_quality(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("denoise", photos / "a.png", "--model", model, "--out", tmp_path / "x.png")
    status, said, _ = run(*words, "--json", tmp_path / "f.json")
    assert status == 0 and "dB" not in said and (tmp_path / "x.png").is_file()
    assert json.loads((tmp_path / "f.json").read_text())["total"]["psnr"] is None


def test_bad_inputs_are_named_and_the_others_done(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:50])
    tifffile.imwrite(photos / "nan.tif", np.full((8, 9), np.nan, "float32"))
    (tmp_path / "empty").mkdir()
    words = ("denoise", photos, tmp_path / "empty", "--model", model, "--out", tmp_path / "out")
    status, _, err = run(*words)
    lines = err.splitlines()
    assert status == 1 and len(lines) == 3
    for named in ("the folder has no files", "cut.png: is truncated", "nan.tif: holds 72 values"):
        assert sum(named in line for line in lines) == 1
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_model_of_colours_on_grey_is_one_line(run: Run, photos: Path, tmp_path: Path) -> None:
    model = save(tmp_path / "rgb", channels=3)
    words = ("denoise", photos / "a.png", "--model", model, "--out", tmp_path / "out")
    status, _, err = run(*words)
    assert status == 1 and len(err.splitlines()) == 1
    assert "a.png: the image has 1 colour channel, the model is for 3" in err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("denoise", "--out=o", "--sigma=0"), "above 0 and at most 255; got 0"),
        (("denoise", "--out=o", "--sigma=256"), "got 256"),
        (("denoise", "--out=o", "--sigma=nan"), "nan"),
        (("denoise", "--out=o", "--tile=0"), "at least 1 pixel"),
        (("denoise", "--out=o", "--seed=-1"), "seed"),
        (("denoise",), "out"),
        (("evaluate", "--sigmas=15,much"), "15,much is not numbers, 15,25,50 for example"),
        (("evaluate", "--sigmas=0"), "got 0"),
        (("evaluate", "--half", "--batch-size=2"), "--half, --batch-size: not for a Flat"),
        (("evaluate", "--against=nonsense"), "no model 'nonsense'"),
        (("evaluate", "--against=mcgsm-gray"), "needs a model that is a Denoiser"),
        (("sample", "--out=o", "--temperature=0.5"), "at temperature 1 only, got 0.5"),
    ],
)
def test_wrong_use_is_status_2(
    run: Run, model: Path, photos: Path, words: tuple[str, ...], named: str
) -> None:
    command, *options = words
    files = [] if command == "sample" else [photos]
    status, out, err = run(command, *files, "--model", model, *options)
    assert status == 2 and not out and named in err and len(err.splitlines()) == 1


def test_options_of_denoisers_are_not_for_others(run: Run, photos: Path) -> None:
    words = ("evaluate", photos, "--model", "mcgsm-gray", "--sigmas", "25", "--tile", 9)
    status, _, err = run(*words)
    assert status == 2 and "--sigmas, --tile: not for a MCGSM" in err
    status, _, err = run("denoise", photos, "--model", "mcgsm-gray", "--out", "o")
    assert status == 2 and "denoise needs a model that is a Denoiser" in err


def test_evaluate_writes_figures_and_curves(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    other = save(tmp_path / "other")
    words = ("evaluate", photos, "--model", model, "--sigmas", "5,50", "--against", other)
    status, said, _ = run(*words, "--json", tmp_path / "f.json", "--out", tmp_path / "page")
    assert status == 0 and (tmp_path / "page" / "index.html").is_file()
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [image["sigma"] for image in figures["images"]] == [5, 50] * 3
    assert figures["images"][0].keys() >= {"path", "sigma", "psnr", "ssim"}
    assert list(figures["total"]) == ["5", "50"] and figures["failures"] == []
    assert f"{figures['total']['50']['psnr']:.2f}/{figures['total']['50']['ssim']:.4f}" in said
    assert list(figures["total"]["5"]["against"]) == [str(other)]
    assert f"{photos / 'b.png'}: a model of grey images: each channel was denoised" in said
    assert [bool(image["notes"]) for image in figures["images"]] == [False] * 2 + [True] * 2 + [
        False
    ] * 2


def test_info_says_what_a_denoiser_can(run: Run, model: Path) -> None:
    status, said, _ = run("info", model)
    assert status == 0 and "FlatDenoiser, a denoiser of images of 1 channels" in said
    assert "evaluate, denoise" in said and "5 x 5 pixels for each that it makes" in said


def test_tile_of_the_command_line_is_that_of_python() -> None:
    assert arguments.OPTIONS["--tile"]["default"] == TILE
