"""Ablations of pyramids: what is measured is one octave, for every variant; average pooling."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from experiments import average_pooling, equal_time, pyramid_ablations
from experiments.average_pooling import AverageOctave
from experiments.imagenet128 import photographs
from imprior.models.pyramids.model import PixelPyramid
from imprior.tasks import codecs
from imprior.transforms.pairs import COLUMNS, ROWS
from tests.experiments.small_photographs import write_photographs


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photographs(tmp_path / "data")
    monkeypatch.setenv("IMPRIOR_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pyramid_ablations, "RESULTS", tmp_path / "results" / "ablations.json")
    monkeypatch.setattr(equal_time, "steps_within", lambda seconds, run: 2)


def test_variants_are_trained_measured_and_drawn() -> None:
    names = ("light", "average", "squeeze-1")
    pyramid_ablations.main(names, seconds=0.1, crop=16, batch=2)
    rows = json.loads(pyramid_ablations.RESULTS.read_text())
    found = {row["name"].removeprefix("imagenet128-test/"): row for row in rows}
    assert list(found) == [
        *("octave/light", "whole-jxl/light", "octave/average", "whole-jxl/average"),
        "octave/squeeze-1",
    ]
    for row in rows:
        assert 1 < row["value"] < 12 and row["seconds"] > 0
        assert "2 steps of 2 crops of 16" in row["protocol"]
    chart = pyramid_ablations.RESULTS.with_suffix(".svg").read_text()
    assert all(f"<!-- {name}, " in chart for name in names)


def test_the_octave_is_all_pixels_but_every_fourth() -> None:
    model, test = pyramid_ablations.build("light"), photographs("test")
    assert isinstance(model, PixelPyramid)
    octave, whole = pyramid_ablations.bits(model, test)
    nats = lossless = 0.0
    for x in test:
        shares = model.level_log_probs(x[None])
        nats -= float((shares["level-1"] + shares["level-2"]).detach())
        lossless += 8 * len(codecs.encode("jxl", x[:, 1::2, 1::2], 8) or b"")
    count = 2 * 3 * 32 * 32
    assert octave == pytest.approx(nats / math.log(2) / (3 / 4 * count))
    assert whole == pytest.approx((nats / math.log(2) + lossless) / count)


def test_variants_differ_from_the_light_level_in_one_thing() -> None:
    base = pyramid_ablations.VARIANTS["light"].levels[0]
    expected: dict[str, set[str]] = {
        "light": set(),
        "difference": set(),
        "no-unet": {"context"},
        "no-lstm": {"num_lstms", "direct"},
        "squeeze-1": {"squeeze", "num_lstms", "direct"},
        "squeeze-4": {"squeeze"},
        "no-neighbours": {"neighbours"},
        "no-direct": {"direct"},
        "neither": {"neighbours", "direct"},
        "kernel-1": {"kernel"},
        "components-5": {"num_components"},
        "average": set(),
    }
    for name, config in pyramid_ablations.VARIANTS.items():
        first, second = config.levels
        changed = {field for field in vars(base) if vars(first)[field] != vars(base)[field]}
        assert changed == expected[name] and first == second
        assert config.fine == ("difference" if name in ("difference", "average") else "pixel")
    with pytest.raises(ValueError, match="unknown variant 'heavy': choose from light, difference"):
        pyramid_ablations.main(("heavy",))


def test_means_and_differences_are_the_image() -> None:
    values = torch.tensor(list(product(range(16), repeat=2))).view(-1, 1, 2, 1)
    for axis, x in ((ROWS, values), (COLUMNS, values.mT)):
        means, differences = average_pooling.split(x, axis)
        assert torch.equal(average_pooling.join(means, differences, axis), x)
        assert means.min() >= 0 and means.max() < 16 and differences.abs().max() < 16
        both = torch.stack([means.flatten(), differences.flatten()])
        assert len(both.unique(dim=1).T) == 256


@torch.no_grad()
def test_average_octave_is_a_distribution_of_differences() -> None:
    """Given two means of one bit, the differences -2, ..., 1 of each sum to one."""
    torch.manual_seed(0)
    config = pyramid_ablations.VARIANTS["average"]
    level = replace(config.levels[0], width=2, depth=1, features=2, hidden=2)
    model = AverageOctave(replace(config, channels=1, bits=1, levels=(level, level)))
    by_rows = model.double().levels[0]
    assert isinstance(by_rows, average_pooling.AverageLevel)
    differences = torch.tensor(list(product(range(-2, 2), repeat=2))).view(-1, 1, 1, 2)
    means = torch.tensor([0, 1]).expand(differences.shape)
    masses = by_rows.log_mass_map(means, differences, ROWS).flatten(1).sum(1)
    assert abs(float(masses.logsumexp(0))) < 1e-8
    x = torch.randint(2, (3, 1, 8, 6))
    rows = (x[:, :, ::2] + x[:, :, 1::2]) // 2
    assert torch.equal(model.coarse(x), (rows[..., ::2] + rows[..., 1::2]) // 2)
    assert model.nats(x).shape == (3,)
