"""Images are made smaller as the model sees it, and figures are those of quality()."""

from __future__ import annotations

import pytest
import torch

from imprior.base import Multiscale
from imprior.data.images import to_float
from imprior.models import build
from imprior.presets import PRESETS
from imprior.tasks.denoise import quality
from imprior.tasks.interpolation import bicubic, nearest
from imprior.tasks.shrink import compare, crop, phase, shrink
from tests.blocks import Blocks, BlocksConfig
from tests.models.local import small
from tests.scales import NearConfig, Scales


def picture(channels: int = 1, height: int = 24, width: int = 32, bits: int = 8) -> torch.Tensor:
    return torch.randint(2**bits, (channels, height, width))


def test_crop_leaves_multiples() -> None:
    x = picture(2, 11, 13)
    assert torch.equal(crop(x, 4), x[:, :8, :12])
    with pytest.raises(ValueError, match="of 3 x 9 pixels cannot be made 4 times smaller"):
        crop(picture(1, 3, 9), 4)


@pytest.mark.parametrize("bits", [8, 16])
def test_small_images_of_haar_are_means_of_blocks(bits: int) -> None:
    x = picture(3, bits=bits)
    means = x.double().unflatten(1, (-1, 4)).unflatten(3, (-1, 4)).mean((2, 4))
    for model in (Scales(NearConfig(3)), small.local(channels=3)):
        assert (shrink(model, x, bits, 4) - means).abs().max() <= 0.5 + 1e-6


def test_small_images_of_pixels_are_pixels() -> None:
    model, x = Blocks(BlocksConfig(2)), picture(2)
    assert torch.equal(shrink(model, x, 8, 4), x[:, 3::4, 3::4])
    with pytest.raises(ValueError, match="takes 8-bit values"):
        shrink(model, 256 + x, 8, 4)


def test_phase_is_the_middle_of_blocks_or_the_pixel() -> None:
    assert phase(Scales(NearConfig()), 4) == pytest.approx((1.5, 1.5))
    assert phase(Blocks(BlocksConfig()), 8) == (7, 7)


def test_phase_of_a_pyramid_is_where_its_pixels_are() -> None:
    model = build(PRESETS["pyramid-gray-tiny"].config)
    assert isinstance(model, Multiscale)
    x = picture()
    row, column = map(int, phase(model, 4))
    assert torch.equal(shrink(model, x, 8, 4), x[:, row::4, column::4])


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4"])
def test_interpolation_at_the_phase_keeps_ramps(wavelet: str) -> None:
    model = small.local(wavelet=wavelet)
    ramp = torch.arange(128).mul(500).expand(1, 128, -1)
    low = to_float(shrink(model, ramp, 16, 4), 16, torch.float64)
    large = bicubic(low, 4, phase(model, 4))
    inner = (0, 0, slice(48, 80))
    torch.testing.assert_close(large[inner] * (2**16 - 1), ramp[inner].double(), rtol=0, atol=2.0)


def test_figures_are_those_of_rounded_images() -> None:
    clean, small_, made = picture(), picture(1, 6, 8), picture()
    at = (1.5, 1.5)
    found = compare(clean, {"sample": made}, small_, 8, 4, at)
    assert list(found) == ["sample", "bicubic", "nearest"]
    reference = to_float(clean, 8, torch.float64)
    wide = bicubic(to_float(small_, 8, torch.float64), 4, at).mul(255).round().clamp(0, 255) / 255
    expected = {
        "sample": to_float(made, 8, torch.float64),
        "bicubic": wide,
        "nearest": to_float(nearest(small_, 4, at), 8, torch.float64),
    }
    for name, x in expected.items():
        assert found[name].psnr == pytest.approx(quality(reference, x).psnr, abs=1e-9)
        assert found[name].ssim == pytest.approx(quality(reference, x).ssim, abs=1e-9)
