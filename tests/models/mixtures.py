"""Small mixtures whose parameters all matter, and what tests do with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM

SIZES = [
    pytest.param((5, 3, 2, 4, False), id="paper"),
    pytest.param((5, 3, 2, 4, True), id="means"),
    pytest.param((0, 3, 2, 0, True), id="mogsm"),
    pytest.param((4, 2, 3, 0, False), id="no-features"),
    pytest.param((1, 1, 1, 1, True), id="one"),
]
Size = tuple[int, int, int, int, bool]


def toy(size: Size = (5, 3, 2, 4, True)) -> FactorizedMCGSM:
    """A model whose parameters all matter, float64."""
    model = FactorizedMCGSM(*size[:4], means=size[4]).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape))
    return model


def points(model: FactorizedMCGSM, n: int = 20) -> tuple[Tensor, Tensor]:
    return torch.randn(n, model.num_inputs).double(), 1.5 * torch.randn(n).double()


def bins(y: Tensor, half: float = 0.2, floor: float = 1e-3) -> Bins:
    """Intervals around points."""
    return Bins(y - half, y + half, torch.full_like(y, 0.9), torch.full_like(y, floor))


def targets(y: Tensor, kind: str) -> Tensor | Bins:
    return bins(y) if kind == "mass" else y


def gradients(model: FactorizedMCGSM) -> dict[str, Tensor]:
    """What lies in `.grad`, taken away from there."""
    found = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        found[name], parameter.grad = parameter.grad, None
    return found


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
