r"""The Haar transform on integers: pairs of values become their mean and their difference.

.. math:: d = a - b, \quad l = b + \lfloor d / 2 \rfloor = \lfloor (a + b) / 2 \rfloor

Nothing is lost: l has the range of the values, and the parity of d says what the mean rounded
away. On floats nothing is rounded, and the determinant is 1.

Source: the S-transform, Said & Pearlman (1996).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def _half(x: Tensor) -> Tensor:
    return x / 2 if x.is_floating_point() else x >> 1


def mean_and_difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Means (rounded down, of integers) and differences of pairs; any shape.

    Example:
        >>> mean_and_difference(torch.tensor([7]), torch.tensor([4]))
        (tensor([5]), tensor([3]))
    """
    difference = a - b
    return b + _half(difference), difference


def pair_of(mean: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs (a, b): the inverse of `mean_and_difference`."""
    b = mean - _half(difference)
    return b + difference, b


def difference_bounds(mean: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    r"""Smallest and largest difference that pairs of integers in [0, 2^bits) with a mean can have.

    All values between occur: :math:`b = l - \lfloor d/2 \rfloor` falls and
    :math:`a = l + \lceil d/2 \rceil` rises with d, and both must lie in :math:`[0, 2^b)`.

    Arguments:
        mean: int64, any shape.

    Returns:
        Inclusive bounds, int64, of the same shape.
    """
    largest = 2**bits - 1
    # floor(d/2) <= mean and ceil(d/2) <= largest - mean; floor(d/2) >= mean - largest and
    # ceil(d/2) >= -mean.
    high = torch.minimum(2 * mean + 1, 2 * (largest - mean))
    low = torch.maximum(2 * (mean - largest), -2 * mean - 1)
    return low, high


def every_other(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The values at even and at odd positions along an axis, -1 or -2: two views."""
    if axis == -1:
        return x[..., ::2], x[..., 1::2]
    return x[..., ::2, :], x[..., 1::2, :]


def interleave(even: Tensor, odd: Tensor, axis: int) -> Tensor:
    """The inverse of `every_other`; there may be one even value more."""
    paired, rest = _cut(even, odd.shape[axis], axis)
    pairs = torch.stack([paired, odd], axis).flatten(axis - 1, axis)
    return torch.cat([pairs, rest], axis)


def _cut(x: Tensor, length: int, axis: int) -> tuple[Tensor, Tensor]:
    return x.narrow(axis, 0, length), x.narrow(axis, length, x.shape[axis] - length)


def halve(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Means and differences of neighbours along an axis; an unpaired last value is a mean.

    Arguments:
        x: Integers or floats, (..., H, W).
        axis: -1 pairs columns, -2 rows.

    Returns:
        The low-pass, of length ceil(n / 2) along the axis, and the detail, floor(n / 2).
    """
    even, odd = every_other(x, axis)
    paired, rest = _cut(even, odd.shape[axis], axis)
    mean, detail = mean_and_difference(paired, odd)
    return torch.cat([mean, rest], axis), detail


def double(low: Tensor, detail: Tensor, axis: int) -> Tensor:
    """The inverse of `halve`."""
    mean, rest = _cut(low, detail.shape[axis], axis)
    a, b = pair_of(mean, detail)
    return interleave(torch.cat([a, rest], axis), b, axis)


class Band(NamedTuple):
    """One halving of a pyramid.

    Attributes:
        axis: -1 if columns were paired, -2 if rows.
        low: The means of pairs, and what had no partner.
        detail: The differences.
    """

    axis: int
    low: Tensor
    detail: Tensor


def pyramid(x: Tensor, levels: int) -> list[Band]:
    """Halves columns and rows in turn, `levels` times each; the finest band comes first."""
    bands: list[Band] = []
    for axis in (-1, -2) * levels:
        bands.append(Band(axis, *halve(bands[-1].low if bands else x, axis)))
    return bands


def places(canvas: Tensor, levels: int) -> list[Band]:
    """Where the bands of a pyramid stand in a canvas of the image's size: views of it.

    A mean stands where the first value of its pair stood, a difference where the second did. So
    the last low-pass and all details together fill the canvas.
    """
    bands: list[Band] = []
    for axis in (-1, -2) * levels:
        bands.append(Band(axis, *every_other(bands[-1].low if bands else canvas, axis)))
    return bands
