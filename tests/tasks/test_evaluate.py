"""Figures are the model's own, whatever else is in the batch or broken in the folder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest
import tifffile
import torch
from torch import Tensor

from imprior.base import LikelihoodModel
from imprior.data.images import Image, read, write
from imprior.data.loading import to_gray
from imprior.models import build
from imprior.presets import PRESETS
from imprior.tasks import codecs
from imprior.tasks.evaluate import Evaluation, evaluate, evaluate_batch, total
from imprior.tasks.files import Failure
from tests.toys import Toy, ToyConfig


def noise(*shape: int, bits: int = 8, seed: int = 0) -> Tensor:
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Grey pictures of two sizes, one below a sub-folder, and a broken file among them."""
    (tmp_path / "sub").mkdir()
    for name, height, seed in (("a", 8, 1), ("b", 8, 2), ("d", 5, 3), ("sub/e", 8, 4)):
        write(tmp_path / f"{name}.png", Image(noise(1, height, 9, seed=seed), bits=8))
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def done(results: list[Evaluation | Failure]) -> list[Evaluation]:
    return [result for result in results if isinstance(result, Evaluation)]


def failed(results: list[Evaluation | Failure]) -> list[Failure]:
    return [result for result in results if isinstance(result, Failure)]


def test_figures_are_those_of_the_model(folder: Path) -> None:
    model = Toy(ToyConfig())
    for result in done(list(evaluate(model, [folder]))):
        x = read(result.path).pixels
        assert torch.equal(result.pixels, x) and result.bits == 8
        bits = -model.log_prob(x[None]).item() / math.log(2)
        assert math.isclose(result.bits_per_dim, bits / x.numel(), rel_tol=1e-12)
        assert result.surprise is not None and result.surprise.shape == x.shape[1:]
        assert math.isclose(result.surprise.sum().item(), bits, rel_tol=1e-12)


def test_one_broken_file_does_not_stop_the_rest(folder: Path) -> None:
    results = list(evaluate(Toy(ToyConfig()), [folder, "nowhere", folder / "*.png"]))
    assert [result.name for result in done(results)] == ["a.png", "b.png", "d.png", "sub/e.png"]
    assert [Path(failure.path).name for failure in failed(results)] == ["nowhere", "c.png"]
    assert all(failure.reason and "\n" not in failure.reason for failure in failed(results))


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_figures_do_not_depend_on_the_batch(folder: Path, batch_size: int) -> None:
    model = Toy(ToyConfig())
    alone, together = (list(evaluate(model, [folder], batch_size=n)) for n in (1, batch_size))
    assert [result.path for result in alone] == [result.path for result in together]
    for one, other in zip(done(alone), done(together), strict=True):
        assert math.isclose(one.bits_per_dim, other.bits_per_dim, rel_tol=1e-12)


def test_codecs_see_the_pixels_that_the_model_saw(tmp_path: Path) -> None:
    colour = noise(3, 20, 30, bits=10)
    write(tmp_path / "colour.png", Image(colour, bits=10))
    model, path = Toy(ToyConfig(bits=4)), [tmp_path / "colour.png"]
    options = {"gray": True, "reduce_bits": True, "against": ("png", "jxl")}
    (result,) = done(list(evaluate(model, path, **options)))  # type: ignore[arg-type]
    seen = to_gray(colour) >> 6
    assert torch.equal(result.pixels, seen) and result.bits == 4
    assert result.codecs == codecs.bits_per_dim(["png", "jxl"], seen, 4)


def test_pixels_that_do_not_fit_name_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "colour.png", Image(noise(3, 4, 4), bits=8))
    write(tmp_path / "deep.png", Image(noise(1, 4, 4, bits=12), bits=12))
    reasons = [failure.reason for failure in failed(list(evaluate(Toy(ToyConfig()), [tmp_path])))]
    assert "colour.png" in reasons[0] and "--gray" in reasons[0]
    assert "deep.png" in reasons[1] and "--reduce-bits" in reasons[1]


def test_every_page_counts(tmp_path: Path) -> None:
    pages = noise(3, 6, 7).numpy().astype("uint8")
    tifffile.imwrite(tmp_path / "pages.tif", pages, photometric="minisblack")
    results = done(list(evaluate(Toy(ToyConfig()), [tmp_path / "pages.tif"])))
    assert [result.name for result in results] == ["pages.tif", "pages.tif#1", "pages.tif#2"]
    assert all((r.pixels.numpy() == page).all() for r, page in zip(results, pages, strict=True))


def test_total_weighs_by_number_of_values() -> None:
    small = Evaluation("a", "a", noise(1, 2, 5), 8, 6.0, {"png": 7.0, "webp": 5.0})
    large = Evaluation("b", "b", noise(1, 6, 5), 8, 2.0, {"png": 3.0})
    assert total([small.record(), large.record()]) == {"bits_per_dim": 3.0, "codecs": {"png": 4.0}}
    assert total([]) == {"bits_per_dim": None, "codecs": {}}


@dataclass(frozen=True)
class UniformConfig:
    channels: int = 1
    bits: int | None = 8


class Uniform(LikelihoodModel):
    """A model that says how likely an image is, but not which pixels."""

    config_class: ClassVar[type] = UniformConfig
    likelihood: ClassVar[Literal["mass", "density", "bound"]] = "bound"

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), -8 * math.log(2) * x[0].numel(), dtype=torch.float64)


def test_any_likelihood_will_do(folder: Path) -> None:
    results = done(list(evaluate(Uniform(UniformConfig()), [folder / "a.png"])))
    assert [(round(r.bits_per_dim, 9), r.surprise) for r in results] == [(8.0, None)]


def test_wrong_use_is_refused_before_anything_is_done(folder: Path) -> None:
    model = Toy(ToyConfig())
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        next(evaluate(model, [folder], batch_size=0))
    with pytest.raises(ValueError, match="unknown codec gif"):
        next(evaluate(model, [folder], against=["gif"]))
    with pytest.raises(ValueError, match="needs a model of integers"):
        next(evaluate(Uniform(UniformConfig(bits=None)), [folder]))


def test_half_precision_changes_little() -> None:
    torch.manual_seed(0)
    model = build(PRESETS["pyramid-gray-tiny"].config)
    assert isinstance(model, LikelihoodModel)
    x = torch.randint(256, (1, 1, 24, 24), generator=torch.Generator().manual_seed(0))
    full, _ = evaluate_batch(model, x)
    half, surprise = evaluate_batch(model, x, half=True)
    assert surprise is not None and surprise.sum().item() == pytest.approx(half.item() * x.numel())
    assert 0 < abs(full - half).item() < 0.005 * full.item()
