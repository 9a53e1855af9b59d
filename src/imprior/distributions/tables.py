"""Tables of cumulative distribution functions, made of integers alone.

The bytes that a codec writes depend on these numbers, and `libm` rounds differently from one
machine to the next: a table filled with `math.erfc` would put about one entry in ten thousand on
another multiple of the unit. Here every operation is one on Python's integers.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Family = Literal["gaussian", "logistic"]

UNIT_BITS = 40  # entries are multiples of 2^-40
POINT_BITS = 128  # of the fixed-point numbers in between
ONE = 1 << POINT_BITS


class Table(NamedTuple):
    """A distribution function F at equidistant points around 0; F is 0 before and 1 after them.

    Attributes:
        knots: F at (i - centre) / resolution for i = 0, ..., 2 centre, and the last entry once
            more, so that knot i + 1 exists for each of them: float64 multiples of 2^-40 in [0, 1]
            that never decrease.
        resolution: Knots per standard unit, a power of two.
    """

    knots: NDArray[np.float64]
    resolution: float


def _multiply(a: int, b: int) -> int:
    return a * b >> POINT_BITS


def _exp_of_minus(power: int) -> int:
    """exp(-2^-power) in fixed point, by its series."""
    total, term, n = 0, ONE, 0
    while term:
        total += -term if n % 2 else term
        n += 1
        term = (term >> power) // n
    return total


def _mirrored(lower_half: list[int], step_bits: int) -> Table:
    """Completes the values of F up to F(0), in fixed point, by F(z) = 1 - F(-z)."""
    drop = POINT_BITS - UNIT_BITS
    lower = [(value + (1 << drop - 1)) >> drop for value in lower_half]
    upper = [(1 << UNIT_BITS) - value for value in reversed(lower[:-1])]
    units = [*lower, *upper, 1 << UNIT_BITS]
    return Table(np.array([math.ldexp(unit, -UNIT_BITS) for unit in units]), float(1 << step_bits))


def _normal(span: int = 8, step_bits: int = 9) -> Table:
    r"""The standard normal distribution in steps of :math:`h = 2^{-9}`.

    The density at :math:`-ih` is :math:`e^{-h^2 i^2 / 2}` up to a factor; from one knot to the
    next it changes by :math:`e^{-h^2 (2i + 1) / 2}`, which changes by :math:`e^{-h^2}`. Its
    integral is the trapezoidal sum minus :math:`h^2/12` times the difference of the slopes at the
    ends (Euler and Maclaurin), here :math:`+ h^2 z \phi(z) / 12`; the next term, :math:`h^4/720`
    times a third derivative, stays below 2^-46, and what lies beyond 8 below 2^-50. The factor
    follows from F(0) = 1/2.
    """
    square = _exp_of_minus(2 * step_bits)
    density, ratio = [ONE], _exp_of_minus(2 * step_bits + 1)
    for _ in range(span << step_bits):
        density.append(_multiply(density[-1], ratio))
        ratio = _multiply(ratio, square)
    density.reverse()
    integral = [0]
    for left, right in pairwise(density):
        integral.append(integral[-1] + (left + right) // 2)
    # z = (i - n) h, and the sum above is in units of h.
    n = len(density) - 1
    for i in range(n + 1):
        integral[i] += (i - n) * density[i] // 12 >> 2 * step_bits
    total = integral[-1]
    return _mirrored([max(0, value) * (ONE // 2) // total for value in integral], step_bits)


def _logistic(span: int = 32, step_bits: int = 8) -> Table:
    r"""The standard logistic distribution, :math:`1 / (1 + e^{-z})`, in steps of 2^-8.

    What lies beyond 32 is below 2^-46.
    """
    ratio, power = _exp_of_minus(step_bits), ONE
    lower = []
    for _ in range((span << step_bits) + 1):
        lower.append((power << POINT_BITS) // (ONE + power))
        power = _multiply(power, ratio)
    return _mirrored(lower[::-1], step_bits)


@cache
def table(family: Family) -> Table:
    """The table of a family's standard distribution, made at its first use.

    Raises:
        ValueError: If there is no such family.
    """
    if family == "gaussian":
        return _normal()
    if family == "logistic":
        return _logistic()
    raise ValueError(f"family must be 'gaussian' or 'logistic', got {family!r}")
