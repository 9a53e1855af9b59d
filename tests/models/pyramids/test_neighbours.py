"""The coarse pixels around fine ones."""

from __future__ import annotations

import pytest
import torch

from imprior.models.pyramids.neighbours import GAIN, neighbours, num_neighbours
from imprior.transforms import pairs


@pytest.mark.parametrize("axis", [pairs.ROWS, pairs.COLUMNS])
@pytest.mark.parametrize("size", [(6, 5), (7, 4), (2, 2)])
def test_are_those_beside_the_fine_line_relative_to_its_centre(
    size: tuple[int, int], axis: int
) -> None:
    x = torch.rand(2, 3, *size)
    coarse, fine = pairs.split(x, axis)
    found = neighbours(coarse, axis)
    assert found.shape == (2, num_neighbours(3), *coarse.shape[2:])
    centre, *around = found.split(3, 1)
    expected = pairs.interpolate(coarse, axis, fine.shape[axis])
    torch.testing.assert_close(centre.narrow(axis, 0, fine.shape[axis]), expected)
    lines = coarse if axis == pairs.ROWS else coarse.transpose(2, 3)
    height, width = lines.shape[2:]
    for number, one in enumerate(around):
        relative = one if axis == pairs.ROWS else one.transpose(2, 3)
        middle = centre if axis == pairs.ROWS else centre.transpose(2, 3)
        rows = (torch.arange(height) + number // 3 - 2).clamp(0, height - 1)
        columns = (torch.arange(width) + number % 3 - 1).clamp(0, width - 1)
        beside = lines[:, :, rows][:, :, :, columns]
        torch.testing.assert_close(relative / GAIN + middle, beside)


def test_a_plane_without_edges_has_differences_of_none() -> None:
    found = neighbours(torch.full((1, 1, 4, 4), 0.3), pairs.ROWS)
    torch.testing.assert_close(found[:, :1], torch.full((1, 1, 4, 4), 0.3))
    assert found[:, 1:].abs().max() < 1e-6
