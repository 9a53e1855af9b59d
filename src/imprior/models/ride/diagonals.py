"""Anti-diagonals of a grid: the cells of one need only those of the one before.

A recurrent layer that looks left and up can do all cells with the same row + column at once, in
all images of a batch. Cells are therefore stored in that order: diagonal after diagonal, in each
the rows from top to bottom, in each row the images. Then left neighbours are one contiguous piece
of the diagonal before, upper neighbours another.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Step(NamedTuple):
    """One diagonal: where its cells, and those before and after it, are stored.

    Cell q of the diagonal has its left neighbour at q + shift * batch of the one before, and its
    upper neighbour at q + (shift - 1) * batch, if there are such cells.

    Attributes:
        start, cells: First place, and how many.
        before, cells_before: Of the diagonal before; no cells if there is none.
        after, cells_after: Of the one after; no cells if it is not stored.
        shift, shift_after: 1 if a diagonal starts a row below the one before it, else 0.
        batch: Images.
    """

    start: int
    cells: int
    before: int
    cells_before: int
    after: int
    cells_after: int
    shift: int
    shift_after: int
    batch: int


@dataclass(frozen=True)
class Diagonals:
    """The anti-diagonals of `batch` grids of `height` x `width` cells."""

    batch: int
    height: int
    width: int

    def __len__(self) -> int:
        return self.height + self.width - 1

    @property
    def longest(self) -> int:
        """Cells of the longest diagonal."""
        return min(self.height, self.width) * self.batch

    def top(self, d: int) -> int:
        """The first row of diagonal `d`."""
        return max(0, d - self.width + 1)

    def cells(self, d: int) -> int:
        """Number of cells of diagonal `d`; 0 outside of the grid."""
        inside = 0 <= d < len(self)
        return (min(d, self.height - 1) - self.top(d) + 1) * self.batch if inside else 0

    def blocks(self, at_least: int) -> list[tuple[int, int]]:
        """Cuts the diagonals into runs [from, to) of at least so many cells, the last excepted."""
        blocks, first, count = [], 0, 0
        for d in range(len(self)):
            count += self.cells(d)
            if count >= at_least or d == len(self) - 1:
                blocks.append((first, d + 1))
                first, count = d + 1, 0
        return blocks


@functools.lru_cache(maxsize=64)
def steps(diagonals: Diagonals, first: int, stop: int) -> tuple[Step, ...]:
    """The diagonals from `first` to before `stop`, stored behind the one before `first`."""
    start, result = diagonals.cells(first - 1), []
    for d in range(first, stop):
        cells, before = diagonals.cells(d), diagonals.cells(d - 1)
        shift = diagonals.top(d) - diagonals.top(d - 1)
        shift_after = diagonals.top(d + 1) - diagonals.top(d)
        after = diagonals.cells(d + 1) if d + 1 < stop else 0
        result.append(
            Step(
                *(start, cells, start - before, before, start + cells, after),
                *(shift, shift_after, diagonals.batch),
            )
        )
        start += cells
    return tuple(result)


@functools.lru_cache(maxsize=16)
def positions(diagonals: Diagonals, first: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, row and column of the cells of some diagonals, int64, in the order of storage."""
    batch, height, width = diagonals.batch, diagonals.height, diagonals.width
    d = np.arange(first, stop)
    top, bottom = np.maximum(0, d - width + 1), np.minimum(d, height - 1)
    rows = bottom - top + 1
    starts = np.cumsum(rows) - rows
    y = np.arange(rows.sum()) - np.repeat(starts - top, rows)
    x = np.repeat(d, rows) - y
    image = np.tile(np.arange(batch), len(y))
    columns = (image, np.repeat(y, batch), np.repeat(x, batch))
    return torch.from_numpy(columns[0]), torch.from_numpy(columns[1]), torch.from_numpy(columns[2])
