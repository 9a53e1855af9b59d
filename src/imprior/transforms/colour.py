"""Reversible colour transforms."""

from __future__ import annotations

import torch
from torch import Tensor


def _half(x: Tensor) -> Tensor:
    return x / 2 if x.is_floating_point() else x >> 1


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
    orange = red - blue
    t = blue + _half(orange)
    green_difference = green - t
    return torch.stack([t + _half(green_difference), green_difference, orange], 1)


def inverse_ycocg(planes: Tensor) -> Tensor:
    """(Y, Cg, Co) back to RGB: the inverse of `ycocg`."""
    luma, green_difference, orange = planes.unbind(1)
    t = luma - _half(green_difference)
    green = green_difference + t
    blue = t - _half(orange)
    return torch.stack([blue + orange, green, blue], 1)


def ycocg_support(earlier: list[Tensor], bits: int) -> tuple[Tensor, Tensor]:
    r"""Smallest and largest value that the next plane can have, given the earlier ones.

    Y takes all of [0, 2^b). Given Y, Cg ranges over an interval, since
    :math:`t = Y - \lfloor C_g/2 \rfloor` and :math:`G = C_g + t` must both lie in [0, 2^b), t
    falls and G rises with Cg, and every such t is reached (by R = B = t). Given both, Co ranges
    over an interval for the same reason, with B and R in place of t and G. So a distribution over
    these intervals, plane by plane, is one over RGB images: no mass is lost to impossible colours.

    Arguments:
        earlier: The integer planes before the wanted one, of any equal shape: [Y] or [Y, Cg].
        bits: Bit depth of the RGB image.

    Returns:
        Inclusive bounds, int64, of the shape of the planes.
    """
    largest = 2**bits - 1
    # The two others are t, or what is left when `offset` of the difference is taken away:
    # 0 <= base - floor(d/2) <= largest and 0 <= base - floor(d/2) + d <= largest.
    base = earlier[0] if len(earlier) == 1 else earlier[0] - (earlier[1] >> 1)
    # floor(d/2) <= base and ceil(d/2) <= largest - base; floor(d/2) >= base - largest and
    # ceil(d/2) >= -base.
    high = torch.minimum(2 * base + 1, 2 * (largest - base))
    low = torch.maximum(2 * (base - largest), -2 * base - 1)
    return low, high
