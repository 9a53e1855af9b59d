"""Several images as one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def contact_sheet(images: Sequence[Tensor], gap: int = 2) -> Tensor:
    """Equally large images (C, H, W) in a near-square grid, black in between: one (C, H', W')."""
    channels, height, width = images[0].shape
    columns = min(len(images), math.ceil(math.sqrt(len(images) * height / width)))
    rows = -(-len(images) // columns)
    size = (channels, rows * (height + gap) - gap, columns * (width + gap) - gap)
    sheet = torch.zeros(size, dtype=images[0].dtype)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet
