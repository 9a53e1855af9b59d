r"""The one place where floats become the integers that a codec counts with.

A mixture on the integers low..high, N = high - low + 1 of them, gets the cumulative frequencies

.. math:: C(k) = \lfloor S F(k - 1/2) \rfloor + (k - low), \quad S = 2^P - N,

with C(low) = 0 and C(high + 1) = 2^P. They grow by at least one per symbol as soon as the
computed F never decreases, and it does not, although every operation rounds:

* Rounding is monotone: a <= b implies fl(a + c) <= fl(b + c), and fl(a c) <= fl(b c) for c >= 0.
  So the position in the table, u = fl(fl(fl(k - 1/2 - mean) * inverse_scale) * resolution +
  centre), clamped, does not decrease with k (the resolution is a power of two).
* On one segment, T[i] + f D with D = T[i + 1] - T[i] >= 0 does not decrease with f for the same
  reason. The entries of T are multiples of 2^-40 in [0, 1], so D is exact, and so is f = u - i.
  As f < 1, fl(f D) <= D, and T[i] + D = T[i + 1] is exact: the step to the next segment is not
  downwards either.
* A sum of such terms with weights >= 0, in a fixed order, does not decrease; nor does its minimum
  with 1; nor does floor(S F), with S F <= S < 2^32.

Linear interpolation is wrong by at most h^2 / 8 times the largest second derivative: 1.2e-7 for
the normal distribution (h = 2^-9, 0.242), 1.9e-7 for the logistic (h = 2^-8, 0.0962).

Everything is made of additions, multiplications, comparisons and table entries in a fixed order,
without fast-math, so that all IEEE 754 machines agree on every bit. No function of libm appears.
Numba caches a compiled caller by the time stamp of the caller's own file: whoever edits this file
must remove the `__pycache__` folders of the packages that call it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imprior.distributions.compiling import exact
from imprior.distributions.tables import Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Row = tuple[Floats, Floats, Floats]  # weights, means, inverse scales
Support = tuple[int, int, int]  # low, high, precision

MAX_PRECISION = 32  # what the range coder can take
NEGLIGIBLE = 2.0**-36  # weight of a component that shows in no frequency


def precision(bits: int) -> int:
    """The P that exact models of `bits`-bit values use: the floor 2^-P costs at most 0.0004 bit.

    Raises:
        ValueError: If there are no such images.
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be 1 to 16, got {bits}")
    return max(24, bits + 12)


@exact
def relevant(row: Row, support: Support, room: Floats) -> Row:
    """The components of a row that matter, in their order, once the row has been checked.

    Gates are selective: of a hundred experts a dozen have more than `NEGLIGIBLE` weight. Leaving
    out the others, together below 2^-26 for 1,024 components, is a matter of the weights alone,
    the same for encoder and decoder, and leaves F a sum of terms that do not decrease.

    Arguments:
        room: (4, K): the first three rows take the components, the last is for `mixture_cdf`.

    Raises:
        ValueError: Unless the row fulfils what the derivation above takes for granted.
    """
    weights, means, inverse_scales = row
    low, high, precision = support
    bad, count = 0, 0
    for j in range(weights.size):
        good = (weights[j] >= 0.0) & (weights[j] < np.inf) & (abs(means[j]) < np.inf)
        bad += not (good & (inverse_scales[j] > 0.0) & (inverse_scales[j] < np.inf))
    if bad > 0:
        raise ValueError(
            "a mixture has a negative weight, a scale that is not positive or a parameter that "
            "is not finite: the model is broken, or its input is"
        )
    if precision < 1 or precision > MAX_PRECISION or not 0 <= high - low < 1 << precision:
        raise ValueError("a mixture needs 1 to 2^precision possible values and precision <= 32")
    for j in range(weights.size):
        if weights[j] >= NEGLIGIBLE:
            room[0, count], room[1, count] = weights[j], means[j]
            room[2, count] = inverse_scales[j]
            count += 1
    return room[0, :count], room[1, :count], room[2, :count]


@exact
def mixture_cdf(row: Row, x: float, cdf: Table, room: Floats) -> float:
    """F(x) in [0, 1] of one row; `room` is for as many numbers as there are components."""
    weights, means, inverse_scales = row
    knots, resolution = cdf
    centre = 0.5 * (knots.size - 2)
    # In two loops, since LLVM vectorises the first only if no table is read in it. No division,
    # which might raise, and no unsigned integer made a float: both are slow.
    for j in range(weights.size):
        u = (x - means[j]) * inverse_scales[j] * resolution + centre
        room[j] = min(max(u, 0.0), centre + centre)
    total = 0.0
    for j in range(weights.size):
        whole = np.int64(room[j])
        i = np.uint64(whole)  # spares numba's test for negative indices
        step = knots[i + np.uint64(1)] - knots[i]
        total += weights[j] * (knots[i] + (room[j] - whole) * step)
    return min(total, 1.0)


@exact
def cumulative(row: Row, support: Support, k: int, cdf: Table, room: Floats) -> int:
    """C(k) of one row, for low <= k <= high + 1."""
    low, high, precision = support
    if k <= low:
        return 0
    if k > high:
        return 1 << precision
    scale = np.float64((1 << precision) - (high - low + 1))
    return int(scale * mixture_cdf(row, k - 0.5, cdf, room)) + (k - low)


@exact
def find(row: Row, support: Support, target: int, cdf: Table, room: Floats) -> tuple[int, int, int]:
    """The k with C(k) <= target < C(k + 1) of one row: k, C(k) and C(k + 1) - C(k).

    Bisection, but it starts at the mean and strides out from there, since most values are close:
    5 to 6 evaluations of C for a photograph of 8 bits. C grows strictly, so how one searches does
    not change what one finds.
    """
    weights, means, _ = row
    low, high, precision = support
    mean = 0.5
    for j in range(weights.size):
        mean += weights[j] * means[j]
    left, right, start, end = low, high + 1, 0, 1 << precision
    middle = int(min(max(mean, low + 1.0), float(high)))
    stride = 4
    while right - left > 1:
        count = cumulative(row, support, middle, cdf, room)
        if count <= target:
            left, start, middle = middle, count, middle + stride
        else:
            right, end, middle = middle, count, middle - stride
        stride *= 4
        if middle <= left or middle >= right:
            middle = (left + right) // 2
            stride = right - left
    return left, start, end - start


@exact
def intervals(
    values: Integers,
    weights: Floats,
    means: Floats,
    inverse_scales: Floats,
    low: Integers,
    high: Integers,
    precision: int,
    cdf: Table,
) -> tuple[Integers, Integers]:
    """The share of [0, 2^P) that each value has: where it starts, C(k), and how long it is.

    Arguments:
        values: k, within low and high, (n,).
        weights: (n, K), not negative; rows sum to 1 up to rounding.
        means: (n, K), in grey levels.
        inverse_scales: (n, K), positive, in 1 / grey level.
        low: Smallest possible value of each row, (n,).
        high: Largest possible value of each row, inclusive, (n,).
        precision: P, 1 to 32.
        cdf: Distribution function of the components.

    Returns:
        C(k) and C(k + 1) - C(k) >= 1, (n,) each.

    Raises:
        ValueError: If an argument is not as described; lengths are for the caller to check.
    """
    starts = np.empty(values.size, np.int64)
    frequencies = np.empty(values.size, np.int64)
    room = np.empty((4, weights.shape[1]))
    for n in range(values.size):
        support = (low[n], high[n], precision)
        row = relevant((weights[n], means[n], inverse_scales[n]), support, room)
        if values[n] < low[n] or values[n] > high[n]:
            raise ValueError("a value lies outside the range that its distribution gives it")
        starts[n] = cumulative(row, support, values[n], cdf, room[3])
        frequencies[n] = cumulative(row, support, values[n] + 1, cdf, room[3]) - starts[n]
    return starts, frequencies


@exact
def invert(
    targets: Integers,
    weights: Floats,
    means: Floats,
    inverse_scales: Floats,
    low: Integers,
    high: Integers,
    precision: int,
    cdf: Table,
) -> tuple[Integers, Integers, Integers]:
    """The value whose share of [0, 2^P) holds each target: the inverse of `intervals`.

    Arguments:
        targets: Integers in [0, 2^P), (n,).
        weights: As all that follow, see `intervals`.

    Returns:
        k, C(k) and C(k + 1) - C(k), with C(k) <= target < C(k + 1), (n,) each.

    Raises:
        ValueError: If an argument is not as described; lengths are for the caller to check.
    """
    values = np.empty(targets.size, np.int64)
    starts = np.empty(targets.size, np.int64)
    frequencies = np.empty(targets.size, np.int64)
    room = np.empty((4, weights.shape[1]))
    for n in range(targets.size):
        support = (low[n], high[n], precision)
        row = relevant((weights[n], means[n], inverse_scales[n]), support, room)
        values[n], starts[n], frequencies[n] = find(row, support, targets[n], cdf, room[3])
    return values, starts, frequencies
