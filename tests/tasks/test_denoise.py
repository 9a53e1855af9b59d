"""Denoising is the model's, for all channels or for each; figures are scikit-image's."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from imprior.models.local.config import FlatDenoiserConfig
from imprior.tasks import denoise as module
from imprior.tasks.denoise import add_noise, check_noise, denoise, quality
from tests.models.local.small import FLAT, flat, local


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64)


def test_all_channels_at_once() -> None:
    model, y = local(channels=3), picture(3, 40, 33)
    with torch.no_grad():
        expected = model.denoise(y[None])[0]
    torch.testing.assert_close(denoise(model, y, tile=16), expected, rtol=0, atol=1e-9)


def test_a_grey_model_takes_channel_by_channel() -> None:
    model, y, shares = flat(), picture(3, 40, 33), list[float]()
    with torch.no_grad():
        expected = model.denoise(y[:, None])[:, 0]
    result = denoise(model, y, tile=24, progress=shares.append)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-9)
    assert shares == sorted(shares) and len(shares) == 12 and shares[-1] == pytest.approx(1)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_ensemble_is_the_mean_over_all_views_and_the_same_for_each(channels: int) -> None:
    model, y, shares = flat(channels=channels, blocks=2), picture(3, 21, 32), list[float]()
    each = y[:, None] if channels == 1 else y[None]
    with torch.no_grad():
        turned = [each.rot90(n, (2, 3)) for n in range(4)]
        views = [*turned, *(view.mT for view in turned)]
        estimates = [model.denoise(view) for view in views]
    back = [estimates[n].rot90(-n, (2, 3)) for n in range(4)]
    back += [estimates[4 + n].mT.rot90(-n, (2, 3)) for n in range(4)]
    expected = torch.stack(back).mean(0).view_as(y)
    found = denoise(model, y, tile=16, ensemble=True, progress=shares.append)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    again = denoise(model, y.flip(1).mT, ensemble=True).mT.flip(1)
    torch.testing.assert_close(again, found, rtol=0, atol=1e-9)


def test_a_model_of_colours_does_not_take_grey() -> None:
    config: FlatDenoiserConfig = replace(FLAT, channels=3)
    model = flat(channels=config.channels)
    with pytest.raises(ValueError, match="the image has 1 colour channel, the model is for 3"):
        denoise(model, picture(1, 8, 8))
    with pytest.raises(ValueError, match="has 4 colour channels"):
        denoise(model, picture(4, 8, 8))


def test_noise_is_seeded_not_clipped_and_of_its_level() -> None:
    x = picture(1, 200, 200)
    y = add_noise(x, 51, seed=3)
    assert torch.equal(y, add_noise(x, 51, seed=3))
    assert not torch.equal(y, add_noise(x, 51, seed=4))
    other = add_noise(x.mT, 51, seed=3) - x.mT
    assert not torch.allclose(other, y - x), "other images have other noise"
    torch.testing.assert_close(add_noise(x, 102, seed=3) - x, 2 * (y - x))
    assert y.min() < 0 and y.max() > 1
    assert (y - x).std().item() == pytest.approx(0.2, rel=5 / math.sqrt(2 * x.numel()))
    assert (y - x).mean().item() == pytest.approx(0, abs=5 * 0.2 / math.sqrt(x.numel()))


@pytest.mark.parametrize("sigma", [0, -1, 256, math.nan, math.inf])
def test_levels_of_noise_are_grey_levels(sigma: float) -> None:
    with pytest.raises(ValueError, match=f"above 0 and at most 255; got {sigma:g}"):
        check_noise(sigma, 0)


@pytest.mark.parametrize("shape", [(1, 40, 33), (3, 11, 30), (2, 57, 12)])
def test_figures_are_those_of_the_whole_image(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BAND", 8)
    clean = picture(*shape)
    x = add_noise(clean, 40, seed=0)
    found, (a, b) = quality(clean, x), (clean.numpy(), x.numpy())
    psnr = peak_signal_noise_ratio(a, b, data_range=1.0)
    ssim = structural_similarity(
        a, b, data_range=1.0, channel_axis=0,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert found.psnr == pytest.approx(psnr, abs=1e-10)
    assert found.ssim == pytest.approx(ssim, abs=1e-12)


def test_noise_alone_has_the_psnr_of_its_level() -> None:
    clean = picture(1, 300, 300)
    found = quality(clean, add_noise(clean, 25, seed=0))
    assert found.psnr == pytest.approx(20 * math.log10(255 / 25), abs=0.1)


def test_equal_images_and_small_ones() -> None:
    x = picture(1, 12, 12)
    assert quality(x, x).psnr == math.inf and quality(x, x).ssim == pytest.approx(1)
    assert quality(x[:, :10], x[:, :10] + 0.1).ssim is None
    assert quality(x[:, :10], x[:, :10] + 0.1).psnr == pytest.approx(20)
