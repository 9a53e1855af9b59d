"""Interpolation keeps what it is given, where it is, and straight lines straight."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from imprior.tasks.interpolation import bicubic, nearest

BLOCKS = (1.5, 1.5)


def image(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("way", [bicubic, nearest])
def test_given_pixels_are_where_the_phase_says(way: object) -> None:
    x = image(2, 5, 6)
    large = way(x, 4, (1.0, 3.0))  # type: ignore[operator]
    assert large.shape == (2, 20, 24)
    torch.testing.assert_close(large[:, 1::4, 3::4], x, rtol=0, atol=1e-12)


def test_nearest_pixels_of_blocks_are_blocks() -> None:
    x = torch.randint(256, (3, 4, 5))
    blocks = x.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.equal(nearest(x, 4, BLOCKS), blocks)


def test_bicubic_keeps_parabolas_away_from_borders() -> None:
    def parabola(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        return (rows[:, None] ** 2 - 3 * columns * rows[:, None] + columns)[None]

    rows, columns = torch.arange(8).double(), torch.arange(9).double()
    large = bicubic(parabola(rows, columns), 2, (0.5, 1.0))
    at_rows, at_columns = (torch.arange(16) - 0.5) / 2, (torch.arange(18) - 1.0) / 2
    expected = parabola(at_rows.double(), at_columns.double())
    inner = (..., slice(4, 11), slice(4, 13))
    torch.testing.assert_close(large[inner], expected[inner], rtol=0, atol=1e-10)


def test_bicubic_is_that_of_pillow_away_from_borders() -> None:
    x = image(1, 9, 10).float()
    large = bicubic(x, 4, BLOCKS)
    other = Image.fromarray(x[0].numpy()).resize((40, 36), Image.Resampling.BICUBIC)
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(large[0].numpy()[inner], np.asarray(other)[inner], atol=1e-5)
