"""The standard logistic distribution of an interval, against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from imprior.distributions.logistic import bin_mass

EDGES = torch.linspace(-30, 30, 121, dtype=torch.float64)


def test_masses_are_as_accurate_in_one_tail_as_in_the_other() -> None:
    lower, upper = EDGES[:-1], EDGES[1:]
    expected = np.diff(stats.logistic.cdf(EDGES.numpy()))
    below = upper.numpy() <= 0
    mass = bin_mass(lower, upper)
    assert mass.numpy()[below] == pytest.approx(expected[below], rel=1e-11)
    assert torch.equal(mass, mass.flip(0))


def test_masses_of_a_line_cut_in_bins_sum_to_one() -> None:
    infinity = torch.tensor([math.inf], dtype=torch.float64)
    edges = torch.cat([-infinity, EDGES, infinity])
    assert bin_mass(edges[:-1], edges[1:]).sum().item() == pytest.approx(1, abs=1e-15)
    assert bin_mass(-infinity, infinity).item() == 1


def test_gradient_is_the_density_at_the_edges() -> None:
    lower = EDGES[:-1].clone().requires_grad_()
    upper = EDGES[1:].clone().requires_grad_()
    bin_mass(lower, upper).sum().backward()
    assert lower.grad is not None and upper.grad is not None
    assert -lower.grad.numpy() == pytest.approx(stats.logistic.pdf(EDGES[:-1]), rel=1e-9)
    assert upper.grad.numpy() == pytest.approx(stats.logistic.pdf(EDGES[1:]), rel=1e-9)


def test_infinite_edges_have_gradient_zero() -> None:
    lower = torch.tensor([-math.inf, 1.0, -math.inf], dtype=torch.float64, requires_grad=True)
    upper = torch.tensor([1.0, math.inf, math.inf], dtype=torch.float64, requires_grad=True)
    bin_mass(lower, upper).sum().backward()
    assert lower.grad is not None and upper.grad is not None
    assert (lower.grad[[0, 2]] == 0).all() and (upper.grad[[1, 2]] == 0).all()
    assert lower.grad[1].item() == pytest.approx(-stats.logistic.pdf(1))
