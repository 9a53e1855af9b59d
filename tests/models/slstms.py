"""Small spatial LSTMs whose parameters all matter, and what tests do with them."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from imprior.models.ride.diagonals import Diagonals, positions
from imprior.models.ride.slstm import SpatialLSTM


class Size(NamedTuple):
    """Of a batch of grids, (B, H, W), and of a layer over them: D inputs, n units."""

    batch: int
    height: int
    width: int
    inputs: int
    units: int

    @property
    def grid(self) -> Diagonals:
        return Diagonals(self.batch, self.height, self.width)


SIZES = [
    pytest.param(Size(1, 1, 1, 2, 3), id="cell"),
    pytest.param(Size(2, 1, 4, 3, 2), id="row"),
    pytest.param(Size(1, 5, 1, 3, 2), id="column"),
    pytest.param(Size(3, 3, 6, 2, 5), id="wide"),
    pytest.param(Size(2, 6, 4, 1, 1), id="high"),
    pytest.param(Size(1, 4, 4, 0, 7), id="no-inputs"),
]
variants = pytest.mark.parametrize("extended", [False, True], ids=["paper", "extended"])


def toy(size: Size, extended: bool = False, scale: float = 0.7) -> SpatialLSTM:
    """A layer with random weights, float64."""
    layer = SpatialLSTM(size.inputs, size.units, extended=extended).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape))
    return layer


def noise(size: Size) -> Tensor:
    """Inputs, (B, H, W, D), float64."""
    return torch.randn(size[:4]).double()


def apply(layer: SpatialLSTM, x: Tensor) -> Tensor:
    """The layer on inputs (B, H, W, D): outputs (B, H, W, n)."""
    grid = Diagonals(x.shape[0], x.shape[1], x.shape[2])
    where = positions(grid, 0, len(grid))
    rows = layer(x[where], grid)
    return rows.new_zeros(*x.shape[:3], layer.num_units).index_put(where, rows)


def gradients(layer: SpatialLSTM, x: Tensor, h: Tensor, by_h: Tensor) -> tuple[Tensor, ...]:
    """Of the sum of h * by_h, by inputs, weights and biases."""
    return torch.autograd.grad(h, (x, layer.weight, layer.bias), by_h)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
