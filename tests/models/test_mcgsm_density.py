"""The MCGSM's other face: a density of continuous images, and what precision does to both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from imprior.distributions.frequencies import precision
from imprior.models.ride.mcgsm import MCGSM
from tests.models.mcgsms import KINDS, assert_close, fit_whitening, noise, smooth, toy


def gaussian(**fields: Any) -> MCGSM:
    """A model with one component and, in effect, one scale: a Gaussian field."""
    model = toy(num_components=1, num_scales=1, num_first=1, **fields)
    with torch.no_grad():
        for first in model.first:
            first.alpha.fill_(0.3)
    return model


@pytest.mark.parametrize("fields", KINDS)
def test_density_of_one_component_is_a_gaussian_field(fields: dict[str, Any]) -> None:
    model = gaussian(**{**fields, "means": True})
    shape = (model.channels, 3, 4)
    dims = math.prod(shape)

    def log_density(x: Tensor) -> Tensor:
        return model.log_density_map(x.view(-1, *shape)).sum((1, 2, 3))

    # The gradient of a Gaussian's log-density is affine, -P (x - m): its differences are P.
    x = torch.cat([torch.zeros(1, dims), torch.eye(dims)]).double().requires_grad_()
    (slope,) = torch.autograd.grad(log_density(x).sum(), x)
    matrix = slope[0] - slope[1:]
    assert_close(matrix, matrix.T)
    mean = torch.linalg.solve(matrix, slope[0])
    field = MultivariateNormal(mean, precision_matrix=matrix)
    points = torch.rand(10, dims).double()
    assert_close(log_density(points), field.log_prob(points), 1e-7)


@pytest.mark.parametrize("order", ["planes", "pixels"])
def test_mass_is_the_density_integrated_over_a_bin(order: str) -> None:
    model = toy(bits=4, channels=2, order=order)
    x = noise(model, 20, 2, 3)
    x[:, -1, -1, -1] = torch.randint(1, 15, (20,))  # the last value: not in an open bin
    nodes, weights = (torch.from_numpy(part) / 2 for part in np.polynomial.legendre.leggauss(20))
    with torch.no_grad():
        log_mass = model.log_prob_map(x)[:, -1, -1, -1]
        densities = []
        for node in nodes:
            continuous = model.unit(x)
            continuous[:, -1, -1, -1] += node / 16
            densities.append(model.log_density_map(continuous)[:, -1, -1, -1])
    log_density = torch.stack(densities) - math.log(16)
    floor = 2.0 ** -precision(4)
    integral = (log_density.exp() * weights[:, None]).sum(0)
    assert_close(log_mass, ((1 - 16 * floor) * integral + floor).log(), 1e-10)
    # Dequantized values have fewer bits of density than integers of mass (Jensen).
    assert bool(((log_density * weights[:, None]).sum(0) < log_mass + 16 * floor).all())


def test_density_takes_floats_of_any_precision() -> None:
    model, x = toy(), torch.rand(2, 1, 3, 4)
    with torch.no_grad():
        assert_close(model.log_density_map(x), model.log_density_map(x.double()), 1e-12)
    with pytest.raises(ValueError, match=r"floats in \[0, 1\], got torch.int64"):
        model.log_density_map(noise(model, 1, 2, 2))
    with pytest.raises(ValueError, match=r"takes images of shape \(B, 1, H, W\)"):
        model.log_density_map(torch.rand(1, 2, 3, 3))


@pytest.mark.parametrize(("bits", "tolerance"), [(1, 1e-5), (8, 1e-4), (12, 5e-4), (16, 1e-2)])
def test_float32_is_close_to_float64(bits: int, tolerance: float) -> None:
    model = toy(bits=bits, rows=3, columns=3)
    x = smooth(bits, 2, 24, 24)
    fit_whitening(model, x)
    with torch.no_grad():
        exact = model.log_prob_map(x)
        single = model.float().log_prob_map(x)
    assert_close(single, exact, tolerance)
