"""Which pixels of an image are missing: masks, boxes, and the part of an image around them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from imprior.base import ImageModel
from imprior.data.images import Image, read
from imprior.data.loading import match


class Region(NamedTuple):
    """A rectangle of an image; its fields index the last two axes."""

    rows: slice
    columns: slice


def read_with_hole(
    path: str | Path,
    model: ImageModel,
    *,
    mask: str | Path | None = None,
    box: str | None = None,
    gray: bool = False,
    reduce_bits: bool = False,
) -> tuple[Image, Tensor]:
    """Reads an image for a model, and which of its pixels are missing.

    Arguments:
        path: An image file.
        model: Of integers.
        mask: As in `hole_of_mask`; or give `box`.
        box: As in `hole_of_box`.
        gray, reduce_bits: As in `data.loading.match`.

    Returns:
        The image, and a hole, bool (H, W).

    Raises:
        ValueError: If image, model and hole do not fit together.
    """
    if (mask is None) == (box is None):
        raise ValueError("what is missing is said by a mask or by a box: give one of them")
    if model.bits is None:
        name = type(model).__name__
        raise ValueError(f"inpainting needs a model of integers; {name} has no bits")
    options = {"gray": gray, "reduce_bits": reduce_bits}
    image = match(read(path), model.channels, model.bits, **options)
    size = (image.pixels.shape[1], image.pixels.shape[2])
    return image, hole_of_mask(mask, size) if mask is not None else hole_of_box(box or "", size)


def hole_of_mask(path: str | Path, size: tuple[int, int]) -> Tensor:
    """Reads a mask: pixels in which some channel is not 0 are missing; opacity does not count.

    Arguments:
        path: An image file.
        size: Height and width of the image that it is for.

    Returns:
        bool (H, W).

    Raises:
        ValueError: If the file cannot be read, or has another size.
    """
    mask = read(path)
    found = (mask.pixels.shape[1], mask.pixels.shape[2])
    if found != size:
        raise ValueError(
            f"{path} has {found[1]} x {found[0]} pixels, the image {size[1]} x {size[0]}: "
            "a mask is as large as its image"
        )
    colours = mask.pixels[:-1] if mask.alpha else mask.pixels
    return _checked(colours.any(0), str(path))


def hole_of_box(text: str, size: tuple[int, int]) -> Tensor:
    """The rectangle that `X,Y,W,H` names: left, top, width and height in pixels.

    Arguments:
        text: Four numbers with commas between.
        size: Height and width of the image that it is in.

    Returns:
        bool (H, W).

    Raises:
        ValueError: If these are not four numbers, or the rectangle is not within the image.

    Example:
        >>> hole_of_box("1,0,2,1", (2, 4)).int().tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().lstrip("+-").isdecimal() for part in parts):
        raise ValueError(f"a box is X,Y,W,H in pixels, 20,30,71,71 for example; got {text!r}")
    x, y, width, height = map(int, parts)
    inside = min(x, y) >= 0 and x + width <= size[1] and y + height <= size[0]
    if width < 1 or height < 1 or not inside:
        raise ValueError(
            f"the box {text} (X,Y,W,H) is empty or not inside the image of "
            f"{size[1]} x {size[0]} pixels"
        )
    hole = torch.zeros(size, dtype=torch.bool)
    hole[y : y + height, x : x + width] = True
    return _checked(hole, f"the box {text}")


def _checked(hole: Tensor, name: str) -> Tensor:
    if not hole.any():
        raise ValueError(f"{name} is black everywhere: white is what is to be filled")
    if hole.all():
        raise ValueError(f"{name} covers the whole image: nothing is known (`sample` draws images)")
    return hole


def around(hole: Tensor, margin: int) -> Region:
    """The smallest rectangle that has a hole and `margin` pixels around it, within the image."""
    slices = []
    for axis in (0, 1):
        missing = hole.any(1 - axis).nonzero()[:, 0]
        first = max(0, int(missing[0]) - margin)
        slices.append(slice(first, min(hole.shape[axis], int(missing[-1]) + 1 + margin)))
    return Region(*slices)
