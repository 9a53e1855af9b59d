"""Images made smaller, to be enlarged again and compared: an experiment, not a task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from imprior.base import Multiscale
from imprior.data.images import to_float, to_int
from imprior.tasks.denoise import Quality, quality
from imprior.tasks.interpolation import Phase, bicubic, nearest
from imprior.tasks.values import to_pixels, to_values

_RAMP = 32  # coarse pixels of a side: borders, where wavelets may be periodic, are far enough away


def crop(pixels: Tensor, factor: int) -> Tensor:
    """The image (C, H, W) without what its sides exceed a multiple of `factor` by, at the far end.

    Raises:
        ValueError: If nothing is left.
    """
    height, width = (side // factor * factor for side in pixels.shape[1:])
    if not height or not width:
        sides = " x ".join(map(str, pixels.shape[1:]))
        raise ValueError(f"an image of {sides} pixels cannot be made {factor} times smaller")
    return pixels[:, :height, :width]


def shrink(model: Multiscale, pixels: Tensor, bits: int, factor: int) -> Tensor:
    """What a model calls the coarse image, rounded to the depth of the image.

    Arguments:
        pixels: int64 (C, H, W), sides multiples of `factor`.
        bits: Their depth.
        factor: A power of 2.

    Returns:
        int64 (C, H / factor, W / factor).
    """
    x = to_values(model, pixels, bits)
    model.check(x)
    return to_pixels(model, _coarse(model, x, factor), bits)


def phase(model: Multiscale, factor: int) -> Phase:
    """Where a model's coarse pixels lie: some are means of blocks, others pixels of the image.

    It is where a coarse image of the image that holds, at every pixel, the number of its row (or
    column) says.
    """
    kind = torch.float64 if model.bits is None else torch.int64
    line = torch.arange(_RAMP * factor, dtype=kind).expand(_RAMP * factor, -1)
    middle = _RAMP // 2
    coarse = [
        _coarse(model, grid.expand(1, model.channels, -1, -1), factor) for grid in (line.T, line)
    ]
    row, column = (float(x[0, 0, middle, middle]) - factor * middle for x in coarse)
    return row, column


def compare(
    clean: Tensor, made: Mapping[str, Tensor], small: Tensor, bits: int, factor: int, at: Phase
) -> dict[str, Quality]:
    """How close enlarged images come to the one that was made smaller, and the usual ways beside.

    Arguments:
        clean: The image, int64 (C, H, W).
        made: Images of its size by how they were made; int64.
        small: The image made smaller.
        bits: Depth of all.
        factor: How many times smaller.
        at: See `phase`.

    Returns:
        The same names, "bicubic" and "nearest"; all images as files hold them, rounded.
    """
    wide = bicubic(to_float(small, bits, torch.float64), factor, at)
    usual = {"bicubic": to_int(wide, bits), "nearest": nearest(small, factor, at)}
    reference = to_float(clean, bits, torch.float64)
    return {
        name: quality(reference, to_float(x, bits, torch.float64))
        for name, x in {**made, **usual}.items()
    }


def _coarse(model: Multiscale, x: Tensor, factor: int) -> Tensor:
    for _ in range(factor.bit_length() - 1):
        x, _detail = model.split(x)
    return x
