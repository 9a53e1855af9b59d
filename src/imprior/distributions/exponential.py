"""The exponential function in double precision, for what is coded.

Everything is made of additions and multiplications in a fixed order, without fast-math, so that all
IEEE 754 machines agree on every bit. No function of libm appears. Numba caches a compiled caller by
the time stamp of the caller's own file: whoever edits this file must remove the `__pycache__`
folders of the packages that call it.
"""

from __future__ import annotations

import math

import numpy as np

from imprior.distributions.compiling import exact

# 1.5 * 2^52: adding it rounds a double to an integer and leaves that integer in the low bits.
SHIFTER = float(3 << 51)
INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
# ln 2 in two parts, the first short enough for k * LN2_HIGH to be exact for |k| < 2^11.
LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(n) for n in range(2, 14))


@exact
def exp(x: float) -> float:
    r"""The exponential function within 2 units in the last place, the same bits on every machine.

    :math:`e^x = 2^k e^r` with k the integer nearest to x / ln 2 and so :math:`|r| < 0.35`; the
    series of :math:`e^r` stops at :math:`r^{13}/13!`, an error of 5e-18. x is clamped to
    [-700, 700], so that the result is a normal number. Numba vectorises loops over it.
    """
    x = -700.0 if x < -700.0 else x
    x = 700.0 if x > 700.0 else x
    shifted = x * INVERSE_LN2 + SHIFTER
    k = shifted - SHIFTER
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = C13 * r + C12
    p = p * r + C11
    p = p * r + C10
    p = p * r + C9
    p = p * r + C8
    p = p * r + C7
    p = p * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r + 1.0
    p = p * r + 1.0
    # The low bits of `shifted` are k; those of a double with exponent k are (k + 1023) << 52.
    exponent = (np.float64(shifted).view(np.int64) + np.int64(1023)) << np.int64(52)
    return p * np.int64(exponent).view(np.float64)
