"""A multi-scale denoiser: coarse to fine, of any size, each scale by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.denoisers import Denoiser, MultiscaleDenoiser
from imprior.models import build
from imprior.models.local.config import LocalModelConfig
from imprior.models.local.model import LocalModel
from imprior.provenance import PROVENANCE
from imprior.transforms.wavelets import analyze, synthesize
from tests.models.local.small import LOCAL, SMALL, assert_close, local, noise


def silenced(model: LocalModel) -> LocalModel:
    """One whose networks find no noise at all."""
    for name, parameter in model.named_parameters():
        if "convolutions" in name:
            torch.nn.init.zeros_(parameter)
    return model


@pytest.mark.parametrize("size", [(16, 12), (7, 9), (1, 1), (5, 2)])
@pytest.mark.parametrize("wavelet", ["haar", "db2"])
@torch.no_grad()
def test_images_of_any_size_go_through_all_scales(size: tuple[int, int], wavelet: str) -> None:
    y = noise(2, 3, *size)
    model = local(channels=3, wavelet=wavelet)
    assert model.denoise(y).shape == y.shape
    assert_close(silenced(model).denoise(y), y)


@torch.no_grad()
def test_details_are_denoised_given_the_denoised_low_pass() -> None:
    model, y = local(channels=2), noise(1, 2, 8, 12)
    low_0, details_0 = (band / 2 for band in analyze(y))
    low_1, details_1 = (band / 2 for band in analyze(low_0))
    clean_1 = model.low.denoise(low_1)
    seen = torch.cat([clean_1, details_1], 1)
    clean_0 = synthesize(2 * clean_1, 2 * (details_1 - model.scale(1).network(seen)))
    seen = torch.cat([clean_0, details_0], 1)
    clean = synthesize(2 * clean_0, 2 * (details_0 - model.scale(0).network(seen)))
    assert_close(model.denoise(y), clean)


@torch.no_grad()
def test_low_pass_images_keep_their_range_and_noise_is_halved() -> None:
    model = local()
    low, details = model.split(torch.rand(2, 1, 64, 64, dtype=torch.float64))
    assert float(low.min()) >= 0 and float(low.max()) <= 1
    assert float(details.abs().max()) <= 0.5
    for band in model.split(noise(1, 1, 256, 256)):
        assert float(band.std()) == pytest.approx(0.5, rel=0.02)


@torch.no_grad()
def test_model_is_homogeneous() -> None:
    model, y = local(), noise(1, 1, 9, 10)
    assert_close(model.denoise(3 * y), 3 * model.denoise(y))


def reach(model: LocalModel, side: int) -> int:
    """The farthest input that a pixel depends on, over all pixels around the centre."""
    y, farthest = noise(1, 1, side, side).requires_grad_(), 0
    out = model.denoise(y)
    start = side // 2
    for row in range(start, start + model.alignment):
        (gradient,) = torch.autograd.grad(out[0, 0, row, start], y, retain_graph=True)
        seen = gradient[0, 0].nonzero()
        assert seen.min() > 0 and seen.max() < side - 1, "the image is too small for this test"
        farthest = max(farthest, int((seen[:, 0] - row).abs().max()))
    return farthest


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_receptive_field_is_what_pixels_depend_on(wavelet: str) -> None:
    wide = replace(LOCAL.low, width=16)
    scales = tuple(replace(network, width=16) for network in LOCAL.scales)
    model = local(wavelet=wavelet, low=wide, scales=scales)
    found = reach(model, 2 * model.receptive_field)
    assert found <= model.halo
    if wavelet == "haar":
        assert found == model.halo == 2 * (3 + (2 * (2 + 3) + 1)) + 1


@pytest.mark.parametrize("number", [0, 1])
@torch.no_grad()
def test_tile_with_a_halo_is_the_same_as_the_whole(number: int) -> None:
    model = local()
    halo, unit = model.halo, model.alignment
    y = noise(1, 1, 96, 101)
    first = unit * (number + 11)
    start = (first - halo) // unit * unit
    tile = model.denoise(y[:, :, start : first + 8 + halo])
    assert_close(tile[:, :, first - start :][:, :, :8], model.denoise(y)[:, :, first : first + 8])


def test_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model = local(channels=3, wavelet="sym4")
    assert isinstance(build(model.config), LocalModel)
    checkpoint.save(model, tmp_path / "model", dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path / "model")
    assert isinstance(loaded, LocalModel) and loaded.config == model.config
    y = noise(1, 3, 8, 8)
    assert torch.equal(loaded.denoise(y), model.denoise(y))


# -- training


def test_parts_see_the_coefficients_of_clean_images() -> None:
    model = local()
    x = torch.randint(256, (2, 1, 16, 20))
    parts = {part.name: part for part in model.parts()}
    assert list(parts) == ["scale-0", "scale-1", "low"]
    image = x.float() / 255
    for number in (0, 1):
        low, details = (band / 2 for band in analyze(image))
        seen = parts[f"scale-{number}"].images(x)
        torch.testing.assert_close(seen, torch.cat([low, details], 1))
        assert parts[f"scale-{number}"].model is model.scale(number)
        image = low
    torch.testing.assert_close(parts["low"].images(x), image)
    finer = {name: [view(x) for view in part.finer] for name, part in parts.items()}
    assert [len(views) for views in finer.values()] == [0, 1, 2]
    torch.testing.assert_close(finer["scale-1"][0], parts["scale-0"].images(x))
    torch.testing.assert_close(finer["low"][0], parts["scale-0"].images(x)[:, :1])
    torch.testing.assert_close(finer["low"][1], x.float() / 255)
    assert parts["low"].model is model.low


def test_parts_learn_by_themselves() -> None:
    model = local().float().train()
    x = torch.randint(256, (2, 1, 16, 16))
    for name, part, view, _ in model.parts():
        model.zero_grad()
        part.loss(view(x)).backward()  # type: ignore[operator]
        others = {id(p) for p in model.parameters()} - {id(p) for p in part.parameters()}
        for parameter in model.parameters():
            learnt = parameter.grad is not None and bool(parameter.grad.any())
            assert learnt == (id(parameter) not in others), name
        figures: dict[str, Tensor] = part.metrics(view(x))  # type: ignore[operator]
        assert set(figures) == {"mse", "error_db"}


# -- conditional denoisers, and what is refused


@pytest.mark.parametrize("level", [0, 1])
@torch.no_grad()
def test_details_given_their_low_pass_have_a_denoiser(level: int) -> None:
    model, low, details = local(channels=2), noise(3, 2, 7, 6), noise(3, 6, 7, 6)
    given = model.given(low, level)
    assert isinstance(given, Denoiser) and isinstance(model, MultiscaleDenoiser)
    assert given.config is model.config.noise and given.channels == 6
    assert torch.equal(given.denoise(details), model.scale(level).denoise(low, details))
    assert_close(given.score(details, 0.5), model.scale(level).score(low, details, 0.5))
    assert torch.equal(model.given(low).denoise(details), model.scale(0).denoise(low, details))
    with pytest.raises(ValueError, match="as many details"):
        given.denoise(details[:2])


@pytest.mark.parametrize("level", [0, 1])
def test_details_depend_on_the_field_of_their_scale(level: int) -> None:
    wide = tuple(replace(network, width=16) for network in LOCAL.scales)
    low, details = noise(1, 1, 15, 15).requires_grad_(), noise(1, 3, 15, 15).requires_grad_()
    given = local(scales=wide).given(low, level)
    given.denoise(details)[0, 0, 7, 7].backward()
    for seen in (low, details):
        assert seen.grad is not None
        places = seen.grad.sum((0, 1)).nonzero()
        assert places.min() == 7 - given.halo and places.max() == 7 + given.halo
    assert given.receptive_field == (7, 5)[level]


@pytest.mark.parametrize("count", [1, 3])
@torch.no_grad()
def test_scales_are_counted_as_images_are_split(count: int) -> None:
    model, low = local(scales=(SMALL,) * count), noise(1, 1, 16, 24)
    assert model.num_scales == count
    for level in range(model.num_scales):
        low, details = model.split(low)
        assert model.given(low, level).denoise(details).shape == details.shape
    assert low.shape[2:] == (16 >> count, 24 >> count)
    for level in (-1, count):
        with pytest.raises(ValueError, match=f"scales are 0 to {count - 1}, got {level}"):
            model.given(low, level)


@pytest.mark.parametrize(("wavelet", "periodic"), [("haar", False), ("db2", True), ("sym4", True)])
def test_only_longer_wavelets_than_haar_see_the_opposite_border(
    wavelet: str, periodic: bool
) -> None:
    model, y = local(wavelet=wavelet), noise(1, 1, 128, 8).requires_grad_()
    assert model.periodic == periodic
    model.denoise(y)[0, 0, 0].sum().backward()
    assert y.grad is not None
    assert bool(y.grad[0, 0, -1].any()) == periodic


@torch.no_grad()
def test_score_of_details_is_by_their_noise() -> None:
    scale = local().scale(0)
    low, details = noise(1, 1, 6, 6), noise(1, 3, 6, 6)
    found = scale.score(low, details, 0.5)
    assert_close(found, -4 * scale.network(torch.cat([low, details], 1)))


def test_what_does_not_fit_is_refused() -> None:
    model, low = local(), noise(1, 1, 6, 6)
    for wrong in (noise(1, 2, 6, 6), noise(1, 3, 6, 5), noise(2, 3, 6, 6)):
        with pytest.raises(ValueError, match="as many details"):
            model.scale(0).denoise(low, wrong)
    for number in (-1, 2):
        with pytest.raises(ValueError, match="scales are 0 to 1"):
            model.scale(number)
    with pytest.raises(ValueError, match="got NaN"):
        model.denoise(low / 0)
    with pytest.raises(ValueError, match="needs a scale"):
        LocalModelConfig(scales=())
    with pytest.raises(ValueError, match="not orthogonal"):
        LocalModel(LocalModelConfig(1, (SMALL,), SMALL, "bior2.2"))
