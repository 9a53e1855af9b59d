"""What lies around fine pixels in the coarse image, relative to what is expected there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

GAIN = 16.0
"""How much differences are magnified: those of neighbours are some hundredths of the range."""
LINES, ACROSS = 4, 3


def num_neighbours(channels: int) -> int:
    """How many channels `neighbours` makes of so many."""
    return channels * (1 + LINES * ACROSS)


def neighbours(x: Tensor, axis: int) -> Tensor:
    """The mean of the two coarse lines beside each fine line, and pixels around relative to it.

    Arguments:
        x: The coarse image, floats (B, C, H, W).
        axis: That was split, 2 or 3: fine line i lies between coarse lines i - 1 and i.

    Returns:
        (B, `num_neighbours`, H, W): of two lines on each side three pixels each. Beyond the image
        its border goes on.
    """
    if axis == 3:
        return neighbours(x.transpose(2, 3), 2).transpose(2, 3)
    height, width = x.shape[2:]
    around = functional.pad(x, (1, 1, 2, 1), mode="replicate")
    pixels = [
        around[:, :, line : line + height, column : column + width]
        for line in range(LINES)
        for column in range(ACROSS)
    ]
    centre = (x + around[:, :, 1 : 1 + height, 1 : 1 + width]) / 2
    return torch.cat([centre, *(GAIN * (pixel - centre) for pixel in pixels)], 1)
