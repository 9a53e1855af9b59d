r"""The paired pyramid: one line of each pair stays, the other becomes its difference, lossless.

Rows 1, 3, 5, ... of an image are the coarse image, rows 0, 2, 4, ... the fine part; then the
same with columns, and so on. A last line without a partner stays coarse. The fine part
:math:`x'` may be told relative to the coarse image x beside it, in b bits:

.. math:: F = (x' - x + 2^{b-1}) \bmod 2^b, \quad x' = (F + x - 2^{b-1}) \bmod 2^b

The paper has no :math:`2^{b-1}`: there small negative differences wrap around to the largest
values, far from the small positive ones. Coarse image and fine part together have as many values
as the image, and nothing is rounded.

Sources: Torbey & Meadows (1989); Mahajan & Roth (2021), Sec. 3, Eqs. 2 and 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROWS, COLUMNS = 2, 3
"""Axes of images (B, C, H, W) that can be split."""


def split(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Splits images into every other line, and the lines between.

    Arguments:
        x: (B, C, H, W), of any dtype.
        axis: 2 splits rows, 3 columns.

    Returns:
        The coarse image, of length ceil(n / 2) along the axis, and the fine part, floor(n / 2).
        Views of `x`, but for a coarse image with an unpaired line.

    Example:
        >>> coarse, fine = split(torch.arange(5).view(1, 1, 5, 1), 2)
        >>> coarse.flatten().tolist(), fine.flatten().tolist()
        ([1, 3, 4], [0, 2])
    """
    fine, coarse = _pairs(x, axis)
    if x.shape[axis] % 2:
        coarse = torch.cat([coarse, x.narrow(axis, x.shape[axis] - 1, 1)], axis)
    return coarse, fine


def join(coarse: Tensor, fine: Tensor, axis: int) -> Tensor:
    """The inverse of `split`.

    Raises:
        ValueError: If the two are no halves of one image.
    """
    num_fine, rest = fine.shape[axis], coarse.shape[axis] - fine.shape[axis]
    shape = list(coarse.shape)
    shape[axis] = num_fine
    if list(fine.shape) != shape or rest not in (0, 1):
        raise ValueError(
            f"a coarse image of {tuple(coarse.shape)} and a fine part of {tuple(fine.shape)} "
            f"do not pair along axis {axis}"
        )
    pairs = torch.stack([fine, coarse.narrow(axis, 0, num_fine)], axis + 1)
    x = pairs.flatten(axis, axis + 1)
    return torch.cat([x, coarse.narrow(axis, num_fine, 1)], axis) if rest else x


def _pairs(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The first and the second line of each whole pair: two views."""
    num = x.shape[axis] // 2
    first, second = x.narrow(axis, 0, 2 * num).unflatten(axis, (num, 2)).unbind(axis + 1)
    return first, second


def difference(fine: Tensor, coarse: Tensor, axis: int, bits: int, centred: bool = True) -> Tensor:
    """What the fine part adds to the coarse image, modulo 2^bits.

    Arguments:
        fine, coarse: What `split` gives, int64, values in [0, 2^bits).
        axis: That was split, 2 or 3.
        bits: Depth, 1 to 16.
        centred: Whether a difference of zero is 2^(bits - 1), amid the range, or 0 as in the
            paper.

    Returns:
        int64, of the shape of `fine`, in [0, 2^bits).

    Example:
        >>> difference(torch.tensor([[[[3], [9]]]]), torch.tensor([[[[4], [9]]]]), 2, 5).flatten()
        tensor([15, 16])
    """
    shifted = fine - coarse.narrow(axis, 0, fine.shape[axis])
    if centred:
        shifted += 2 ** (bits - 1)
    return shifted.bitwise_and_(2**bits - 1)  # the remainder, of negative numbers too


def undo_difference(
    differences: Tensor, coarse: Tensor, axis: int, bits: int, centred: bool = True
) -> Tensor:
    """The fine part: the inverse of `difference`."""
    fine = differences + coarse.narrow(axis, 0, differences.shape[axis])
    if centred:
        fine -= 2 ** (bits - 1)
    return fine.bitwise_and_(2**bits - 1)


def interpolate(coarse: Tensor, axis: int, num_fine: int) -> Tensor:
    """What the fine part would be on a straight line between the coarse lines around it.

    Arguments:
        coarse: As `split` gives it.
        axis: That was split, 2 or 3.
        num_fine: Lines of the fine part.

    Returns:
        The mean of the two coarse lines beside each fine line, in grey levels; the first fine
        line has only one beside it. Floats: float32, or as `coarse`.

    Example:
        >>> interpolate(torch.tensor([[[[4], [7]]]]), 2, 2).flatten()
        tensor([4.0000, 5.5000])
    """
    floats = coarse if coarse.is_floating_point() else coarse.float()
    after = floats.narrow(axis, 0, num_fine)
    first = min(num_fine, 1)
    before = torch.cat(
        [after.narrow(axis, 0, first), after.narrow(axis, 0, num_fine - first)], axis
    )
    return before.add_(after).div_(2)


def axes(height: int, width: int, coarsest: int, limit: int | None = None) -> tuple[int, ...]:
    """Which axis each level of a pyramid splits: rows and columns in turn, the finest first.

    A side of one pixel is not split: then it is the other's turn.

    Arguments:
        height, width: Of the image, each at least 1.
        coarsest: The pyramid ends when neither side is longer, at least 1.
        limit: The most levels, at least 0; None for no limit.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> axes(8, 4, coarsest=2)
        (2, 3, 2)
        >>> axes(1, 5, coarsest=1)
        (3, 3, 3)
    """
    if min(height, width, coarsest) < 1 or (limit is not None and limit < 0):
        raise ValueError(
            f"sides and the coarsest side are at least 1, the limit at least 0; "
            f"got {height}x{width}, {coarsest} and {limit}"
        )
    sides, levels, axis = {ROWS: height, COLUMNS: width}, list[int](), ROWS
    while max(sides.values()) > coarsest and (limit is None or len(levels) < limit):
        other = COLUMNS if axis == ROWS else ROWS
        if sides[axis] == 1:
            axis, other = other, axis
        sides[axis] = -(-sides[axis] // 2)
        levels.append(axis)
        axis = other
    return tuple(levels)
