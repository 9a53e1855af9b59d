"""`imprior inpaint` with denoisers, of random pixels, and compared with the intact image."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest
import torch

from imprior import checkpoint
from imprior.data.images import Image, read, write
from imprior.inference.schedule import Schedule
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.provenance import PROVENANCE
from imprior.tasks.inpaint_ascent import Ascending
from tests.cli.given import Run, noise, tree

QUICK = Schedule(h0=0.3, beta=0.5)
CONFIG = FlatDenoiserConfig(1, NetworkConfig(3, 4, 5))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ascending, "__init__", partialmethod(Ascending.__init__, QUICK))


def save(folder: Path, channels: int = 1) -> Path:
    torch.manual_seed(1)
    model = FlatDenoiser(replace(CONFIG, channels=channels))
    return checkpoint.save(model, folder, dict.fromkeys(PROVENANCE))


@pytest.fixture
def denoiser(tmp_path: Path) -> Path:
    return save(tmp_path / "denoiser")


def test_ascent_is_what_denoisers_do(
    run: Run, denoiser: Path, photos: Path, tmp_path: Path
) -> None:
    out, figures = tmp_path / "out", tmp_path / "f.json"
    words = ("inpaint", photos / "a.png", "--model", denoiser, "--box", "3,4,5,3", "--out", out)
    status, said, _ = run(*words, "--samples", 2, "--json", figures)
    assert status == 0 and "filling 2 of 2," in said and "step 1:" not in said
    names = ["000.png", "001.png", "deviation.png", "index.html", "mean.png"]
    assert sorted(tree(out)) == names
    known = torch.ones(1, 10, 12, dtype=torch.bool)
    known[:, 4:7, 3:8] = False
    for name in ("000.png", "001.png", "mean.png"):
        filled = read(out / name).pixels
        assert torch.equal(filled[known], read(photos / "a.png").pixels[known])
    told = json.loads(figures.read_text())
    assert told["filling"]["method"] == "ascent" and told["best"] is None
    assert told["compared"] is None and told["missing_pixels"] == 15
    assert told["fillings"][0]["stopped"] in (["converged"], ["diverged"], ["max_steps"])
    assert not [name for name in told["fillings"][0] if "prob" in name]
    first = tree(out)
    assert run(*words, "--samples", 2)[0] == 2
    again = ("--method", "ascent", "--samples", 2, "--overwrite", "--quiet")
    assert run(*words, *again) == (0, "", "")
    assert {name: tree(out)[name] for name in names[:2]} == {
        name: first[name] for name in names[:2]
    }


def test_random_pixels_are_compared_with_the_image(
    run: Run, denoiser: Path, tmp_path: Path
) -> None:
    """In colours of 16 bits, filled channel by channel."""
    write(tmp_path / "x.png", Image(noise(3, 24, 26, bits=16), 16))
    out, figures = tmp_path / "out", tmp_path / "f.json"
    words = ("inpaint", tmp_path / "x.png", "--model", denoiser, "--out", out, "--samples", 2)
    status, said, _ = run(*words, "--known", 0.5, "--seed", 3, "--compare", "--json", figures)
    assert status == 0 and "each channel was filled by itself" in said
    told = json.loads(figures.read_text())
    assert told["missing_pixels"] == 312 and len(told["notes"]) >= 1
    compared = told["compared"]
    assert compared.keys() == {"fillings", "mean", "linear", "nearest"}
    for each in (*compared["fillings"], compared["mean"], compared["linear"]):
        assert f"{each['psnr']:.2f}" in said and f"{each['ssim']:.4f}" in said
    page = (out / "index.html").read_text()
    assert "How close they come" in page and f"{compared['nearest']['psnr']:.2f}" in page
    filled, image = read(out / "001.png"), read(tmp_path / "x.png")
    same = (filled.pixels == image.pixels).all(0)
    assert filled.bits == 16 and 312 <= int(same.sum()) < 330


def test_every_method_is_compared(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    words = ("inpaint", photos / "a.png", "--model", model, "--out", tmp_path / "out")
    status, said, _ = run(*words, "--known", 0.6, "--method", "draw", "--compare")
    assert status == 0 and "linear interpolation" in said and "PSNR, dB" in said


def test_wrong_use_is_one_clear_line(
    run: Run, denoiser: Path, model: Path, photos: Path, tmp_path: Path
) -> None:
    write(tmp_path / "x.png", Image(noise(3, 9, 9), 8))
    two, image, box = save(tmp_path / "two", channels=2), photos / "a.png", ("--box", "1,1,3,3")
    for path, name, rest, named in (
        (image, denoiser, (*box, "--method", "gibbs"), "take ascent"),
        (image, denoiser, (*box, "--method", "draw"), "take ascent"),
        (image, model, (*box, "--method", "ascent"), "needs a denoiser; for Toy take gibbs"),
        (image, denoiser, (*box, "--epochs", 3), "no epochs"),
        (image, denoiser, (*box, "--flip", "both"), "no flips"),
        (image, denoiser, (*box, "--device", "nonsense"), "nonsense"),
        (image, denoiser, (*box, "--seed", -1), "seed"),
        (image, denoiser, (*box, "--known", 0.1), "--known"),
        (image, denoiser, ("--known", 1.5), "between 0 and 1, got 1.5"),
        (image, denoiser, ("--known", "many"), "many"),
        (image, denoiser, ("--known", 0.1, "--seed", -1), "seed"),
        (tmp_path / "x.png", two, box, "3 colour channels, the model is for 2"),
    ):
        status, _, err = run("inpaint", path, "--model", name, "--out", tmp_path / "o", *rest)
        assert status == 2 and named in err and len(err.splitlines()) == 1, err
    assert not (tmp_path / "o").exists()
