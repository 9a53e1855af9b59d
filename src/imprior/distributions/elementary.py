"""Exponential functions inside compiled loops, in the precision of their argument.

LLVM turns loops over them into vector instructions, which it cannot do with those of libm. They
add, multiply and divide in a fixed order, so that their bits are the same on every machine: what is
coded goes through them and `distributions.exponential.exp` alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from imprior.distributions.compiling import EXACT, exact
from imprior.distributions.exponential import exp

# Cephes' expf: e^r on |r| <= ln 2 / 2 as a polynomial, relative error 2e-7.
C2, C3, C4, C5, C6, C7 = (
    np.float32(c)
    for c in (0.5, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691e-4)
)
INVERSE_LN2 = np.float32(1.44269504)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
SHIFTER = np.float32(3 << 22)  # adding it rounds to an integer, which its low bits then hold
ONE, TWO, LARGEST = np.float32(1), np.float32(2), np.float32(80)
HALF = np.float32(0.5)

# Cephes' logf: log(1 + m) - m + m^2 / 2 as m^3 times a polynomial.
L0, L1, L2, L3, L4, L5, L6, L7, L8 = (
    np.float32(c)
    for c in (
        *(3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1),
        *(-1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2),
    )
)


@exact
def exp32(x):  # type: ignore[no-untyped-def]
    """The exponential function in single precision; the argument is clamped to [-80, 80]."""
    x = min(max(x, -LARGEST), LARGEST)
    shifted = x * INVERSE_LN2 + SHIFTER
    k = shifted - SHIFTER
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = C7 * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r * r + r + ONE
    exponent = (np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23)
    return p * np.int32(exponent).view(np.float32)


@exact
def log32(x):  # type: ignore[no-untyped-def]
    """The natural logarithm in single precision, of normal positive numbers."""
    bits = np.float32(x).view(np.int32)
    # The mantissa goes to [sqrt(1/2), sqrt(2)), where the series is short.
    exponent = (bits - np.int32(0x3F3504F3)) >> np.int32(23)
    m = np.int32(bits - (exponent << np.int32(23))).view(np.float32) - ONE
    square = m * m
    p = L8 * m + L7
    p = p * m + L6
    p = p * m + L5
    p = p * m + L4
    p = p * m + L3
    p = p * m + L2
    p = p * m + L1
    p = p * m + L0
    e = np.float32(exponent)
    rest = p * m * square + e * LN2_LOW - HALF * square
    return m + rest + e * LN2_HIGH


def exponential(x: Any) -> Any:
    """e^x, in the precision of x, which is cut at +-80 (single) or +-700 (double)."""
    raise NotImplementedError  # compiled code only


def logarithm(x: Any) -> Any:
    """The natural logarithm of normal positive numbers, in the precision of x."""
    raise NotImplementedError  # compiled code only


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), in the precision of x."""
    raise NotImplementedError  # compiled code only


def tanh(x: Any) -> Any:
    """2 / (1 + e^-2x) - 1, in the precision of x."""
    raise NotImplementedError  # compiled code only


def one_minus_square(x: Any) -> Any:
    """1 - x^2, in the precision of x."""
    raise NotImplementedError  # compiled code only


@overload(exponential, jit_options=EXACT)
def _exponential(x):  # type: ignore[no-untyped-def]
    if x == types.float32:
        return lambda x: exp32(x)
    return lambda x: exp(x)


@overload(logarithm, jit_options=EXACT)
def _logarithm(x):  # type: ignore[no-untyped-def]
    if x == types.float32:
        return lambda x: log32(x)
    return lambda x: math.log(x)


@overload(sigmoid, jit_options=EXACT)
def _sigmoid(x):  # type: ignore[no-untyped-def]
    if x == types.float32:
        return lambda x: ONE / (ONE + exp32(-x))
    return lambda x: 1.0 / (1.0 + exp(-x))


@overload(tanh, jit_options=EXACT)
def _tanh(x):  # type: ignore[no-untyped-def]
    if x == types.float32:
        return lambda x: TWO / (ONE + exp32(-TWO * x)) - ONE
    return lambda x: 2.0 / (1.0 + exp(-2.0 * x)) - 1.0


@overload(one_minus_square, jit_options=EXACT)
def _one_minus_square(x):  # type: ignore[no-untyped-def]
    if x == types.float32:
        return lambda x: ONE - x * x
    return lambda x: 1.0 - x * x
