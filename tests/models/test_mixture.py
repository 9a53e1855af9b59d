"""The factorized MCGSM on vectors: it is the paper's formula, and so are its gradients."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from imprior.models.ride.kernels import CHUNK, Bins
from tests.models.mixtures import SIZES, Size, assert_close, bins, gradients, points, targets, toy
from tests.reference import mcgsm as reference


@pytest.mark.parametrize("kind", ["density", "mass"])
@pytest.mark.parametrize("size", SIZES)
def test_is_the_formula(size: Size, kind: str) -> None:
    model = toy(size)
    x, centres = points(model)
    y = targets(centres, kind)
    expected = reference.log_prob(model, x, y)
    assert_close(model.log_prob(x, y), expected)
    with torch.no_grad():
        assert_close(model.log_prob(x, y), expected.detach())


@pytest.mark.parametrize("size", SIZES)
def test_gates_and_posterior_are_the_formulas(size: Size) -> None:
    model = toy(size)
    x, y = points(model)
    joint = reference.log_joint(model, x, y)
    posterior = joint.flatten(1).softmax(1).view_as(joint)
    assert_close(model.gates(x), reference.log_gates(model, x).exp())
    assert_close(model.posterior(x, y), posterior)
    assert_close(model.gates(x).sum((1, 2)), torch.ones(20).double())
    assert_close(model.posterior(x, y).sum((1, 2)), torch.ones(20).double())


def test_one_component_is_a_gaussian() -> None:
    model = toy((3, 1, 1, 2, True))
    x, y = points(model)
    assert model.means is not None
    gaussian = Normal(x @ model.predictors[0] + model.means, (-0.5 * model.alpha[0]).exp())
    assert_close(model.log_prob(x, y), gaussian.log_prob(y))
    mass = 0.9 * (gaussian.cdf(y + 0.2) - gaussian.cdf(y - 0.2)) + 1e-3
    assert_close(model.log_prob(x, bins(y)), mass.log())


@pytest.mark.parametrize("size", SIZES)
def test_density_integrates_to_one(size: Size) -> None:
    model = toy(size)
    for row in points(model, 3)[0]:
        y = torch.arange(-40, 40, 0.02, dtype=torch.float64)
        density = model.log_prob(row.expand(len(y), -1), y).exp()
        assert density.sum().item() * 0.02 == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_masses_of_all_bins_sum_to_one(size: Size) -> None:
    model = toy(size)
    edges = torch.tensor([-math.inf, *torch.linspace(-2, 2, 15), math.inf]).double()
    lower, upper = edges[:-1], edges[1:]
    floor = torch.full_like(lower, 2.0**-20)
    for row in points(model, 3)[0]:
        y = Bins(lower, upper, 1 - 16 * floor, floor)
        total = model.log_prob(row.expand(16, -1), y).exp().sum().item()
        assert total == pytest.approx(1, abs=1e-14)


# -- gradients


@pytest.mark.parametrize("kind", ["density", "mass"])
@pytest.mark.parametrize("size", SIZES)
def test_gradcheck(size: Size, kind: str) -> None:
    model = toy(size)
    x, y = (part.requires_grad_() for part in points(model, 6))

    def log_prob(x: Tensor, y: Tensor, *_: Tensor) -> Tensor:
        return model.log_prob(x, targets(y, kind))

    inputs = (x, y if kind == "density" else y.detach(), *model.parameters())
    assert torch.autograd.gradcheck(log_prob, inputs)


@pytest.mark.parametrize("kind", ["density", "mass"])
@pytest.mark.parametrize("size", SIZES)
def test_closed_form_gradient_is_autograds(size: Size, kind: str) -> None:
    model = toy(size)
    x, centres = points(model)
    y = targets(centres, kind)
    value = model.value_and_gradient(x, y)
    closed_form = gradients(model)
    expected = reference.log_prob(model, x, y).mean()
    (-expected).backward()
    assert value == pytest.approx(expected.item(), abs=1e-12)
    by_reference = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
    assert_close(closed_form, by_reference)


def test_second_derivative_is_refused() -> None:
    model = toy()
    x, y = (part.requires_grad_() for part in points(model))
    squared = model.log_prob(x, y).square().sum()
    (first,) = torch.autograd.grad(squared, y, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("n", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
@pytest.mark.parametrize("kind", ["density", "mass"])
def test_chunks_make_no_difference(n: int, kind: str) -> None:
    model = toy((2, 2, 2, 1, True))
    x, y = points(model, n)
    weight = torch.randn(n).double()
    results = []
    for log_prob in (model.log_prob, partial(reference.log_prob, model)):
        leaf = x.clone().requires_grad_()
        values = log_prob(leaf, targets(y, kind))
        (values * weight).sum().backward()
        assert leaf.grad is not None
        results.append({"values": values.detach(), "x": leaf.grad, **gradients(model)})
    assert_close(results[0], results[1])
    value = model.value_and_gradient(x, targets(y, kind))
    assert value == pytest.approx(results[1]["values"].mean().item(), abs=1e-12)
