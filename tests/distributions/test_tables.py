"""The tables are part of the file format: right, never decreasing, never changing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import pytest

from imprior.distributions.tables import Family, table


def normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def logistic_cdf(z: float) -> float:
    return 1 / (1 + math.exp(-z))


CASES: list[tuple[Family, float, Callable[[float], float], float]] = [
    ("gaussian", 8, normal_cdf, 1.2e-7),
    ("logistic", 32, logistic_cdf, 1.9e-7),
]


@pytest.mark.parametrize(("family", "span", "cdf", "error"), CASES)
def test_entries_are_the_nearest_multiples_of_the_unit(
    family: Family, span: float, cdf: Callable[[float], float], error: float
) -> None:
    knots, resolution = table(family)
    centre = int(span * resolution)
    assert knots.size == 2 * centre + 2
    units = knots * 2.0**40
    assert (units == np.round(units)).all()
    exact = [cdf((i - centre) / resolution) for i in range(2 * centre + 1)]
    assert np.abs(units[:-1] - np.array(exact) * 2.0**40).max() < 0.52


@pytest.mark.parametrize(("family", "span", "cdf", "error"), CASES)
def test_interpolation_is_as_exact_as_promised(
    family: Family, span: float, cdf: Callable[[float], float], error: float
) -> None:
    knots, resolution = table(family)
    z = np.random.default_rng(0).uniform(-span, span, 20000)
    points = (np.arange(knots.size - 1) - (knots.size - 2) // 2) / resolution
    assert np.abs(np.interp(z, points, knots[:-1]) - [cdf(x) for x in z]).max() < error


@pytest.mark.parametrize("family", ["gaussian", "logistic"])
def test_table_is_a_distribution_function(family: Family) -> None:
    knots = table(family).knots
    assert knots[0] == 0 and knots[-2] == knots[-1] == 1
    assert (np.diff(knots) >= 0).all()
    assert (knots[:-1] + knots[-2::-1] == 1).all()  # F(z) + F(-z)


@pytest.mark.parametrize(
    ("family", "digest"),
    [
        ("gaussian", "bc617ba47ea849d5da41200855543b3ef63513b0be33a86bf80bb841df254ac8"),
        ("logistic", "a2730f0927baa287707ed111a2cdc99ae22f17dda78b51d991abdbf235c3a467"),
    ],
)
def test_table_is_part_of_the_file_format(family: Family, digest: str) -> None:
    units = (table(family).knots * 2.0**40).astype("<i8")
    assert hashlib.sha256(units.tobytes()).hexdigest() == digest


def test_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="'cauchy'"):
        table("cauchy")
