"""The RIDE curve on dead leaves: figures, the picture of both curves, and what is scored."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from experiments import dead_leaves, dead_leaves_ride
from imprior.models.ride.model import RIDE, RIDEConfig
from imprior.transforms import causal


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("SIDE", 32), ("NUM_TRAIN", 10), ("NUM_TEST", 2), ("R_MAX", 16.0)):
        monkeypatch.setattr(dead_leaves, name, value)
    monkeypatch.setattr(dead_leaves, "RESULTS", tmp_path / "dead_leaves.json")


def test_both_curves_end_up_in_one_picture() -> None:
    dead_leaves.main(sizes=(1, 2), num_pixels=600, steps=2)
    alone = dead_leaves.RESULTS.with_suffix(".png").read_bytes()
    dead_leaves_ride.main((1, 2), steps=2, side=20, mcgsm_pixels=600, mcgsm_steps=2)
    names = [row["name"] for row in json.loads(dead_leaves.RESULTS.read_text())]
    assert names[2:] == [f"dead-leaves/inf/ride-16-{n}-inputs" for n in (4, 12)]
    found = dead_leaves.curves()
    assert list(found) == ["RIDE", "MCGSM"]
    assert all(list(curve) == [4, 12] for curve in found.values())
    assert all(math.isfinite(value) for curve in found.values() for value in curve.values())
    assert dead_leaves.RESULTS.with_suffix(".png").read_bytes() != alone


def test_rides_begin_where_neighbourhoods_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a density of 2 wherever it is asked for, the score is 1 bit."""
    margins = []

    def density(model: RIDE, x: torch.Tensor, margin: int) -> torch.Tensor:
        margins.append(margin)
        return torch.full(x.shape, math.log(2), dtype=torch.float64)

    monkeypatch.setattr(RIDE, "log_density_map", density)
    model = RIDE(RIDEConfig(rows=3, columns=2, num_units=2, num_components=1))
    assert dead_leaves.score(model, dead_leaves.images(0)[1], 0) == pytest.approx(1)
    assert margins == [3, 3]


def test_a_ride_starts_as_the_mcgsm() -> None:
    train, test = dead_leaves.images(0)
    mcgsm = dead_leaves.trained(2, None, train, 600, 5, seed=0)
    ride = dead_leaves_ride.start(mcgsm, seed=0)
    x = (test[0][None] + 0.5) / 256
    with torch.no_grad():
        expected = mcgsm.log_density_map(x)[..., 2:, 2:-2]
        found = ride.log_density_map(x, margin=ride.reach)[..., 2:, 2:-2]
        states = [piece.hidden for piece in ride.pieces(causal.pad(x, 2), x.shape, 2)]
    assert torch.cat(states).abs().max() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_sizes_fit_the_margin() -> None:
    with pytest.raises(ValueError, match="sizes are 1 to 8"):
        dead_leaves_ride.main(sizes=(9,))
