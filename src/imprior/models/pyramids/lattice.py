"""Where the pixels of a tile's levels lie in the image."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from imprior.transforms import pairs

Window = tuple[slice, slice, slice, slice]


def tiles(shape: torch.Size, side: int) -> list[Window]:
    """Windows that cover images (B, C, H, W): as few as possible, none longer than `side`.

    Cuts are at even pixels, so that only the last tile of a row or column has unpaired lines.
    """
    rows, columns = (_cuts(length, side) for length in shape[2:])
    return [(slice(None), slice(None), row, column) for row in rows for column in columns]


def _cuts(length: int, side: int) -> list[slice]:
    count = -(-length // side)
    step = -(-length // (2 * count)) * 2
    stops = [min(n * step, length) for n in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(stops)]


class Walked:
    """The part of a canvas that a walk goes over, and where it lies in all of it.

    Arguments:
        canvas: Integers (B, C, H, W) that the caller writes.
        window: The tile.
    """

    def __init__(self, canvas: Tensor, window: Window) -> None:
        self.flat = canvas.view(-1)
        self.index = torch.arange(len(self.flat)).view(canvas.shape)[window]

    def fine(self, axes: tuple[int, ...]) -> Tensor:
        """Positions of the fine part of the last of some levels, (B, C, H, W)."""
        *before, axis = axes
        return pairs.split(self.coarse(tuple(before)), axis)[1]

    def coarse(self, axes: tuple[int, ...]) -> Tensor:
        """Positions of the coarse image after some levels, (B, C, H, W)."""
        index = self.index
        for axis in axes:
            index, _ = pairs.split(index, axis)
        return index

    def values(self, index: Tensor) -> Tensor:
        """What the caller has written; 0 for positions that are negative."""
        return torch.where(index < 0, 0, self.flat[index.clamp(min=0)])
