"""From an image to what a model takes: channels, bits, crops, symmetries.

Batches of them are made in `imprior.data.batches`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from imprior.data.images import Image


def to_gray(rgb: Tensor) -> Tensor:
    r"""Luma of integer RGB images, rounded: :math:`0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601).

    Arguments:
        rgb: int64 (..., 3, H, W).

    Returns:
        int64 (..., 1, H, W), in the same range.
    """
    red, green, blue = rgb.unbind(-3)
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).unsqueeze(-3)


def match(
    image: Image, channels: int, bits: int, *, gray: bool = False, reduce_bits: bool = False
) -> Image:
    """Makes an image one that a model of `channels` and `bits` takes, if that was asked for.

    Arguments:
        gray: Turn colour into grey (alpha is dropped) for a model of one channel.
        reduce_bits: Drop the lowest bits of images that have more than the model.

    Raises:
        ValueError: If the image does not fit; nothing is converted silently.
    """
    if gray and channels == 1 and len(image.pixels) > 1:
        colours = len(image.pixels) - image.alpha
        if colours not in (1, 3):
            raise ValueError(f"{image.path or 'the image'} has {colours} channels: no grey of it")
        pixels = to_gray(image.pixels[:3]) if colours == 3 else image.pixels[:1]
        image = replace(image, pixels=pixels, alpha=False)
    if len(image.pixels) != channels:
        hint = " (--gray converts colour)" if channels == 1 and len(image.pixels) >= 3 else ""
        raise ValueError(
            f"{image.path or 'the image'} has {len(image.pixels)} channels, "
            f"the model takes {channels}{hint}"
        )
    if image.bits > bits and reduce_bits:
        image = replace(image, pixels=image.pixels >> (image.bits - bits), bits=bits)
    if image.bits != bits:
        hint = " (--reduce-bits drops the lowest)" if image.bits > bits else ""
        raise ValueError(
            f"{image.path or 'the image'} has {image.bits} bits, the model takes {bits}{hint}"
        )
    return image


def random_crop(x: Tensor, size: int, *, generator: torch.Generator) -> Tensor:
    """A square of `size` pixels a side, anywhere in the image with the same probability.

    Arguments:
        x: (..., H, W).

    Returns:
        A view, (..., size, size).

    Raises:
        ValueError: If the image is smaller.
    """
    height, width = x.shape[-2:]
    if not 1 <= size <= min(height, width):
        raise ValueError(f"an image of {height} x {width} pixels has no crop of {size} x {size}")
    top = int(torch.randint(height - size + 1, (), generator=generator))
    left = int(torch.randint(width - size + 1, (), generator=generator))
    return x[..., top : top + size, left : left + size]


def symmetry(x: Tensor, number: int) -> Tensor:
    """One of the 8 symmetries of the square: bit 0 mirrors, bit 1 turns over, bit 2 transposes.

    Arguments:
        x: (..., H, W).
        number: 0 (nothing) to 7.

    Returns:
        A view, (..., H, W), or (..., W, H) from 4 on.

    Example:
        >>> [symmetry(torch.tensor([[0, 1], [2, 3]]), n).flatten().tolist() for n in (1, 2, 4)]
        [[1, 0, 3, 2], [2, 3, 0, 1], [0, 2, 1, 3]]
    """
    if not 0 <= number < 8:
        raise ValueError(f"the symmetries of the square are 0 to 7, got {number}")
    turned = x.flip([axis for bit, axis in ((1, -1), (2, -2)) if number & bit])
    return turned.mT if number & 4 else turned


def inverse(number: int) -> int:
    """The number of the symmetry that undoes one.

    Example:
        >>> x = torch.arange(6).view(2, 3)
        >>> all(torch.equal(symmetry(symmetry(x, n), inverse(n)), x) for n in range(8))
        True
    """
    return {5: 6, 6: 5}.get(number, number)


def random_symmetry(x: Tensor, count: int = 8, *, generator: torch.Generator) -> Tensor:
    """One of the first `count` symmetries of the square, each with the same probability.

    The first 2 keep or mirror, 4 turn over too, 8 are all; with 1 nothing is drawn or done.
    """
    if count == 1:
        return x
    return symmetry(x, int(torch.randint(count, (), generator=generator)))


def stream_of(*key: int) -> torch.Generator:
    """The random stream that belongs to a key, such as a seed and the number of a draw."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))
