"""Dead leaves are an exact sample of the model: their radii, their cover, their correlations."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from scipy import integrate

from imprior.data import dead_leaves
from imprior.data.dead_leaves import DeadLeaves


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 2.9999999, 3.0, 4.5])
def test_radii_of_leaves_that_may_be_seen_follow_their_law(exponent: float) -> None:
    """Those of all leaves, weighted with the area from which a leaf may touch the window."""
    height, width, r_min, r_max = 11, 21, 0.7, 30.0
    model = DeadLeaves(r_min, r_max, exponent)
    generator = seeded()
    r = torch.cat([model._fall(height, width, generator)[2] for _ in range(20)]).sort().values

    def density(r: float) -> float:
        return r**-exponent * (height - 1 + 2 * r) * (width - 1 + 2 * r)

    total = integrate.quad(density, r_min, r_max)[0]
    at = r[:: len(r) // 20].tolist()
    expected = [integrate.quad(density, r_min, radius)[0] / total for radius in at]
    found = np.arange(0, len(r), len(r) // 20) / len(r)
    assert np.abs(found - expected).max() < 1.7 / math.sqrt(len(r))  # Kolmogorov, p = 0.006


def test_centres_are_uniform_given_the_radius() -> None:
    x, y, r = DeadLeaves(1, 30)._fall(11, 21, seeded())
    for place, side in ((x, 20), (y, 10)):
        u = ((place + r) / (side + 2 * r)).sort().values
        gap = (u - torch.arange(len(u)) / len(u)).abs().max()
        assert gap < 1.7 / math.sqrt(len(u))


def test_a_leaf_hides_those_below_it() -> None:
    """Against the definition, pixel by pixel; whatever stays free is counted."""
    u = torch.rand(3, 40, generator=seeded(), dtype=torch.float64)
    x, y, r = (14 * u[0] - 2).numpy(), (12 * u[1] - 2).numpy(), (0.3 + 2 * u[2]).numpy()
    leaf = np.full((7, 9), -1)
    free = dead_leaves._lay(leaf, 100, leaf.size, x, y, r)
    assert free == (leaf < 0).sum() > 0
    for row, column in np.ndindex(7, 9):
        covering = np.flatnonzero((row - y) ** 2 + (column - x) ** 2 <= r**2)
        assert leaf[row, column] == (100 + covering[0] if len(covering) else -1)


def test_every_pixel_shows_a_leaf_however_few_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dead_leaves, "LEAVES_AT_ONCE", 3)
    leaf = DeadLeaves(1.5, 4).leaves(20, 13, generator=seeded())
    assert leaf.shape == (20, 13) and leaf.dtype == torch.int64
    assert leaf.min() == 0 and leaf.max() > 50


@pytest.mark.parametrize(
    "model", [DeadLeaves(1.5, 6), DeadLeaves(0.5, 40, 2.5), DeadLeaves(3, 3)], ids=repr
)
def test_two_pixels_show_the_same_leaf_as_often_as_geometry_says(model: DeadLeaves) -> None:
    generator = seeded()
    leaves = torch.stack([model.leaves(9, 12, generator=generator) for _ in range(1000)])
    pairs = [((0, 0), (0, 1)), ((8, 11), (8, 9)), ((4, 5), (4, 9)), ((1, 2), (4, 6))]
    for (row, column), (other_row, other_column) in pairs:
        same = (leaves[:, row, column] == leaves[:, other_row, other_column]).double()
        expected = model.same_leaf(math.hypot(row - other_row, column - other_column))
        error = math.sqrt(expected * (1 - expected) / len(same))
        assert float(same.mean()) == pytest.approx(expected, abs=4 * error)


def test_the_correlation_of_pixels_is_that_of_leaves() -> None:
    model = DeadLeaves(1, 10)
    x = model.sample((1000, 1, 4), generator=seeded(), bits=8).double()
    left, right = x[:, 0, 0, 0] - 127.5, x[:, 0, 0, 3] - 127.5
    product = left * right / ((256**2 - 1) / 12)
    error = float(product.std()) / math.sqrt(len(product))
    assert float(product.mean()) == pytest.approx(model.same_leaf(3), abs=4 * error)


def test_the_same_leaf_is_certain_at_no_distance_and_impossible_at_a_large_one() -> None:
    model = DeadLeaves(1, 10)
    assert model.same_leaf(0) == 1
    assert model.same_leaf(20) == 0
    values = [model.same_leaf(distance) for distance in np.linspace(0, 20, 30)]
    assert values == sorted(values, reverse=True)


def test_samples_are_integers_of_all_depths_and_channels() -> None:
    for bits, channels in ((1, 1), (8, 3), (16, 2)):
        x = DeadLeaves(1, 4).sample((2, 20, 30), generator=seeded(), channels=channels, bits=bits)
        assert x.shape == (2, channels, 20, 30) and x.dtype == torch.int64
        assert x.min() >= 0 and x.max() < 2**bits and x.max() > 2**bits * 0.9 - 1
    with pytest.raises(ValueError, match="at least one pixel, got 0 x 4"):
        DeadLeaves().leaves(0, 4, generator=seeded())


def test_a_seed_says_all() -> None:
    first, again, other = (DeadLeaves().sample((2, 16, 16), generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("values", [(0, 1), (2, 1), (-1, 1), (1, math.inf), (1, 2, math.nan)])
def test_what_makes_no_model_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="0 < r_min <= r_max and a finite exponent, got"):
        DeadLeaves(*values)


def test_an_image_takes_far_less_than_a_second() -> None:
    DeadLeaves().leaves(4, 4, generator=seeded())  # compiles
    started = time.process_time()
    DeadLeaves().leaves(256, 256, generator=seeded())
    assert time.process_time() - started < 0.5
