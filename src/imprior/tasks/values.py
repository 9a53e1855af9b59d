"""The integers of image files as the values that a model takes, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.base import ImageModel
from imprior.data.images import to_float, to_int


def to_values(model: ImageModel, pixels: Tensor, bits: int) -> Tensor:
    """An image as a batch of one, on the model's device; floats if the model is of such.

    Arguments:
        pixels: int64 (C, H, W).
        bits: Their depth.
    """
    weights = next(model.parameters(), torch.empty(0))
    x = pixels if model.bits is not None else to_float(pixels, bits, weights.dtype)
    return x[None].to(weights.device)


def to_pixels(model: ImageModel, x: Tensor, bits: int) -> Tensor:
    """The inverse of `to_values`; floats are rounded, and what is beyond [0, 1] is cut off."""
    return (x if model.bits is not None else to_int(x, bits))[0].cpu()
