"""Figures of pyramids on photographs: levels add up, codecs see the same values, runs go on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from experiments import equal_time, imagenet128, pyramid_levels, pyramid_scaled
from imprior import checkpoint
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS
from imprior.train.networks import NetworkTraining
from tests.experiments.small_photographs import write_photographs

TINY = "pyramid-rgb-tiny"


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photographs(tmp_path / "data")
    monkeypatch.setenv("IMPRIOR_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(imagenet128, "RESULTS", tmp_path / "results" / "figures.json")
    monkeypatch.setattr(pyramid_scaled, "RESULTS", tmp_path / "results" / "figures.json")


def figures() -> dict[str, float]:
    rows = json.loads(imagenet128.RESULTS.read_text())
    return {row["name"]: row["value"] for row in rows}


def test_levels_of_images_of_several_sizes_add_up() -> None:
    model = PixelPyramid(PRESETS[TINY].config)
    images = [torch.randint(256, (3, height, width)) for height, width in ((4, 6), (13, 9))]
    found = pyramid_levels.measure(model, images)
    assert [*found.bits] == [*(f"level-{number}" for number in range(1, 7)), "coarsest"]
    assert sum(found.values.values()) == 3 * (4 * 6 + 13 * 9)
    assert found.values["level-1"] == 3 * (2 * 6 + 6 * 9)
    with torch.no_grad():
        nats = sum(float(model.log_prob(x[None])) for x in images)
    assert sum(found.bits.values()) == pytest.approx(-nats / math.log(2))
    assert found.bits_per_dim == pytest.approx(-nats / math.log(2) / (3 * (24 + 117)))
    assert found.own["level-1"] == found.bits["level-1"] / found.values["level-1"]
    assert b"<svg" in pyramid_levels.draw(found)
    with pytest.raises(ValueError, match="sides are at most 1024 here"):
        pyramid_levels.measure(model, [torch.zeros(3, 1, 1025, dtype=torch.int64)])


def test_a_preset_is_trained_measured_and_drawn(tmp_path: Path) -> None:
    imagenet128.main(preset=TINY, bits=5, steps=2, runs=tmp_path / "runs")
    folder = tmp_path / "runs" / f"imagenet128-5bit-{TINY}-2-steps"
    model = checkpoint.load(folder)
    assert model.bits == 5
    found, ours = figures(), f"imagenet128-test/5bit/{TINY}-2-steps"
    images = torch.stack(imagenet128.photographs("test", 3, 5))
    assert isinstance(model, PixelPyramid) and images.shape == (2, 3, 32, 32)
    assert 16 <= images.max() < 32
    with torch.no_grad():
        expected = float(model.bits_per_dim(images).mean())
    assert found[ours] == pytest.approx(expected, abs=1e-3)
    levels = [value for name, value in found.items() if name.startswith(f"{ours}/")]
    assert sum(levels[: len(levels) // 2]) == pytest.approx(found[ours], abs=1e-3)
    for codec in ("png", "webp", "jxl"):
        assert 0 < found[f"imagenet128-test/5bit/{codec}"] < 8
    assert (tmp_path / "results" / "imagenet128_5bit.svg").is_file()
    # A model that is there is not trained again, and gives the same figures.
    before = (folder / checkpoint.WEIGHTS).stat().st_mtime_ns
    imagenet128.main(preset=TINY, bits=5, steps=2, runs=tmp_path / "runs")
    assert (folder / checkpoint.WEIGHTS).stat().st_mtime_ns == before
    imagenet128.main(model=str(folder))
    rows = [row for row in json.loads(imagenet128.RESULTS.read_text()) if TINY in row["name"]]
    assert {row["value"] for row in rows if row["name"].endswith("steps")} == {found[ours]}
    given = rows[-1]["name"].split("/")
    assert given[:3] == ["imagenet128-test", "5bit", folder.name]
    assert "trained on imagenet128/train for" in rows[-1]["protocol"]


def test_what_is_no_pyramid_is_refused() -> None:
    for name in ("mcgsm-gray-tiny", "pyramid"):
        with pytest.raises(ValueError, match=f"'{name}' is no preset of a pyramid: choose from"):
            imagenet128.main(preset=name)
    with pytest.raises(ValueError, match="is for a PixelPyramid, not MCGSM"):
        imagenet128.main(model="mcgsm-gray")


def test_arithmetic_of_the_published_layout_is_that_of_the_paper() -> None:
    published = pyramid_scaled.arithmetic(PRESETS["pyramid-celeba-256"].config, 256)
    assert published == pytest.approx(pyramid_scaled.ANCHOR, rel=0.05)
    assert pyramid_scaled.arithmetic(PRESETS["pyramid-rgb"].config) < published / 10


def test_models_get_the_steps_that_their_time_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = PRESETS[TINY].config
    known = {"light": tiny, "published": tiny}
    steps = iter([8, 2])
    taken: list[int] = []

    def fit(model: object, images: object, training: NetworkTraining, seed: int) -> None:
        assert not training.budgets and training.fit.batch_size == 3
        taken.append(training.fit.steps)

    assert set(pyramid_scaled.configs()) == set(known)
    monkeypatch.setattr(pyramid_scaled, "configs", lambda: known)
    monkeypatch.setattr(pyramid_scaled, "fit", fit)
    monkeypatch.setattr(equal_time, "steps_within", lambda seconds, run: next(steps))
    pyramid_scaled.main(seconds=8.0, batch=3)
    assert taken == [8, 2]
    found = figures()
    for name in known:
        assert 0 < found[f"imagenet128-test/8bit/scaled-{name}"] < 20
        assert found[f"arithmetic/128x128/{name}"] > 0
    with pytest.raises(ValueError, match="unknown model 'heavy': choose from light, published"):
        pyramid_scaled.main(("heavy",))
