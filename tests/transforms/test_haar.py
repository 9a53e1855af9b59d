"""The integer Haar transform: nothing is lost, and differences are bounded by what can be."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from imprior.transforms import haar

SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 7), (9, 1), (3, 4), (8, 8), (13, 6)]


def every_pair(bits: int) -> tuple[Tensor, Tensor]:
    pairs = torch.tensor(list(itertools.product(range(2**bits), repeat=2)))
    return pairs[:, 0], pairs[:, 1]


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_pair_has_its_own_mean_and_difference(bits: int) -> None:
    a, b = every_pair(bits)
    mean, difference = haar.mean_and_difference(a, b)
    assert torch.equal(mean, (a + b) // 2) and torch.equal(difference, a - b)
    assert len(torch.stack([mean, difference], 1).unique(dim=0)) == 4**bits
    for result, truth in zip(haar.pair_of(mean, difference), (a, b), strict=True):
        assert torch.equal(result, truth) and result.dtype == torch.int64


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_bounds_are_exactly_what_can_be_reached(bits: int) -> None:
    reached = defaultdict(set)
    for mean, difference in zip(*haar.mean_and_difference(*every_pair(bits)), strict=True):
        reached[int(mean)].add(int(difference))
    assert set(reached) == set(range(2**bits))
    for mean, differences in reached.items():
        low, high = haar.difference_bounds(torch.tensor(mean), bits)
        assert differences == set(range(int(low), int(high) + 1)), mean


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back_bit_by_bit(size: tuple[int, int], bits: int) -> None:
    x = torch.randint(2**bits, (2, 3, *size))
    x[0], x[1, 0] = 0, 2**bits - 1
    for levels in (1, 2, 5):
        bands = haar.pyramid(x, levels)
        assert len(bands) == 2 * levels
        low = bands[-1].low
        assert low.min() >= 0 and low.max() < 2**bits
        for band in reversed(bands):
            least, most = haar.difference_bounds(
                band.low.narrow(band.axis, 0, band.detail.shape[band.axis]), bits
            )
            assert bool(((band.detail >= least) & (band.detail <= most)).all())
            low = haar.double(low, band.detail, band.axis)
        assert torch.equal(low, x) and low.dtype == x.dtype


def test_what_has_no_partner_stays() -> None:
    x = torch.tensor([[[[8, 2, 5], [0, 1, 7], [3, 3, 9]]]])
    low, detail = haar.halve(x, -1)
    assert low.tolist() == [[[[5, 5], [0, 7], [3, 9]]]]
    assert detail.tolist() == [[[[6], [-1], [0]]]]
    low, detail = haar.halve(low, -2)
    assert low.tolist() == [[[[2, 6], [3, 9]]]]
    assert detail.tolist() == [[[[5, -2]]]]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", [-1, -2])
def test_every_other_value_and_back(size: tuple[int, int], axis: int) -> None:
    x = torch.arange(2 * size[0] * size[1]).view(2, 1, *size)
    even, odd = haar.every_other(x, axis)
    assert even.shape[axis] + odd.shape[axis] == x.shape[axis]
    assert torch.equal(haar.interleave(even, odd, axis), x)


@pytest.mark.parametrize("size", SIZES)
def test_places_fill_the_canvas(size: tuple[int, int]) -> None:
    for levels in (1, 2, 3):
        canvas = torch.zeros(1, 2, *size, dtype=torch.int64)
        places = haar.places(canvas, levels)
        shapes = [(band.low.shape, band.detail.shape) for band in haar.pyramid(canvas, levels)]
        assert [(band.low.shape, band.detail.shape) for band in places] == shapes
        for band in places:
            band.detail.add_(1)
        places[-1].low.add_(1)
        assert bool((canvas == 1).all())


def test_floats_come_back_and_keep_their_volume() -> None:
    x = torch.rand(2, 1, 5, 6, dtype=torch.float64)
    bands = haar.pyramid(x, 2)
    low = bands[-1].low
    for band in reversed(bands):
        low = haar.double(low, band.detail, band.axis)
    torch.testing.assert_close(low, x, rtol=0, atol=1e-15)

    def flat(x: Tensor) -> Tensor:
        bands = haar.pyramid(x.view(1, 1, 3, 5), 2)
        parts = [*(band.detail for band in bands), bands[-1].low]
        return torch.cat([part.flatten() for part in parts])

    jacobian = torch.autograd.functional.jacobian(flat, torch.rand(15, dtype=torch.float64))
    assert jacobian.det().abs().item() == pytest.approx(1, abs=1e-12)
