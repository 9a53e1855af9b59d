"""Wavelets are orthonormal and invertible, and PyWavelets finds the same coefficients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from imprior.transforms.wavelets import analyze, filter_length, synthesize

WAVELETS = ["haar", "db2", "db7", "sym5", "coif2"]
SIZES = [(8, 8), (12, 6), (7, 10), (9, 5), (1, 1), (1, 6), (3, 2), (64, 33)]
each_wavelet = pytest.mark.parametrize("wavelet", WAVELETS)
each_size = pytest.mark.parametrize("size", SIZES, ids=str)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


@each_wavelet
@each_size
def test_synthesis_undoes_analysis(wavelet: str, size: tuple[int, int]) -> None:
    x = noise(2, 3, *size)
    low, details = analyze(x, wavelet)
    half = -(-size[0] // 2), -(-size[1] // 2)
    assert low.shape == (2, 3, *half) and details.shape == (2, 9, *half)
    assert_close(synthesize(low, details, wavelet, size), x)


@each_wavelet
def test_energy_is_kept_and_the_transpose_is_the_inverse(wavelet: str) -> None:
    x, low, details = noise(1, 2, 10, 6), noise(1, 2, 5, 3), noise(1, 6, 5, 3)
    a, d = analyze(x, wavelet)
    assert a.square().sum() + d.square().sum() == pytest.approx(float(x.square().sum()))
    back = synthesize(low, details, wavelet)
    assert (a * low).sum() + (d * details).sum() == pytest.approx(float((x * back).sum()))
    again = analyze(back, wavelet)
    assert_close(again[0], low)
    assert_close(again[1], details)


@each_wavelet
@each_size
def test_pywavelets_finds_the_same(wavelet: str, size: tuple[int, int]) -> None:
    x = noise(2, 2, *size)
    low, details = analyze(x, wavelet)
    for image, (a, d) in zip(x, zip(low, details, strict=True), strict=True):
        expected = [pywt.dwt2(band.numpy(), wavelet, mode="periodization") for band in image]
        assert_close(a, torch.from_numpy(np.stack([cA for cA, _ in expected])))
        for number in range(3):
            bands = np.stack([details[number] for _, details in expected])
            assert_close(d[2 * number : 2 * number + 2], torch.from_numpy(bands))


@each_size
def test_haar_is_the_same_in_the_mode_of_the_published_code(size: tuple[int, int]) -> None:
    x = noise(1, 1, *size)
    low, details = analyze(x)
    expected, bands = pywt.dwt2(x[0, 0].numpy(), "haar")
    assert_close(low[0, 0], torch.from_numpy(expected))
    assert_close(details[0], torch.from_numpy(np.stack(bands)))


def test_coefficients_are_those_of_the_published_code(data_root: Path) -> None:
    """Its coefficients of level j are divided by 2^(j + 1)."""
    arrays = np.load(data_root / "parity" / "denoisers.npz")
    x = torch.from_numpy(arrays["noisy"]).double()
    for level in (0, 1):
        x, details = (band / 2 for band in analyze(x))
        expected = torch.from_numpy(arrays[f"coeffs_{level}"]).double()
        assert_close(torch.cat([x, details], 1), expected, 1e-6)


@each_wavelet
def test_flat_image_has_a_low_pass_twice_as_bright_and_no_details(wavelet: str) -> None:
    low, details = analyze(torch.full((1, 1, 6, 8), 0.3, dtype=torch.float64), wavelet)
    assert_close(low, torch.full((1, 1, 3, 4), 0.6, dtype=torch.float64), 1e-8)
    assert_close(details, torch.zeros(1, 3, 3, 4, dtype=torch.float64), 1e-8)


def test_length_of_filters() -> None:
    assert [filter_length(wavelet) for wavelet in WAVELETS] == [2, 4, 14, 10, 12]


def test_gradient_is_the_transpose() -> None:
    x = noise(1, 1, 6, 6).requires_grad_()
    low, details = noise(1, 1, 3, 3), noise(1, 3, 3, 3)
    a, d = analyze(x, "db2")
    ((a * low).sum() + (d * details).sum()).backward()
    assert x.grad is not None
    assert_close(x.grad, synthesize(low, details, "db2"))


def test_what_cannot_be_used_is_refused() -> None:
    x = noise(1, 1, 4, 4)
    for name, reason in (("bior2.2", "not orthogonal"), ("morl", "no wavelet"), ("", "no wavelet")):
        with pytest.raises(ValueError, match=reason):
            analyze(x, name)
    for wrong in (x[0], x.long()):
        with pytest.raises(ValueError, match="take floats"):
            analyze(wrong)
    low, details = analyze(x)
    with pytest.raises(ValueError, match="needs details of shape"):
        synthesize(low, details[:, :2])
    for size in ((5, 4), (4, 2)):
        with pytest.raises(ValueError, match="one line less"):
            synthesize(low, details, size=size)
