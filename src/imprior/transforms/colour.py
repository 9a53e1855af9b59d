"""Reversible colour transforms."""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.transforms import haar


def ycocg(rgb: Tensor) -> Tensor:
    r"""RGB to (Y, Cg, Co) by lifting: lossless on integers, of unit determinant on floats.

    .. math::
        C_o = R - B, \quad t = B + \lfloor C_o / 2 \rfloor, \quad
        C_g = G - t, \quad Y = t + \lfloor C_g / 2 \rfloor

    Arguments:
        rgb: Shape (B, 3, H, W); integers in [0, 2^bits) or floats (then nothing is rounded).

    Returns:
        Same shape: Y in [0, 2^bits), Cg and Co in (-2^bits, 2^bits); see `ycocg_support`.

    Source: Malvar & Sullivan (2003), YCoCg-R.
    """
    red, green, blue = rgb.unbind(1)
    t, orange = haar.mean_and_difference(red, blue)
    luma, green_difference = haar.mean_and_difference(green, t)
    return torch.stack([luma, green_difference, orange], 1)


def inverse_ycocg(planes: Tensor) -> Tensor:
    """(Y, Cg, Co) back to RGB: the inverse of `ycocg`."""
    luma, green_difference, orange = planes.unbind(1)
    green, t = haar.pair_of(luma, green_difference)
    red, blue = haar.pair_of(t, orange)
    return torch.stack([red, green, blue], 1)


def ycocg_support(earlier: list[Tensor], bits: int) -> tuple[Tensor, Tensor]:
    r"""Smallest and largest value that the next plane can have, given the earlier ones.

    Y takes all of [0, 2^b). Y is the mean of G and t and Cg their difference, t is the mean of R
    and B and Co theirs, and every such t is reached (by R = B = t); so Cg given Y, and Co given
    both, range over an interval (`haar.difference_bounds`). A distribution over these intervals,
    plane by plane, is one over RGB images: no mass is lost to impossible colours.

    Arguments:
        earlier: The integer planes before the wanted one, of any equal shape: [Y] or [Y, Cg].
        bits: Bit depth of the RGB image.

    Returns:
        Inclusive bounds, int64, of the shape of the planes.
    """
    mean = earlier[0] if len(earlier) == 1 else haar.pair_of(earlier[0], earlier[1])[1]
    return haar.difference_bounds(mean, bits)
