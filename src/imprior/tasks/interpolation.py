"""The usual ways to make images larger, for comparison: they know nothing of images."""

from __future__ import annotations

import torch
from torch import Tensor

Phase = tuple[float, float]
"""Where the first pixel of a small image lies in the large one: its row and column."""


def bicubic(x: Tensor, factor: int, phase: Phase) -> Tensor:
    """Cubic convolution with the slope -1/2; beyond its borders an image goes on as it ends.

    Arguments:
        x: Floats (C, H, W).
        factor: How many times as high and wide the result is.
        phase: Blocks of pixels have their middle, (factor - 1) / 2, where every pixel of a
            coarse image is the mean of a block.

    Returns:
        Floats (C, factor H, factor W).

    Source: Keys (1981).
    """
    for axis, first in zip((1, 2), phase, strict=True):
        at = _positions(x.shape[axis], factor, first)
        taps = at.floor()[:, None] + torch.arange(-1, 3)
        weights = _keys(at[:, None] - taps).to(x)
        lines = taps.long().clamp(0, x.shape[axis] - 1).flatten()
        x = x.index_select(axis, lines).unflatten(axis, (-1, 4))
        x = torch.einsum("chtw,ht->chw" if axis == 1 else "chwt,wt->chw", x, weights)
    return x


def nearest(x: Tensor, factor: int, phase: Phase) -> Tensor:
    """The pixel that is nearest; values of any type (C, H, W) -> (C, factor H, factor W)."""
    for axis, first in zip((1, 2), phase, strict=True):
        at = _positions(x.shape[axis], factor, first)
        lines = (at + 0.5).floor().long().clamp(0, x.shape[axis] - 1)
        x = x.index_select(axis, lines)
    return x


def _positions(length: int, factor: int, first: float) -> Tensor:
    """Where the lines of the large image lie among those of the small one."""
    return (torch.arange(length * factor, dtype=torch.float64) - first) / factor


def _keys(distance: Tensor) -> Tensor:
    d = distance.abs()
    near = (1.5 * d - 2.5) * d.square() + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))
