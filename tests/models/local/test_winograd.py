"""Winograd's convolution is a convolution, wherever it is taken."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from imprior.models.local import winograd
from imprior.models.local.config import NetworkConfig
from imprior.models.local.network import BiasFreeCNN
from tests.models.local.small import assert_close, flat, noise, randomized


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 2), (7, 7), (40, 41), (2, 700)])
def test_result_is_that_of_a_convolution(size: tuple[int, int], rectify: bool) -> None:
    for batch, inputs, outputs in ((1, 3, 5), (3, 4, 2)):
        x, kernel = noise(batch, inputs, *size), noise(outputs, inputs, 3, 3)
        expected = functional.conv2d(x, kernel, padding=1)
        expected = expected.relu() if rectify else expected
        for given in (x, x.contiguous(memory_format=torch.channels_last)):
            assert_close(winograd.convolve(given, kernel, rectify=rectify), expected, 1e-11)


def test_spare_memory_is_used_if_it_fits() -> None:
    x, kernel = noise(1, 3, 5, 6), noise(4, 3, 3, 3)
    expected = winograd.convolve(x, kernel, rectify=False)
    spare = torch.full_like(expected, torch.nan)
    found = winograd.convolve(x, kernel, rectify=False, spare=spare)
    assert found.data_ptr() == spare.data_ptr() and torch.equal(found, expected)
    for unfit in (spare[:, :2], spare.contiguous()):
        other = winograd.convolve(x, kernel, rectify=False, spare=unfit)
        assert other.data_ptr() != unfit.data_ptr() and torch.equal(other, expected)


@torch.no_grad()
def test_what_a_network_is_given_stays_as_it_is() -> None:
    network = randomized(BiasFreeCNN(64, 64, NetworkConfig(4, 64, 9))).float()
    x = torch.rand(1, 64, 6, 6).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    first, again = network(x), network(x)
    assert torch.equal(x, before) and torch.equal(first, again)


def test_is_as_exact_as_a_convolution_in_single_precision() -> None:
    x, kernel = noise(1, 64, 24, 24), noise(64, 64, 3, 3)
    exact = functional.conv2d(x, kernel, padding=1)
    found = winograd.convolve(x.float(), kernel.float(), rectify=False)
    plain = functional.conv2d(x.float(), kernel.float(), padding=1)
    error, usual = (float((y.double() - exact).square().mean().sqrt()) for y in (found, plain))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert error < 3 * usual + 1e-6


def test_pays_where_it_can() -> None:
    x, kernel = torch.zeros(1, 64, 4, 4), torch.zeros(64, 64, 3, 3)
    assert winograd.pays(x, kernel)
    assert not winograd.pays(x[:, :1], kernel[:, :1])
    assert not winograd.pays(x, kernel[:1])
    assert not winograd.pays(x, kernel[..., 1:2, 1:2])
    assert not winograd.pays(x.double(), kernel.double())
    kernel.requires_grad_()
    assert not winograd.pays(x, kernel)
    with torch.no_grad():
        assert winograd.pays(x, kernel)
        with torch.autocast("cpu", torch.bfloat16):
            assert not winograd.pays(x, kernel)


def test_network_gives_the_same_with_and_without() -> None:
    """With a gradient it takes PyTorch's convolutions."""
    torch.manual_seed(0)
    network = randomized(BiasFreeCNN(1, 1, NetworkConfig(4, 64, 7))).float()
    x = torch.rand(2, 1, 13, 10)
    expected = network(x)
    assert expected.requires_grad
    with torch.no_grad():
        found = network(x)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_tile_that_is_aligned_is_the_whole_to_the_bit() -> None:
    model = flat(network=NetworkConfig(4, 64, 7)).float()
    y = torch.rand(1, 1, 80, 30)
    assert model.alignment == winograd.SIDE and model.halo == 3
    tile = model.denoise(y[:, :, 36:63])
    assert torch.equal(tile[:, :, 4:24], model.denoise(y)[:, :, 40:60])
