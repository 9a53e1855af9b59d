"""Reversible colour: nothing is lost, and the bounds of each plane are what it can reach."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from imprior.transforms.colour import inverse_ycocg, ycocg, ycocg_support


def every_colour(bits: int) -> Tensor:
    """All RGB triples as images of one pixel, (8^bits, 3, 1, 1)."""
    triples = list(itertools.product(range(2**bits), repeat=3))
    return torch.tensor(triples).view(-1, 3, 1, 1)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_colour_has_its_own_triple_and_comes_back(bits: int) -> None:
    rgb = every_colour(bits)
    planes = ycocg(rgb)
    assert torch.equal(inverse_ycocg(planes), rgb)
    assert len(planes.unique(dim=0)) == len(rgb)
    assert planes.dtype == torch.int64


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_support_is_exactly_what_can_be_reached(bits: int) -> None:
    planes = ycocg(every_colour(bits))[:, :, 0, 0]
    assert planes[:, 0].unique().tolist() == list(range(2**bits))
    for plane in (1, 2):
        reached = defaultdict(set)
        for row in planes.tolist():
            reached[tuple(row[:plane])].add(row[plane])
        for earlier, values in reached.items():
            low, high = ycocg_support([torch.tensor(value) for value in earlier], bits)
            assert values == set(range(int(low), int(high) + 1)), earlier


def test_grey_has_no_colour_and_its_own_luma() -> None:
    grey = torch.arange(256).view(-1, 1, 1, 1).expand(-1, 3, -1, -1)
    luma, *differences = ycocg(grey).unbind(1)
    assert torch.equal(luma, grey[:, 0])
    assert not any(difference.any() for difference in differences)


def test_floats_come_back_and_keep_their_volume() -> None:
    rgb = torch.rand(5, 3, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(inverse_ycocg(ycocg(rgb)), rgb, rtol=0, atol=1e-15)
    pixel = torch.rand(3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda rgb: ycocg(rgb.view(1, 3, 1, 1)).flatten(), pixel
    )
    assert jacobian.det().abs().item() == pytest.approx(1, abs=1e-14)
