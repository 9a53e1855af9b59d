"""From an image to what a model takes."""

from __future__ import annotations

from dataclasses import replace

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
