"""Flat denoisers: what they learn, how they are measured, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.models import build
from imprior.models.local import noise as objective
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig, NoiseConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.provenance import PROVENANCE
from tests.models.local.small import FLAT, SMALL, assert_close, flat, noise


@torch.no_grad()
def test_noise_is_what_is_taken_away() -> None:
    model, y = flat(channels=3), noise(2, 3, 7, 9)
    assert_close(model.denoise(y), y - model.network(y))
    assert_close(model.score(y, 0.5), -4 * model.network(y))
    levels = torch.tensor([0.5, 0.25])
    assert_close(model.score(y, levels)[1], -16 * model.network(y)[1])


@torch.no_grad()
def test_nothing_depends_on_the_batch_the_mode_or_the_layout() -> None:
    model, y = flat(), noise(3, 1, 8, 11)
    together = model.denoise(y)
    apart = torch.cat([model.train().denoise(image[None]) for image in y])
    assert_close(together, apart)
    assert_close(model.denoise(y.contiguous(memory_format=torch.channels_last)), together)


@torch.no_grad()
def test_tile_with_a_halo_is_the_same_as_the_whole() -> None:
    model, y = flat(), noise(1, 1, 30, 20)
    tile = model.denoise(y[:, :, 10 - model.halo : 20 + model.halo])
    assert_close(tile[:, :, model.halo : -model.halo], model.denoise(y)[:, :, 10:20])


def test_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model = flat(network=NetworkConfig(5, 4, 7, (0, 1, 4)))
    assert isinstance(build(model.config), FlatDenoiser)
    checkpoint.save(model, tmp_path / "model", dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path / "model")
    assert isinstance(loaded, FlatDenoiser) and loaded.config == model.config
    y = noise(1, 1, 6, 6)
    assert torch.equal(loaded.denoise(y), model.denoise(y))
    assert loaded.bits is None and loaded.config.bits == 8


@torch.no_grad()
def test_half_precision_weights_take_and_give_single_precision() -> None:
    model = flat().float()
    y = torch.rand(1, 1, 9, 9)
    exact = model.denoise(y)
    rounded = model.bfloat16().denoise(y)
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).norm() / exact.norm()) < 0.05


# -- what it learns


def test_levels_of_noise_are_drawn_as_published() -> None:
    """The root of sigma / sigma_max is uniform; images get darker by uniform factors."""
    seen: list[Tensor] = []

    def predict(noisy: Tensor) -> Tensor:
        seen.append(noisy)
        return torch.zeros_like(noisy)

    clean = torch.full((4000, 1, 8, 8), 0.8)
    config = NoiseConfig(0.5, 2.0, rescale=False)
    loss = objective.loss(predict, clean, None, config)
    u = ((seen[0] - clean).square().mean((1, 2, 3)).sqrt() / 0.5).sqrt()
    quantiles = torch.linspace(0.05, 0.95, 10)
    torch.testing.assert_close(torch.quantile(u, quantiles), quantiles, rtol=0, atol=0.04)
    assert float(loss) == pytest.approx(float((seen[0] - clean).square().mean()), rel=1e-4)
    objective.loss(predict, clean, None, NoiseConfig(1e-9))
    darkened = seen[1].mean((1, 2, 3)) / 0.8
    torch.testing.assert_close(torch.quantile(darkened, quantiles), quantiles, rtol=0, atol=0.04)


def test_errors_are_weighted_by_their_level() -> None:
    """Whoever finds no noise errs by its variance: relative to that by 1 at all levels."""
    clean, nothing = torch.zeros(2000, 1, 8, 8), torch.zeros_like
    flat = objective.loss(nothing, clean, None, NoiseConfig(0.5, 2.0, rescale=False))
    assert float(flat) == pytest.approx(0.5**2 / 5, rel=0.1)  # the mean of u^4
    half = objective.loss(nothing, clean, None, NoiseConfig(0.5, 2.0, rescale=False, weight=1))
    assert float(half) == pytest.approx(0.5 / 3, rel=0.1)
    relative = objective.loss(nothing, clean, None, NoiseConfig(0.5, 2.0, rescale=False, weight=2))
    # Levels below a thousandth of the largest, u < 0.032, weigh less.
    assert 0.95 < float(relative) < 1.0
    with pytest.raises(ValueError, match="weight must be at least 0"):
        NoiseConfig(weight=-1)


def test_what_is_given_has_no_noise_and_is_darkened_with_the_rest() -> None:
    fixed, clean, seen = torch.rand(50, 1, 4, 4), torch.rand(50, 3, 4, 4), []

    def predict(noisy: Tensor) -> Tensor:
        seen.append(noisy)
        return noisy[:, 1:]

    objective.loss(predict, clean, fixed, NoiseConfig(0.1, rescale=False))
    assert torch.equal(seen[0][:, :1], fixed)
    objective.loss(predict, clean, fixed, NoiseConfig(1e-9))
    factors = (seen[1] / torch.cat([fixed, clean], 1)).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), rtol=1e-3, atol=1e-4)
    assert 0.5 < float(factors[:, 0].std()) / (1 / 12) ** 0.5 < 1.5


def test_what_is_given_may_have_less_noise() -> None:
    """Its level, as a part of the details', is uniform; and the details' noise is what is asked."""
    fixed, clean, seen = torch.rand(3000, 1, 8, 8), torch.rand(3000, 3, 8, 8), []

    def predict(noisy: Tensor) -> Tensor:
        seen.append(noisy - torch.cat([fixed, clean], 1))
        return seen[-1][:, 1:]

    config = NoiseConfig(0.1, power=0, rescale=False, given=0.8)
    assert float(objective.loss(predict, clean, fixed, config)) < 1e-12
    levels = seen[0].square().mean((2, 3)).sqrt()
    torch.testing.assert_close(levels[:, 1:].mean(0), torch.full((3,), 0.1), rtol=0.01, atol=0)
    quantiles = torch.linspace(0.05, 0.95, 10)
    found = torch.quantile(levels[:, 0], quantiles)
    torch.testing.assert_close(found, 0.08 * quantiles, rtol=0, atol=0.005)
    with pytest.raises(ValueError, match="given must be at least 0"):
        NoiseConfig(given=-1)


@torch.no_grad()
def test_metrics_are_errors_at_known_levels() -> None:
    """Who predicts no noise at all is off by the variance of the noise."""
    clean, config = torch.rand(8, 1, 32, 32), NoiseConfig(0.8)
    figures = objective.metrics(torch.zeros_like, clean, None, config)
    levels = 0.8 * torch.tensor([0.125, 0.375, 0.625, 0.875]) ** 2
    assert float(figures["mse"]) == pytest.approx(float(levels.square().mean()), rel=0.05)
    expected = 20 * levels.log10().mean()
    assert float(figures["error_db"]) == pytest.approx(float(expected), abs=0.2)
    model = flat()
    first, again = (model.metrics(clean.double()) for _ in range(2))
    assert first == again


def test_learns_the_wiener_filter_of_white_images() -> None:
    """Of white Gaussian images the best estimate is y s^2 / (s^2 + sigma^2)."""
    torch.manual_seed(0)
    config = FlatDenoiserConfig(1, NetworkConfig(2, 16, 5), NoiseConfig(1, 1e-3, rescale=False))
    model = FlatDenoiser(config).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(0.5 * torch.randn(16, 1, 16, 16)).backward()
        optimizer.step()
    y = 1.25**0.5 * torch.randn(16, 1, 16, 16)
    with torch.no_grad():
        found = model.denoise(y)
    assert float((found * y).sum() / y.square().sum()) == pytest.approx(0.2, abs=0.02)
    assert float((found - 0.2 * y).square().mean().sqrt()) < 0.08


def test_parts_see_floats() -> None:
    model = flat(bits=4)
    ((name, part, view, finer),) = model.parts()
    assert name == "" and part is model and not finer
    assert view(torch.tensor([0, 3, 15])).tolist() == pytest.approx([0, 0.2, 1])


# -- what it refuses


def test_what_cannot_be_denoised_is_refused() -> None:
    model, y = flat(), noise(1, 1, 4, 4)
    damaged = y.clone()
    damaged[0, 0, 1, 1] = float("nan")
    for wrong, reason in (
        (y[0], "takes images of shape"),
        (y.expand(1, 3, 4, 4), "takes images of shape"),
        (y.long(), "floats .* got torch.int64"),
        (damaged, "NaN or infinity"),
        (y / 0, "NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=reason):
            model.denoise(wrong)
    for sigma in (0.0, -1.0, torch.tensor([1.0, 0.0])):
        with pytest.raises(ValueError, match="positive sigma"):
            model.score(y, sigma)


def test_impossible_images_are_refused() -> None:
    for fields, reason in (({"channels": 0}, "channels"), ({"bits": 17}, "bits")):
        with pytest.raises(ValueError, match=reason):
            FlatDenoiserConfig(**{"channels": 1, "network": SMALL, **fields})  # type: ignore[arg-type]
    assert FLAT.channels == 1
