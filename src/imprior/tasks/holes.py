"""Which pixels of an image are missing: masks, boxes, and the part of an image around them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from imprior.base import ImageModel
from imprior.data.images import Image, read
from imprior.data.loading import match
from imprior.denoisers import Denoiser
from imprior.inference.operators import random_pixels
from imprior.tasks.sample import stream

SHARE_STREAM = 2**32 - 1
"""Of a seed, the stream that says which pixels are known: no filling has so large a number."""


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
    known: float | None = None,
    seed: int = 0,
    gray: bool = False,
    reduce_bits: bool = False,
) -> tuple[Image, Tensor]:
    """Reads an image for a model, and which of its pixels are missing.

    Arguments:
        path: An image file.
        model: Of integers, or a denoiser, which takes any depth.
        mask: As in `hole_of_mask`; or give `box`, or `known`.
        box: As in `hole_of_box`.
        known, seed: As in `hole_of_share`.
        gray, reduce_bits: As in `data.loading.match`.

    Returns:
        The image, and a hole, bool (H, W).

    Raises:
        ValueError: If image, model and hole do not fit together.
    """
    if [mask, box, known].count(None) != 2:
        raise ValueError(
            "what is missing is said by a mask, a box, or the share that is known: give one of them"
        )
    image = _fitting(read(path), model, gray=gray, reduce_bits=reduce_bits)
    size = (image.pixels.shape[1], image.pixels.shape[2])
    if known is not None:
        return image, hole_of_share(known, size, seed)
    return image, hole_of_mask(mask, size) if mask is not None else hole_of_box(box or "", size)


def _fitting(image: Image, model: ImageModel, **options: bool) -> Image:
    """The image as the model takes it; a denoiser of grey ones may take channel by channel."""
    if model.bits is not None:
        return match(image, model.channels, model.bits, **options)
    if not isinstance(model, Denoiser):
        raise ValueError(
            f"inpainting needs a model of integers; {type(model).__name__} has no bits"
        )
    gray = options["gray"] and model.channels == 1
    return match(image, 1, image.bits, gray=True) if gray else image


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


def hole_of_share(share: float, size: tuple[int, int], seed: int = 0) -> Tensor:
    """All pixels but a random share, which is known.

    Arguments:
        share: Above 0 and below 1.
        size: Height and width of the image.
        seed: At least 0.

    Returns:
        bool (H, W).

    Raises:
        ValueError: If a number is out of range, or the share of so few pixels is all of them.

    Example:
        >>> int(hole_of_share(0.1, (20, 30)).sum())
        540
    """
    if not 0 < share < 1:
        raise ValueError(f"the share of pixels that is known lies between 0 and 1, got {share:g}")
    hole = torch.ones(size, dtype=torch.bool)
    hole.view(-1)[random_pixels((1, *size), share, generator=stream(seed, SHARE_STREAM)).index] = 0
    if not hole.any():
        raise ValueError(f"{share:g} of {hole.numel()} pixels is all of them: nothing is missing")
    return hole


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
