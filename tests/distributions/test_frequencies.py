"""Integer frequencies: every symbol has one, they fill 2^P, and all machines agree on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imprior.distributions import frequencies
from imprior.distributions.tables import Family, table

FAMILIES: list[Family] = ["gaussian", "logistic"]
GAUSSIAN = table("gaussian")


def random_mixtures(
    n: int, k: int, *, low: int = 0, high: int = 255, precision: int = 24, seed: int = 0
) -> Any:
    """Mixtures of components narrow and wide, inside the range and far from it."""
    rng = np.random.default_rng(seed)
    size = high - low + 1
    weights = rng.dirichlet(np.full(k, 0.3), n)
    means = low + size * rng.normal(0.5, 0.6, (n, k))
    inverse_scales = np.exp(rng.normal(0, 3, (n, k))) / size**0.5
    lows, highs = np.full(n, low), np.full(n, high)
    return weights, means, inverse_scales, lows, highs, precision, GAUSSIAN


def whole_table(arguments: Any) -> NDArray[np.int64]:
    """C(low), ..., C(high + 1) of the one row, each found by itself."""
    weights, means, inverse_scales, low, high, precision, cdf = arguments
    row = (weights[0], means[0], inverse_scales[0])
    support = (int(low[0]), int(high[0]), precision)
    room = np.empty(weights.shape[1])
    return np.array(
        [
            frequencies.cumulative(row, support, k, cdf, room)
            for k in range(support[0], support[1] + 2)
        ]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_cdf_has_the_bits_of_plain_python(family: Family) -> None:
    """No reassociation, no fused multiply-add, whatever the machine offers."""
    weights, means, inverse_scales, *_ = random_mixtures(40, 37)
    room = np.empty(37)
    for row in zip(weights, means, inverse_scales, strict=True):
        arguments = (row, 100.5, table(family), room)
        compiled = frequencies.mixture_cdf(*arguments)
        assert compiled == frequencies.mixture_cdf.py_func(*arguments)
        exact_order = 0.0
        for weight, mean, inverse_scale in zip(*row, strict=True):
            alone = (np.ones(1), np.array([mean]), np.array([inverse_scale]))
            exact_order += weight * frequencies.mixture_cdf(alone, 100.5, table(family), room)
        assert compiled == min(exact_order, 1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_cdf_never_decreases_from_one_float_to_the_next(family: Family) -> None:
    """Around knots, where one segment of the table hands over to the next."""
    rng = np.random.default_rng(2)
    row = (rng.dirichlet(np.ones(5)), rng.normal(0, 1, 5), np.exp(rng.normal(0, 1, 5)))
    room = np.empty(5)
    for component in range(5):
        knot = rng.integers(-500, 500) / table(family).resolution
        x = row[1][component] + knot / row[2][component]
        for _ in range(40):
            x = np.nextafter(x, -np.inf)
        values = []
        for _ in range(80):
            values.append(frequencies.mixture_cdf(row, x, table(family), room))
            x = np.nextafter(x, np.inf)
        assert (np.diff(values) >= 0).all()


mixture = st.lists(
    st.tuples(
        st.floats(0, 1.5),
        st.floats(-1e5, 1e5) | st.floats(-1e300, 1e300),
        st.floats(1e-6, 1e6) | st.floats(5e-324, 1e300),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(mixture, st.integers(-300, 300), st.integers(1, 400), st.integers(9, 32))
def test_every_symbol_has_a_share_whatever_the_parameters(
    components: list[tuple[float, float, float]], low: int, size: int, precision: int
) -> None:
    """Weights need not even sum to 1."""
    parameters = (np.array([column]) for column in zip(*components, strict=True))
    limits = (np.array([low]), np.array([low + size - 1]))
    counts = whole_table((*parameters, *limits, max(precision, size.bit_length()), GAUSSIAN))
    assert counts[0] == 0 and counts[-1] == 1 << max(precision, size.bit_length())
    assert (np.diff(counts) >= 1).all()


@pytest.mark.parametrize("seed", range(8))
def test_each_target_finds_the_symbol_whose_share_it_is_in(seed: int) -> None:
    """All of [0, 2^12): a symbol is found as often as its frequency says."""
    low, high = [(0, 255), (-40, 30), (7, 7), (0, 1), (0, 4095), (-9, 500), (3, 5), (0, 99)][seed]
    one: Any = random_mixtures(1, 6, low=low, high=high, precision=12, seed=seed)
    counts = whole_table(one)
    many: Any = tuple(np.repeat(part, 4096, axis=0) for part in one[:5])
    targets = np.arange(4096)
    values, starts, shares = frequencies.invert(targets, *many, *one[5:])
    index = values - low
    assert (np.bincount(index, minlength=high - low + 1) == np.diff(counts)).all()
    assert (starts == counts[index]).all() and (shares == np.diff(counts)[index]).all()
    assert (starts <= targets).all() and (targets < starts + shares).all()


@pytest.mark.parametrize("precision", [24, 28, 32])
def test_intervals_are_what_invert_finds(precision: int) -> None:
    arguments = random_mixtures(500, 12, low=-70_000, high=70_000, precision=precision)
    targets = np.random.default_rng(3).integers(0, 1 << precision, 500)
    values, starts, shares = frequencies.invert(targets, *arguments)
    again = frequencies.intervals(values, *arguments)
    assert (again[0] == starts).all() and (again[1] == shares).all()


@pytest.mark.parametrize(
    ("family", "starts", "shares"),
    [
        (
            "gaussian",
            [0, 16446152, 14733951, 8834057, 3387364, 5330408],
            [3294931, 331064, 19497, 2315683, 45139, 19610],
        ),
        (
            "logistic",
            [0, 15864687, 14534413, 9226000, 3626761, 5403562],
            [3558000, 912529, 13187, 1467717, 34015, 16413],
        ),
    ],
)
def test_frequencies_are_part_of_the_file_format(
    family: Family, starts: list[int], shares: list[int]
) -> None:
    weights = np.array([[0.5, 0.3, 0.2]]).repeat(6, axis=0)
    means = np.array([[100.0, 103.7, -20.25]]).repeat(6, axis=0)
    inverse_scales = np.array([[0.7, 0.01, 1 / 30]]).repeat(6, axis=0)
    limits: Any = (np.zeros(6, np.int64), np.full(6, 255), 24, table(family))
    values = np.array([0, 255, 128, 100, 3, 77])
    found = frequencies.intervals(values, weights, means, inverse_scales, *limits)
    assert found[0].tolist() == starts
    assert found[1].tolist() == shares


@pytest.mark.parametrize(
    ("index", "bad"),
    [(0, -1e-9), (0, np.nan), (0, np.inf), (1, np.nan), (1, -np.inf), (2, 0.0), (2, -1.0),
     (2, np.nan), (2, np.inf)],
)  # fmt: skip
def test_what_is_no_mixture_is_refused(index: int, bad: float) -> None:
    arguments = random_mixtures(3, 4)
    arguments[index][1, 2] = bad
    integers = np.array([1, 2, 3])
    for function in (frequencies.intervals, frequencies.invert):
        with pytest.raises(ValueError, match="negative weight, a scale"):
            function(integers, *arguments)


@pytest.mark.parametrize(
    ("low", "high", "precision"), [(5, 4, 24), (0, 256, 8), (0, 255, 33), (0, 0, 0)]
)
def test_impossible_supports_are_refused(low: int, high: int, precision: int) -> None:
    arguments = random_mixtures(1, 4)
    limits: Any = (np.array([low]), np.array([high]), precision, GAUSSIAN)
    for function in (frequencies.intervals, frequencies.invert):
        with pytest.raises(ValueError, match="1 to 2\\^precision possible values"):
            function(np.array([low]), *arguments[:3], *limits)


@pytest.mark.parametrize("value", [-1, 256])
def test_values_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="outside the range"):
        frequencies.intervals(np.array([value]), *random_mixtures(1, 4))


def test_precision_leaves_the_floor_hardly_anything() -> None:
    for bits in range(1, 17):
        lost = -math.log2(1 - 2.0 ** (bits - frequencies.precision(bits)))
        assert lost < 0.0004 and frequencies.precision(bits) <= frequencies.MAX_PRECISION
    for bits in (0, 17):
        with pytest.raises(ValueError, match="1 to 16"):
            frequencies.precision(bits)
