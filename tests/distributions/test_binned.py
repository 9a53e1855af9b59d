"""Binned mixtures: one distribution, whether computed, differentiated, drawn from or coded."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from imprior.distributions import frequencies
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.tables import Family

FAMILIES: list[Family] = ["gaussian", "logistic"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(
    n: int = 12, k: int = 5, size: int = 200, family: Family = "gaussian", precision: int = 24
) -> BinnedMixture:
    """Mixtures on ranges of their own, of `size` values at most."""
    generator = seeded(0)

    def normal() -> Tensor:
        return torch.randn(n, k, generator=generator, dtype=torch.float64)

    low = torch.randint(-9, 9, (n,), generator=generator)
    sizes = torch.randint(1, size + 1, (n,), generator=generator)
    sizes[0], sizes[1] = 1, size
    means = low[:, None] + sizes[:, None] * (0.5 + 0.4 * normal())
    parameters = (normal().softmax(1), means, normal().exp() / 4)
    return BinnedMixture(*parameters, low, low + sizes - 1, precision, family)


def every_value(mixture: BinnedMixture, row: int) -> Tensor:
    return torch.arange(int(mixture.low[row]), int(mixture.high[row]) + 1)


def take(mixture: BinnedMixture, row: int, times: int) -> BinnedMixture:
    """One row, several times."""
    return mixture.rows(torch.full((times,), row))


def test_rows_are_the_distributions_of_these_rows() -> None:
    mixture, rows = make(), torch.tensor([7, 2, 2])
    pmf = mixture.rows(rows).pmf()
    assert torch.equal(pmf, mixture.pmf()[rows][:, : pmf.shape[1]])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", [24, 32])
def test_masses_sum_to_one_over_a_rows_own_range(family: Family, precision: int) -> None:
    mixture = make(family=family, precision=precision)
    pmf = mixture.pmf()
    assert (pmf.sum(1) - 1).abs().max() < 1e-12
    for row, size in enumerate((mixture.high - mixture.low + 1).tolist()):
        assert pmf[row, :size].min() >= 2.0**-precision
        assert not pmf[row, size:].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_log_mass_is_the_logarithm_of_the_pmf(family: Family) -> None:
    mixture = make(family=family)
    pmf = mixture.pmf()
    for row in range(len(pmf)):
        values = every_value(mixture, row)
        log_mass = take(mixture, row, len(values)).log_mass(values)
        torch.testing.assert_close(log_mass.exp(), pmf[row, : len(values)], rtol=1e-12, atol=0)


def test_log_mass_is_the_formula() -> None:
    """One row by SciPy's distribution functions, which lose digits in the upper tail."""
    mixture = take(make(), 1, 200)
    values = every_value(mixture, 0)
    weights, means, scales = (
        part[0].numpy() for part in (mixture.weights, mixture.means, 1 / mixture.inverse_scales)
    )
    edges = values.numpy()[:, None] + [-0.5, 0.5]
    edges[0, 0], edges[-1, 1] = -math.inf, math.inf
    cdf = sum(
        w * stats.norm.cdf(edges, mean, scale)
        for w, mean, scale in zip(weights, means, scales, strict=True)
    )
    mass = cdf[:, 1] - cdf[:, 0]
    expected = np.log(((2**24 - 200) * mass + 1) / 2**24)
    assert mixture.log_mass(values).numpy() == pytest.approx(expected, abs=1e-8)


def test_values_that_cannot_be_have_no_mass() -> None:
    mixture = make()
    assert (mixture.log_mass(mixture.low - 1) == -math.inf).all()
    assert (mixture.log_mass(mixture.high + 1) == -math.inf).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients(family: Family) -> None:
    """At the first value, at the last and in between."""
    mixture = make(n=6, k=3, family=family)
    fixed = (mixture.weights, mixture.means, mixture.inverse_scales)
    parameters = [part.clone().requires_grad_() for part in fixed]
    for values in (mixture.low, mixture.high, (mixture.low + mixture.high) // 2):

        def log_mass(weights: Tensor, means: Tensor, inverse_scales: Tensor, at: Tensor) -> Tensor:
            moved = replace(mixture, weights=weights, means=means, inverse_scales=inverse_scales)
            return moved.log_mass(at)

        assert torch.autograd.gradcheck(log_mass, (*parameters, values), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("distance", [1.0, 40.0, 1e3, 1e6, 1e12])
def test_bins_however_far_have_a_finite_log_mass_and_gradient(
    family: Family, distance: float
) -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    mean = (128 + distance * one).requires_grad_()
    inverse_scale = (3 * one).requires_grad_()
    limits = (torch.tensor([0]), torch.tensor([255]))
    for value in (0, 100, 255):
        mixture = BinnedMixture(one, mean, inverse_scale, *limits, 24, family)
        log_mass = mixture.log_mass(torch.tensor([value]))
        gradients = torch.autograd.grad(log_mass.sum(), (mean, inverse_scale))
        assert -24 * math.log(2) - 1e-9 <= log_mass.item() <= 0
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_coded_is_what_is_computed(family: Family) -> None:
    """Frequencies differ by rounding, 1 of 2^24, and by the table's 1.9e-7, twice each."""
    mixture = make(family=family)
    pmf = mixture.pmf()
    for row in range(len(pmf)):
        values = every_value(mixture, row)
        repeated = take(mixture, row, len(values))
        _, shares = frequencies.intervals(values.numpy(), *repeated.compiled_arguments())
        assert shares.sum() == 2**24
        difference = shares / 2.0**24 - pmf[row, : len(values)].numpy()
        assert np.abs(difference).max() < 4e-7 + 2**-24


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_are_as_frequent_as_they_are_probable(temperature: float) -> None:
    times = 40_000
    mixture = take(make(size=12), 1, times)
    pmf = mixture.pmf()[0] ** (1 / temperature)
    pmf /= pmf.sum()
    drawn = mixture.sample(seeded(1), temperature) - mixture.low
    counts = torch.bincount(drawn, minlength=12)
    deviations = (counts - times * pmf) / (times * pmf * (1 - pmf)).sqrt()
    assert deviations.abs().max() < 4.5
    assert stats.chi2.sf((deviations**2 * (1 - pmf)).sum().item(), 11) > 1e-3


def test_at_temperature_zero_the_most_probable_value_comes() -> None:
    mixture = make()
    pmf = mixture.pmf()
    drawn = mixture.sample(seeded(0), temperature=0)
    assert torch.equal(pmf.gather(1, (drawn - mixture.low)[:, None])[:, 0], pmf.max(1).values)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_draw_depends_on_the_generator_alone(temperature: float) -> None:
    mixture = make(n=300)
    first, again = (mixture.sample(seeded(5), temperature) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, mixture.sample(seeded(6), temperature))
    assert ((mixture.low <= first) & (first <= mixture.high)).all()


@pytest.mark.parametrize("temperature", [-0.1, math.inf, math.nan])
def test_impossible_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be at least 0"):
        make().sample(seeded(0), temperature)


def test_no_rows_are_no_problem() -> None:
    mixture = make(n=3)
    empty = mixture.rows(torch.arange(0))
    assert empty.pmf().shape[0] == 0
    assert empty.sample(seeded(0)).shape == empty.log_mass(empty.low).shape == (0,)


def test_pmf_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = make()
    whole = mixture.pmf()
    monkeypatch.setattr("imprior.distributions.binned.MAX_TERMS", 700)
    assert torch.equal(mixture.pmf(), whole)


@pytest.mark.parametrize("name", ["weights", "means", "inverse_scales"])
def test_parameters_of_wrong_shape_or_type_are_refused(name: str) -> None:
    mixture = make()
    changes: dict[str, Any] = {name: getattr(mixture, name)[:, :2]}
    with pytest.raises(ValueError, match=r"one shape \(n, K\)"):
        replace(mixture, **changes)
    changes = {name: getattr(mixture, name).float()}
    with pytest.raises(ValueError, match="float64"):
        replace(mixture, **changes)


@pytest.mark.parametrize("name", ["low", "high"])
def test_limits_of_wrong_shape_or_type_are_refused(name: str) -> None:
    mixture = make()
    changes: dict[str, Any] = {name: mixture.low[:3]}
    with pytest.raises(ValueError, match=r"must have shape \(12,\)"):
        replace(mixture, **changes)
    changes = {name: mixture.low.int()}
    with pytest.raises(ValueError, match="int64"):
        replace(mixture, **changes)
