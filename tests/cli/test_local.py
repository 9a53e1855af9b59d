"""`imprior upscale`, `sample` and `info` of models that are denoisers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import init

from imprior import checkpoint
from imprior.data.images import Image, read, write
from imprior.inference import ascent, synthesis
from imprior.models.local.config import LocalModelConfig, NetworkConfig
from imprior.models.local.model import LocalModel
from imprior.provenance import PROVENANCE
from tests.cli.given import Run, noise, tree

TINY = NetworkConfig(3, 4, 5)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A model of two scales that removes about half of whatever it is given."""
    torch.manual_seed(0)
    model = LocalModel(LocalModelConfig(1, (TINY, TINY), TINY))
    for weight in model.parameters():
        if weight.dim() == 4:
            init.dirac_(weight)
            weight.data[1:, 0] += 0.1
    return checkpoint.save(model, tmp_path / "local", dict.fromkeys(PROVENANCE))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write(tmp_path / "a.png", Image(noise(1, 27, 30, bits=16), 16))
    return tmp_path / "a.png"


def test_upscale_writes_files_figures_and_a_page(
    run: Run, local: Path, photo: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--scale", 2, "--samples", 2, "--mean", "--shrink", "--report")
    words = ("upscale", photo, "--model", local, "--out", out, *options)
    status, said, _ = run(*words, "--json", tmp_path / "f.json")
    assert status == 0 and "least squares, dB" in said
    names = ("", "-001", "-mean", "-deviation", "-expected", "-small")
    assert tree(out).keys() == {*(f"a{name}.png" for name in names), "index.html"}
    assert read(out / "a.png").bits == 16 and read(out / "a.png").pixels.shape == (1, 26, 30)
    told = json.loads((tmp_path / "f.json").read_text())
    (file,) = told["files"]
    ways = ["sample", "mean", "expected", "bicubic", "nearest"]
    assert list(file["quality"]) == ways and told["total"]["quality"] == file["quality"]
    assert all(f"{file['quality'][way]['psnr']:.2f}" in said for way in ways)
    first = tree(out)
    assert run(*words, "--overwrite", "--quiet")[0] == 0 and tree(out).keys() == first.keys()
    assert all(tree(out)[name] == first[name] for name in first if name.endswith("png"))


def test_least_squares_answer_alone(run: Run, local: Path, photo: Path, tmp_path: Path) -> None:
    words = ("upscale", photo, "--model", local, "--out", tmp_path / "b.png")
    assert run(*words, "--mean", "--samples", 0)[0] == 0
    assert read(tmp_path / "b.png").pixels.shape == (1, 54, 60)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--scale", 8), "the model has 2 scales of details"),
        (("--temperature", 0.5), "a denoiser draws at temperature 1 only, got 0.5"),
        (("--samples", 0), "at least 1, got 0"),
    ],
)
def test_what_cannot_be_is_one_line(
    run: Run, local: Path, photo: Path, tmp_path: Path, options: tuple[object, ...], named: str
) -> None:
    words = ("upscale", photo, "--model", local, "--out", tmp_path / "out")
    status, _, err = run(*words, *options)
    assert status == 2 and named in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_least_squares_answer_is_not_of_pyramids(run: Run, photo: Path, tmp_path: Path) -> None:
    words = ("upscale", photo, "--model", "pyramid-rgb", "--out", tmp_path / "out", "--mean")
    status, _, err = run(*words)
    assert status == 2 and "--samples 8 writes the mean of several draws" in err


def test_colours_become_grey_only_if_asked(run: Run, local: Path, tmp_path: Path) -> None:
    write(tmp_path / "c.png", Image(noise(3, 5, 6), 8))
    words = ("upscale", tmp_path / "c.png", "--model", local, "--out", tmp_path / "out")
    status, _, err = run(*words)
    assert status == 1 and "(--gray converts colour)" in err and len(err.splitlines()) == 1
    assert run(*words, "--gray")[0] == 0


def test_sample_draws_any_size(run: Run, local: Path, tmp_path: Path) -> None:
    words = ("sample", "--model", local, "--out", tmp_path / "s", "--size", "13x18", "--num", 2)
    assert run(*words)[0] == 0
    first = tree(tmp_path / "s")
    assert sorted(first) == ["000.png", "001.png", "sheet.png"]
    image = read(tmp_path / "s" / "000.png")
    assert image.bits == 8 and image.pixels.shape == (1, 13, 18)
    assert run(*words, "--overwrite")[0] == 0 and tree(tmp_path / "s") == first


def test_interrupted_drawing_keeps_what_is_finished(
    run: Run, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, left = ascent.ascend, iter(range(1))

    def pressed(*arguments: Any, **options: Any) -> ascent.Ascent:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return really(*arguments, **options)

    monkeypatch.setattr(synthesis, "ascend", pressed)
    words = ("sample", "--model", local, "--out", tmp_path / "s", "--size", "8x8", "--num", 3)
    status, _, err = run(*words)
    assert status == 130 and "interrupted" in err
    assert sorted(tree(tmp_path / "s")) == ["000.png"]


def test_info_lists_what_can_be_drawn(run: Run, local: Path) -> None:
    status, said, _ = run("info", local)
    assert status == 0 and "upscale, evaluate, denoise, sample" in said
