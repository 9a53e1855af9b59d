"""Figures over noise: the same noisy images for all methods, means over images."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.data import floats
from imprior.data.images import Image, write
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.provenance import PROVENANCE
from imprior.tasks.denoise import add_noise, denoise, quality
from imprior.tasks.evaluate_denoiser import (
    Denoising,
    choose,
    evaluate_denoiser,
    total,
)
from imprior.tasks.files import Failure

CONFIG = FlatDenoiserConfig(1, NetworkConfig(depth=3, width=4, receptive_field=5))


@pytest.fixture
def model() -> FlatDenoiser:
    return FlatDenoiser(CONFIG).eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two grey pictures, one of them too small for a structural similarity, and a broken file."""
    for name, size in (("a", (20, 16)), ("c", (6, 30))):
        write(tmp_path / f"{name}.png", Image(torch.randint(256, (1, *size)), 8))
    (tmp_path / "b.png").write_bytes(b"not a picture")
    return tmp_path


def done(results: list[Denoising | Failure]) -> list[Denoising]:
    return [result for result in results if isinstance(result, Denoising)]


def test_each_image_at_each_level(model: FlatDenoiser, folder: Path) -> None:
    results = list(evaluate_denoiser(model, [folder], [15, 50], seed=2))
    (failure,) = (result for result in results if isinstance(result, Failure))
    assert failure.path.endswith("b.png") and failure.reason.count("b.png") == 1
    found = done(results)
    assert [(Path(r.path).name, r.sigma) for r in found] == [
        ("a.png", 15), ("a.png", 50), ("c.png", 15), ("c.png", 50),
    ]  # fmt: skip
    clean = floats.read(folder / "a.png").pixels
    y = add_noise(clean, 50, seed=2)
    assert found[1].noisy == quality(clean, y)
    assert found[1].clean == quality(clean, denoise(model, y))
    assert found[2].clean.ssim is None


def test_record_and_total_are_what_the_design_says(model: FlatDenoiser, folder: Path) -> None:
    against = {"nothing": lambda y, sigma: y}
    found = done(list(evaluate_denoiser(model, [folder], [15, 2.5], against=against)))
    records = [result.record() for result in found]
    assert records[0]["psnr"] == found[0].clean.psnr and records[0]["sigma"] == 15
    means = total(records)
    assert list(means) == ["15", "2.5"]
    assert means["15"]["psnr"] == pytest.approx((records[0]["psnr"] + records[2]["psnr"]) / 2)
    assert means["15"]["ssim"] == records[0]["ssim"], "of the images that have one"
    assert means["15"]["against"]["nothing"] == means["15"]["noisy"]
    assert means["2.5"]["noisy"]["psnr"] == pytest.approx(20 * math.log10(255 / 2.5), abs=1.5)
    assert total([]) == {}


def test_other_methods_see_the_same_noisy_image_and_its_level(
    model: FlatDenoiser, folder: Path
) -> None:
    seen: list[tuple[Tensor, float]] = []

    def spy(y: Tensor, sigma: float) -> Tensor:
        seen.append((y, sigma))
        return y

    list(evaluate_denoiser(model, [folder / "a.png"], [25], against={"spy": spy}, seed=1))
    ((y, sigma),) = seen
    assert torch.equal(y, add_noise(floats.read(folder / "a.png").pixels, 25, 1)) and sigma == 25


def test_grey_is_made_of_colours_if_asked(model: FlatDenoiser, tmp_path: Path) -> None:
    write(tmp_path / "x.png", Image(torch.randint(256, (3, 20, 20)), 8))
    by_channel, grey = (
        done(list(evaluate_denoiser(model, [tmp_path / "x.png"], [25], gray=gray)))[0]
        for gray in (False, True)
    )
    clean = floats.read(tmp_path / "x.png", gray=True).pixels
    assert grey.noisy == quality(clean, add_noise(clean, 25, 0)) != by_channel.noisy


def test_model_of_colours_fails_on_grey_files_by_name(folder: Path) -> None:
    model = FlatDenoiser(replace(CONFIG, channels=3))
    results = list(evaluate_denoiser(model, [folder / "a.png"], [25]))
    assert isinstance(results[0], Failure) and "the model is for 3" in results[0].reason


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sigmas": []}, "a level of noise"),
        ({"sigmas": [25, 0]}, "got 0"),
        ({"seed": -1}, "got -1"),
        ({"tile": 0}, "got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(
    model: FlatDenoiser, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        evaluate_denoiser(model, [], **{"sigmas": [25], **options})


def test_models_are_methods(model: FlatDenoiser, tmp_path: Path) -> None:
    name = str(checkpoint.save(model, tmp_path / "m", dict.fromkeys(PROVENANCE)))
    y = torch.rand(1, 20, 20)
    assert torch.equal(choose([name])[name](y, 25), denoise(model, y))
    with pytest.raises(ValueError, match="no model 'nonsense'"):
        choose(["nonsense"])
    with pytest.raises(ValueError, match="needs a model that is a Denoiser"):
        choose(["mcgsm-gray"])
    (tmp_path / "file.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"file\.pt is no published denoiser"):
        choose([str(tmp_path / "file.pt")])


def test_bm3d_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imprior.tasks.evaluate_denoiser.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="the package bm3d is not installed: pip install bm3d"):
        choose(["bm3d"])


def test_bm3d_gets_the_level_in_units_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stand(ModuleType):
        """In place of the package: what it is given, plus its idea of the level."""

        def bm3d(self, z: np.ndarray, sigma: float) -> np.ndarray:
            assert z.ndim == 2
            return z + sigma

        def bm3d_rgb(self, z: np.ndarray, sigma: float) -> np.ndarray:
            assert z.shape[2] == 3
            return z + 2 * sigma

    stand = Stand("bm3d")
    stand.__spec__ = ModuleSpec("bm3d", None)
    monkeypatch.setitem(sys.modules, "bm3d", stand)
    method = choose(["bm3d"])["bm3d"]
    for channels, times in ((1, 1), (2, 1), (3, 2)):
        y = torch.rand(channels, 5, 6, dtype=torch.float64)
        torch.testing.assert_close(method(y, 51), y + times * 0.2)
