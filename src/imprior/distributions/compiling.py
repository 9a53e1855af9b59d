"""How loops are compiled: what is coded in the given order of operations, what is trained freely.

Numba hands its flags down: a function that says nothing of `fastmath` is compiled with that of
whoever calls it first, and cached so. Then the bits of a coded file would depend on what ran before
it. Both decorators say all flags, and so must each `overload`, by its `jit_options`.

Division by zero cannot happen in these loops; a test for it would keep them from being vectorised.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

EXACT: Final[Any] = {"error_model": "numpy", "fastmath": False}
FREE: Final[Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}

exact = njit(cache=True, nogil=True, **EXACT)
"""For what is coded: nothing reordered, nothing fused; the same bits on every machine."""

free = njit(cache=True, nogil=True, **FREE)
"""For training and evaluation: sums may be reordered, products and sums fused."""
