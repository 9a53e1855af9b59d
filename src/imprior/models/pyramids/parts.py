"""Interleaved parts of images, in channels_last memory: their pixels are rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def squeeze(x: Tensor, factor: int) -> Tensor:
    """Parts (0, 0), (0, 1), ... of images; part (a, b) has every factor-th pixel from (a, b) on.

    Arguments:
        x: (B, C, H, W).
        factor: Sides of the squares that have one pixel of each part.

    Returns:
        (factor^2, B, C, ceil(H / factor), ceil(W / factor)), each part and all of them together
        in channels_last memory. Beyond the image are zeros.
    """
    height, width = x.shape[2:]
    x = functional.pad(x, (0, -width % factor, 0, -height % factor)).permute(0, 2, 3, 1)
    x = x.unflatten(2, (-1, factor)).unflatten(1, (-1, factor))
    return x.permute(2, 4, 0, 1, 3, 5).contiguous().flatten(0, 1).permute(0, 1, 4, 2, 3)


def unsqueeze(rows: Tensor, factor: int, shape: torch.Size) -> Tensor:
    """The inverse of `squeeze`, for the rows of all parts.

    Arguments:
        rows: (factor^2 B H' W', C).
        factor: As in `squeeze`.
        shape: Of the images, (B, C, H, W).
    """
    batch, channels, height, width = shape
    sides = -(-height // factor), -(-width // factor)
    parts = rows.view(factor, factor, batch, *sides, channels)
    x = parts.permute(2, 5, 3, 0, 4, 1).flatten(4, 5).flatten(2, 3)
    return x[:, :, :height, :width]
