"""What is coded is compiled in the given order of operations, whoever calls it first."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

CODED = [
    "codec.coder",
    "distributions.elementary",
    "distributions.frequencies",
    "distributions.stepwise",
    "models.ride.compiled",
    "models.ride.states",
]

# In a process and with a cache of its own: a function is compiled once.
AFTER_A_FREE_CALLER = """
import numpy as np
from imprior.distributions.compiling import FREE
from imprior.distributions.elementary import exponential, one_minus_square, sigmoid, tanh
from imprior.distributions.exponential import exp
from numba import njit

def each(x):
    y = np.empty((5, x.size), x.dtype)
    for i in range(x.size):
        y[0, i] = exp(x[i])
        y[1, i] = exponential(x[i])
        y[2, i] = sigmoid(x[i])
        y[3, i] = tanh(x[i])
        y[4, i] = one_minus_square(x[i])
    return y

x = np.random.default_rng(0).normal(0, 3, 4001).astype("{dtype}")
if {free}:
    njit(**FREE)(each)(x)
print(njit(each)(x).tobytes().hex())
"""


@pytest.mark.parametrize("name", CODED)
def test_coded_functions_say_their_flags(name: str) -> None:
    found = [
        f for f in vars(import_module(f"imprior.{name}")).values() if isinstance(f, Dispatcher)
    ]
    assert found
    for function in found:
        assert function.targetoptions["fastmath"] is False, function


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_first_caller(tmp_path: Path, dtype: str) -> None:
    def bits(*, free: bool) -> str:
        code = AFTER_A_FREE_CALLER.format(free=free, dtype=dtype)
        cache = {"NUMBA_CACHE_DIR": str(tmp_path / str(free))}
        return subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | cache,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert bits(free=True) == bits(free=False)
