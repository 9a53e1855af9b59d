"""Causal contexts never see the future, and whitening does what its name says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imprior.transforms import causal
from imprior.transforms.causal import ConditionalWhitening, Context

SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 6), (3, 12)]
WINDOWS = [(1, 1), (2, 3), (4, 4), (3, 0), (0, 2), (6, 9)]


def context(rows: int, columns: int) -> Context:
    window = causal.causal_window(rows, columns)
    return Context(0, tuple((0, dy, dx) for dy, dx in window), (True,) * len(window))


def numbers(height: int, width: int) -> Tensor:
    """An image whose values count pixels in reading order, (1, H, W)."""
    return torch.arange(height * width).view(1, height, width)


def contexts_of_all(rows: int, columns: int, height: int, width: int) -> Tensor:
    """Which pixels the context of every pixel holds, (H * W, D)."""
    window = context(rows, columns)
    reach = window.reach
    pixels = torch.arange(height * width)
    padded = causal.pad(numbers(height, width), reach)
    return causal.gather(padded, reach, window, pixels // width, pixels % width)


# -- neighbourhoods


@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_causal_window_is_what_comes_first(rows: int, columns: int) -> None:
    window = causal.causal_window(rows, columns)
    assert len(set(window)) == len(window) == rows * (2 * columns + 1) + columns
    assert all((dy, dx) < (0, 0) for dy, dx in window)
    assert all(-rows <= dy and abs(dx) <= columns for dy, dx in window)


def test_radius_cuts_corners() -> None:
    round_window = causal.causal_window(5, 5, radius=5)
    assert set(round_window) == {
        (dy, dx) for dy, dx in causal.causal_window(5, 5) if dy * dy + dx * dx <= 25
    }
    full = causal.full_window(5)
    assert {(dy, dx) for dy, dx in full if (dy, dx) < (0, 0)} == set(round_window)
    assert len(full) == 2 * len(round_window) + 1
    assert causal.full_window(0) == [(0, 0)]
    assert causal.full_window(-1) == []


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_no_context_sees_the_future(rows: int, columns: int, height: int, width: int) -> None:
    seen = contexts_of_all(rows, columns, height, width)[1:]
    pixels = torch.arange(1, height * width)[:, None]
    assert bool(((seen >= 0) & (seen < pixels)).all())


@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_inside_a_context_is_the_neighbourhood(rows: int, columns: int) -> None:
    height, width = rows + 3, 2 * columns + 3
    seen = contexts_of_all(rows, columns, height, width).view(height, width, -1)
    image = numbers(height, width)[0]
    for y in range(rows, height):
        for x in range(columns, width - columns):
            expected = [image[y + dy, x + dx] for dy, dx in causal.causal_window(rows, columns)]
            assert seen[y, x].tolist() == expected


def test_borders_are_as_documented() -> None:
    seen = contexts_of_all(1, 1, 3, 3).view(3, 3, 4)  # above left, above, above right, left
    assert seen[1, 0].tolist() == [0, 0, 1, 0]  # left of row 1 stands the first value of row 0
    assert seen[2, 0].tolist() == [0, 3, 4, 3]
    assert seen[1, 2].tolist() == [1, 2, 2, 4]  # right of row 0 stands its last value
    assert seen[0, 1].tolist() == [0, 0, 0, 0]  # in row 0 the left neighbour is all there is
    assert seen[0, 2].tolist() == [1, 1, 1, 1]


def test_a_plane_that_is_complete_may_be_seen_all_around() -> None:
    around = causal.full_window(1)
    window = Context(1, tuple((0, dy, dx) for dy, dx in around), (False,) * len(around))
    assert window.first_row() == window.offsets
    planes = torch.cat([numbers(3, 3), torch.full((1, 3, 3), -1)])
    y, x = torch.tensor([1, 0, 2]), torch.tensor([1, 1, 2])
    seen = causal.gather(causal.pad(planes, 1), 1, window, y, x)
    assert seen.tolist() == [[1, 3, 4, 5, 7], [1, 0, 1, 2, 4], [5, 7, 8, 8, 8]]


# -- the order of a walk


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_wavefronts_are_an_order_in_which_contexts_are_known(
    rows: int, columns: int, height: int, width: int
) -> None:
    slope = 1 + (columns if rows else 0)
    time = torch.full((height * width,), -1)
    for step, (y, x) in enumerate(causal.wavefronts(height, width, slope)):
        pixels = y * width + x
        assert bool((time[pixels] == -1).all())
        time[pixels] = step
    assert bool((time >= 0).all())
    seen = contexts_of_all(rows, columns, height, width)[1:]
    assert bool((time[seen] < time[1:, None]).all())


def test_wavefronts_are_few() -> None:
    assert len(list(causal.wavefronts(100, 300, 5))) == 300 + 5 * 99
    assert len(list(causal.wavefronts(100, 2, 5))) == 2 * 100  # never more than pixels


# -- whitening


def fitted(x: Tensor, y: Tensor) -> ConditionalWhitening:
    whitening = ConditionalWhitening(x.shape[1]).double()
    whitening.fit(x, y)
    return whitening


def correlated(n: int = 500, dims: int = 4) -> tuple[Tensor, Tensor]:
    """Contexts of unlike variances, and outputs that they predict in part."""
    x = torch.randn(n, dims).double() @ torch.randn(dims, dims).double() + 3
    return x, x @ torch.randn(dims).double() + torch.randn(n).double() - 1


def test_whitened_data_are_uncorrelated_with_unit_variance() -> None:
    x, y = correlated()
    whitening = fitted(x, y)
    inputs = whitening.inputs(x)
    joint = torch.cat([inputs, whitening.outputs(inputs, y)[:, None]], 1)
    second_moments = joint.T @ joint / len(joint)
    torch.testing.assert_close(second_moments, torch.eye(5).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(joint.mean(0), torch.zeros(5).double(), rtol=0, atol=1e-12)


def test_fit_does_not_depend_on_the_pieces_it_is_summed_in() -> None:
    x, y = correlated(70_000, 2)
    whitening = fitted(x, y)
    covariance = torch.cov(x.T, correction=0)
    inverse = whitening.whitener @ whitening.whitener
    torch.testing.assert_close(inverse @ covariance, torch.eye(2).double(), rtol=0, atol=1e-9)


def test_log_jacobian_is_autograds() -> None:
    x, y = correlated()
    whitening = fitted(x, y)
    inputs = whitening.inputs(x[:1])
    jacobian = torch.autograd.functional.jacobian(lambda y: whitening.outputs(inputs, y), y[:1])
    assert jacobian.log().item() == pytest.approx(whitening.log_jacobian.item(), abs=1e-12)


def test_images_of_one_grey_level_whiten_to_zeros() -> None:
    x, y = torch.full((50, 3), 0.3), torch.full((50,), 0.3)
    whitening = ConditionalWhitening(3)
    whitening.fit(x, y)
    inputs = whitening.inputs(x)
    assert not inputs.any() and not whitening.outputs(inputs, y).any()
    other = whitening.outputs(whitening.inputs(x + 0.5), y - 0.5)
    assert math.isfinite(float(whitening.log_jacobian)) and bool(other.isfinite().all())


def test_inputs_that_say_the_same_do_no_harm() -> None:
    x, y = correlated(500, 2)
    whitening = fitted(torch.cat([x, x[:, :1]], 1), y)
    doubled = whitening.inputs(torch.cat([x, x[:, :1]], 1))
    expected = fitted(x, y)
    actual = whitening.outputs(doubled, y)
    torch.testing.assert_close(actual, expected.outputs(expected.inputs(x), y), rtol=0, atol=1e-6)


def test_without_inputs_the_output_is_standardized() -> None:
    y = 5 + 2 * torch.randn(100).double()
    whitening = fitted(torch.zeros(100, 0).double(), y)
    outputs = whitening.outputs(whitening.inputs(torch.zeros(100, 0).double()), y)
    assert outputs.mean().item() == pytest.approx(0, abs=1e-12)
    assert outputs.std(correction=0).item() == pytest.approx(1, abs=1e-12)
