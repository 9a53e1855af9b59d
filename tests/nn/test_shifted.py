"""Shifted convolutions: what they see, the sizes they give, how their weights are made."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from imprior.nn.pixelcnn import FIRST_ABOVE, FIRST_LEFT, FIRST_ROWS, PIXELS, ROWS
from imprior.nn.shifted import POINT, Enlargement, Normalized, ShiftedConvolution, Window

WINDOWS = (POINT, ROWS, PIXELS, FIRST_ROWS, FIRST_ABOVE, FIRST_LEFT)
SIZES = ((1, 1), (1, 4), (5, 1), (4, 5), (5, 4))


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_output_sees_its_window_alone(window: Window, stride: int, size: tuple[int, int]) -> None:
    convolution = ShiftedConvolution(1, 1, window, stride=stride).double()
    x = torch.zeros(1, 1, *size, dtype=torch.float64)
    seen = jacobian(convolution, x)[0, 0, :, :, 0, 0] != 0
    assert seen.shape[:2] == (-(-size[0] // stride), -(-size[1] // stride))
    for y, x_, row, column in itertools.product(*map(range, seen.shape)):
        dy, dx = row - stride * y, column - stride * x_
        inside = -window.above <= dy <= window.below and -window.before <= dx <= window.after
        assert bool(seen[y, x_, row, column]) == inside


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_matrix_multiplies_patches(window: Window) -> None:
    convolution = ShiftedConvolution(3, 2, window).double()
    patch = torch.randn(1, 3, window.height, window.width, dtype=torch.float64)
    middle = torch.nn.functional.pad(patch, (3, 3, 3, 3))
    expected = convolution(middle)[0, :, 3 + window.above, 3 + window.before]
    values = patch[0].permute(1, 2, 0).flatten()
    torch.testing.assert_close(values @ convolution.matrix() + convolution.bias, expected)


@pytest.mark.parametrize("width", [2, 3])
def test_enlargement_makes_four_pixels_of_one(width: int) -> None:
    enlargement = Enlargement(1, width).double()
    weight = enlargement.weight()[0, :, :, 0]
    x = torch.zeros(1, 1, 2, 3, dtype=torch.float64)
    x[0, 0, 1, 1] = 1
    expected = torch.zeros(4, 6, dtype=torch.float64)
    expected[2:, 4 - width : 4] = weight
    torch.testing.assert_close(enlargement(x, 4, 6)[0, 0], expected)
    torch.testing.assert_close(enlargement(x, 3, 5)[0, 0], expected[:3, :5])


def test_weights_have_their_length_whatever_the_direction() -> None:
    convolution = ShiftedConvolution(3, 4, ROWS, length=0.7)
    torch.testing.assert_close(convolution.weight().flatten(1).norm(dim=1), torch.full((4,), 0.7))
    before = convolution.weight().detach()
    with torch.no_grad():
        convolution.direction.mul_(5)
    torch.testing.assert_close(convolution.weight(), before)


def test_outputs_start_with_the_size_of_the_inputs() -> None:
    convolution = ShiftedConvolution(64, 64, ROWS)
    with torch.no_grad():
        outputs: Tensor = convolution(torch.randn(4, 64, 16, 16))[:, :, 1:, 1:-1]
    assert math.isclose(outputs.square().mean().item(), 1, rel_tol=0.1)


def test_order_in_memory_does_not_follow_the_format_of_kernels() -> None:
    layer = Normalized(3, 4, 2, 3, 1.0)
    before = layer.matrix()
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert layer.direction.is_contiguous() and torch.equal(layer.matrix(), before)
