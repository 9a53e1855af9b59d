"""Synthetic images have the statistics, densities and entropies that are claimed of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from imprior.data import synthetic
from imprior.data.synthetic import (
    CausalField,
    GaussianField,
    dead_leaves,
    leaf_radii,
    power_law,
)

AR = CausalField(((-1, -1), (-1, 0), (-1, 1), (0, -1)), (-0.2, 0.4, 0.1, 0.5), sigma=0.3)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_mean(values: Tensor, expected: float) -> None:
    """The mean of independent draws is within 4 standard errors."""
    error = float(values.std()) / math.sqrt(len(values))
    assert float(values.mean()) == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 3.0, 3.5])
def test_radii_follow_their_law(exponent: float) -> None:
    r = leaf_radii(20_000, seeded(), 2.0, 50.0, exponent)
    assert r.min() >= 2 and r.max() <= 50
    grid = torch.linspace(math.log(2), math.log(50), 20_001, dtype=torch.float64).exp()
    density = grid**-exponent
    mass = torch.cumulative_trapezoid(density, grid)
    expected = np.interp(r.sort().values.numpy(), grid[1:].numpy(), (mass / mass[-1]).numpy())
    empirical = (np.arange(len(r)) + 0.5) / len(r)
    assert np.abs(expected - empirical).max() < 1.7 / math.sqrt(len(r))  # Kolmogorov, p = 0.006


def test_all_radii_may_be_equal() -> None:
    assert torch.equal(leaf_radii(5, seeded(), 3.0, 3.0), torch.full((5,), 3.0).double())


@pytest.mark.parametrize("limits", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (1.0, math.inf)])
def test_radii_that_make_no_law_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="0 < r_min <= r_max"):
        leaf_radii(1, seeded(), *limits)


def test_leaves_are_painted_front_to_back() -> None:
    """Against the definition, one pixel at a time: the first leaf that covers it shows."""
    height, width, count = 7, 9, 40
    u = torch.rand(3, count, generator=seeded(), dtype=torch.float64)
    y, x, r = (12 * u[0] - 2).numpy(), (14 * u[1] - 2).numpy(), (0.3 + 3 * u[2]).numpy()
    front = np.full((height, width), -1, dtype=np.int64)
    missing = synthetic._paint(front, y, x, r, 100, front.size)
    for row in range(height):
        for column in range(width):
            covers = np.flatnonzero((row - y) ** 2 + (column - x) ** 2 <= r**2)
            assert front[row, column] == (100 + covers[0] if len(covers) else -1)
    assert missing == (front < 0).sum()


def test_every_pixel_is_covered_by_as_many_leaves_as_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(synthetic, "LEAVES_AT_ONCE", 3)
    x = dead_leaves((20, 13), seeded(), 1.5, 4.0)
    assert x.shape == (1, 20, 13) and x.dtype == torch.float64
    assert x.min() >= 0 and x.max() < 1
    assert 10 < x.unique().numel() < 200


def test_leaves_depend_on_the_generator_alone() -> None:
    first, again, other = (dead_leaves((16, 16), seeded(s), 1.0, 8.0) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_image_has_a_pixel() -> None:
    assert dead_leaves((1, 1), seeded(), 1.0, 2.0).shape == (1, 1, 1)
    with pytest.raises(ValueError, match="at least 1 x 1 pixels, got 0 x 4"):
        dead_leaves((0, 4), seeded(), 1.0, 2.0)


def test_two_pixels_show_the_same_leaf_as_often_as_geometry_says() -> None:
    r_min, r_max = 1.5, 6.0
    r = np.linspace(r_min, r_max, 4001)
    weight = r**-3.0 / np.trapezoid(r**-3.0, r)

    def common_area(distance: float) -> float:
        """Mean area that a disc shares with itself moved by `distance`."""
        cosine = np.minimum(1.0, distance / (2 * r))
        lens = 2 * r**2 * (np.arccos(cosine) - cosine * np.sqrt(1 - cosine**2))
        return float(np.trapezoid(weight * lens, r))

    generator = seeded()
    x = torch.cat([dead_leaves((16, 16), generator, r_min, r_max) for _ in range(300)])
    for distance in (1, 3, 8):
        expected = common_area(distance) / (2 * common_area(0) - common_area(distance))
        for moved in (x.roll(-distance, 1)[:, :-distance], x.roll(-distance, 2)[..., :-distance]):
            same = moved == x[:, : moved.shape[1], : moved.shape[2]]
            assert_mean(same.double().mean((1, 2)), expected)
    assert_mean(x[:, 0, 0], 1 / 2)
    assert_mean((x[:, 15, 15] - 1 / 2).square(), 1 / 12)


def test_power_law_has_unit_variance_and_the_slope_of_photographs() -> None:
    power = power_law(64, 64, exponent=2.0, corner=0.001)
    assert float(power.mean()) == pytest.approx(1.0)
    assert float(power[0, 4] / power[0, 8]) == pytest.approx(4.0, rel=1e-2)
    torch.testing.assert_close(power, power.T)


def test_gaussian_field_is_the_gaussian_of_its_covariance() -> None:
    field = GaussianField(power_law(3, 4))
    rows, columns = (i.flatten() for i in torch.meshgrid(*map(torch.arange, (3, 4)), indexing="ij"))
    down, across = rows[:, None] - rows, columns[:, None] - columns
    matrix = field.covariance[down % 3, across % 4]
    normal = torch.distributions.MultivariateNormal(torch.zeros(12).double(), matrix)
    x = field.sample(50, seeded())
    assert x.shape == (50, 1, 3, 4) and x.dtype == torch.float64
    torch.testing.assert_close(field.log_prob(x), normal.log_prob(x.flatten(1)), rtol=0, atol=1e-9)
    assert field.entropy == pytest.approx(float(normal.entropy()) / 12, abs=1e-12)


def test_samples_of_a_gaussian_field_have_its_spectrum_and_entropy() -> None:
    field = GaussianField(power_law(4, 6))
    x = field.sample(4000, seeded())
    energy = torch.fft.fft2(x, norm="ortho").abs().square()[:, 0]
    for k in ((0, 0), (0, 3), (1, 2), (2, 5)):
        assert_mean(energy[:, *k], float(field.power[k]))
    assert_mean(-field.log_prob(x) / 24, field.entropy)


def test_gaussian_field_refuses_what_is_no_spectrum() -> None:
    for power in (torch.zeros(2, 2), torch.rand(5, 5, generator=seeded()) + 0.1):
        with pytest.raises(ValueError, match="positive and P"):
            GaussianField(power.double())


def test_causal_field_is_a_triangular_map_of_noise() -> None:
    """Solving the equations of all pixels at once gives the same density."""
    height, width = 3, 4
    matrix = torch.eye(height * width, dtype=torch.float64)
    for row in range(height):
        for column in range(width):
            for (dy, dx), weight in zip(AR.offsets, AR.weights, strict=True):
                if row + dy >= 0 and 0 <= column + dx < width:
                    matrix[row * width + column, (row + dy) * width + column + dx] = -weight
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(12).double(), precision_matrix=matrix.T @ matrix / AR.sigma**2
    )
    x = AR.sample((20, height, width), seeded())
    noise = torch.randn((20, height, width), generator=seeded(), dtype=torch.float64) * AR.sigma
    torch.testing.assert_close(x.flatten(1) @ matrix.T, noise.flatten(1), rtol=0, atol=1e-12)
    ours = AR.log_prob_map(x).flatten(1).sum(1)
    torch.testing.assert_close(ours, normal.log_prob(x.flatten(1)), rtol=0, atol=1e-10)
    assert AR.entropy == pytest.approx(float(normal.entropy()) / 12, abs=1e-12)


def test_every_pixel_of_a_causal_field_has_its_entropy() -> None:
    surprise = -AR.log_prob_map(AR.sample((4000, 3, 3), seeded())).view(4000, 9)
    for pixel in range(9):
        assert_mean(surprise[:, pixel], AR.entropy)


def test_causal_field_without_neighbours_is_noise() -> None:
    white = CausalField((), (), sigma=2.0)
    x = white.sample((1, 2, 3), seeded())
    expected = torch.distributions.Normal(torch.zeros(1).double(), 2.0).log_prob(x)
    torch.testing.assert_close(white.log_prob_map(x), expected, rtol=0, atol=1e-12)


def test_causal_field_must_be_causal() -> None:
    for offset in ((0, 0), (0, 1), (1, -1)):
        with pytest.raises(ValueError, match="before"):
            CausalField((offset,), (0.5,), sigma=1.0)
    with pytest.raises(ValueError, match="one weight an offset and positive noise"):
        CausalField(((0, -1),), (), sigma=1.0)
    with pytest.raises(ValueError, match="one weight an offset and positive noise"):
        CausalField((), (), sigma=0.0)
