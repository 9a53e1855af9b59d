"""The factorized MCGSM where numbers are hard, and where a fit starts."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm
from torch import Tensor
from torch.distributions import Normal

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from tests.models.mixtures import Size, assert_close, bins, gradients, points, targets, toy


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [30.0, 1e3, 1e5])
def test_bins_in_the_far_tails_have_mass_and_no_wild_gradient(
    dtype: torch.dtype, distance: float
) -> None:
    model = toy().to(dtype)
    x = points(model, 4)[0].to(dtype)
    centre = torch.tensor([distance, -distance, distance, -distance], dtype=dtype)
    y = bins(centre, floor=2.0**-24)
    y = y._replace(
        lower=torch.tensor([*y.lower[:3], -math.inf], dtype=dtype),
        upper=torch.tensor([*y.upper[:2], math.inf, y.upper[3]], dtype=dtype),
    )
    log_mass = model.log_prob(x, y)
    floor = torch.full_like(log_mass, -24 * math.log(2))
    torch.testing.assert_close(log_mass, floor, rtol=1e-6, atol=0)
    log_mass.sum().backward()
    assert all(part.abs().max() < 1e-6 for part in gradients(model).values())


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_open_ends_are_ends_far_away(side: str) -> None:
    model = toy()
    x, y = points(model)
    sign = 1.0 if side == "upper" else -1.0
    results = []
    for end in (math.inf, 1e3):
        leaf = x.clone().requires_grad_()
        log_mass = model.log_prob(leaf, bins(y)._replace(**{side: torch.full_like(y, sign * end)}))
        log_mass.sum().backward()
        assert leaf.grad is not None
        results.append({"log_mass": log_mass.detach(), "x": leaf.grad, **gradients(model)})
    assert_close(results[0], results[1], 1e-13)


def test_tails_are_as_accurate_on_both_sides() -> None:
    model = FactorizedMCGSM(0, 1, 1, 0).double()  # the standard normal distribution
    edges = torch.arange(1, 30, dtype=torch.float64)
    x, ones, zeros = torch.zeros(29, 0).double(), torch.ones(29).double(), torch.zeros(29).double()
    with torch.no_grad():
        right = model.log_prob(x, Bins(edges, edges + 1, ones, zeros))
        left = model.log_prob(x, Bins(-edges - 1, -edges, ones, zeros))
    exact = torch.from_numpy(norm.sf(edges) - norm.sf(edges + 1)).log()
    assert_close(left, exact, 1e-13)
    assert_close(right, left, 0.0)


@pytest.mark.parametrize("kind", ["density", "mass"])
def test_float32_is_close_to_float64(kind: str) -> None:
    model = toy((40, 16, 4, 48, False))
    x, y = points(model, 500)
    x /= 40**0.5
    value = model.value_and_gradient(x, targets(y, kind))
    exact, exact_values = gradients(model), model.log_prob(x, targets(y, kind)).float()
    model, x, y = model.float(), x.float(), y.float()
    torch.testing.assert_close(
        model.log_prob(x, targets(y, kind)), exact_values, rtol=1e-5, atol=1e-4
    )
    assert model.value_and_gradient(x, targets(y, kind)) == pytest.approx(value, abs=1e-5)
    for name, gradient in gradients(model).items():
        assert gradient.dtype == torch.float32 and gradient.is_contiguous()
        torch.testing.assert_close(gradient, exact[name].float(), rtol=1e-3, atol=1e-6)


def test_no_pixels_have_no_probabilities_and_no_gradient() -> None:
    model = toy()
    x, y = points(model, 0)
    assert model.log_prob(x, y).shape == (0,)
    with pytest.raises(ValueError, match="no pixels to fit"):
        model.value_and_gradient(x, y)


def test_a_mixture_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="num_components must be at least 1, got 0"):
        FactorizedMCGSM(3, 0, 1, 1)
    with pytest.raises(ValueError, match="num_scales must be at least 1, got 0"):
        FactorizedMCGSM(3, 1, 0, 1)


def scale_mixture(n: int, dims: int) -> tuple[Tensor, Tensor]:
    """Whitened contexts and outputs of a Gaussian scale mixture: uncorrelated, not independent."""
    spread = torch.tensor([0.1, 0.5, 2.0]).double()[torch.randint(3, (n,))]
    z = spread[:, None] * torch.randn(n, dims + 1).double()
    z /= z.std(0)
    return z[:, :-1], z[:, -1]


@pytest.mark.parametrize(
    ("size", "gain"),
    [((5, 3, 2, 4, False), 0.4), ((5, 3, 2, 4, True), 0.4), ((4, 2, 3, 0, False), 0.3),
     ((1, 1, 1, 1, True), -0.1)],
    ids=["paper", "means", "no-features", "one-is-a-gaussian"],
)  # fmt: skip
def test_start_is_better_than_a_gaussian(size: Size, gain: float) -> None:
    model = toy(size)
    x, y = scale_mixture(5000, model.num_inputs)
    model.initialize(x, y, torch.Generator().manual_seed(0))
    gaussian = Normal(y.mean(), y.std()).log_prob(y).mean().item()
    with torch.no_grad():
        assert model.log_prob(x, y).mean().item() > gaussian + gain


def test_start_without_contexts_finds_clusters() -> None:
    model = toy((0, 4, 2, 0, True))
    y = 0.2 * torch.randn(5000).double() + torch.randint(2, (5000,)) * 10
    x = torch.zeros(5000, 0).double()
    model.initialize(x, y, torch.Generator().manual_seed(0))
    gaussian = Normal(y.mean(), y.std()).log_prob(y).mean().item()
    with torch.no_grad():
        assert model.log_prob(x, y).mean().item() > gaussian + 0.3


def test_start_depends_on_data_and_generator_alone() -> None:
    data = scale_mixture(500, 5)
    states = []
    for seed in (1, 1, 2):
        model = toy()
        model.initialize(*data, torch.Generator().manual_seed(seed))
        states.append(model.state_dict())
    assert_close(states[0], states[1], 0.0)
    assert not torch.equal(states[0]["features"], states[2]["features"])
