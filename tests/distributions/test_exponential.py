"""The exponential function of what is coded: exact enough, and the same bits everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from imprior.distributions.exponential import exp


@njit(cache=False)
def exp_of_each(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A loop that LLVM vectorises."""
    result = np.empty_like(x)
    for i in range(x.size):
        result[i] = exp(x[i])
    return result


def test_exp_is_within_two_units_in_the_last_place() -> None:
    x = np.random.default_rng(0).uniform(-700, 700, 100_000)
    reference = np.exp(x.astype(np.longdouble))
    error = np.abs(exp_of_each(x) - reference) / np.spacing(reference.astype(np.float64))
    assert error.max() < 2


def test_exp_is_clamped_and_knows_its_fixed_points() -> None:
    x = np.array([0.0, -0.0, -np.inf, -1e9, np.inf, 5e-324])
    ends = [math.exp(-700), math.exp(-700), math.exp(700)]
    assert exp_of_each(x) == pytest.approx([1, 1, *ends, 1], rel=1e-15)


def test_vectorised_exp_has_the_bits_of_plain_python() -> None:
    x = np.random.default_rng(1).normal(0, 30, 4001)
    interpreted = [exp.py_func(value) for value in x]
    assert exp_of_each(x).tobytes() == np.array(interpreted).tobytes()
