"""The dead leaves experiment: whom it trains on, what it scores, and what it leaves behind."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments import dead_leaves
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.transforms import causal


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIDE", 32), ("NUM_TRAIN", 4), ("NUM_TEST", 2), ("R_MAX", 16.0)):
        monkeypatch.setattr(dead_leaves, name, value)


def test_training_and_test_images_differ_and_depend_on_the_seed() -> None:
    train, test = dead_leaves.images(0)
    assert len(train) == 4 and len(test) == 2
    assert all(x.shape == (1, 32, 32) and x.dtype == torch.int64 for x in train + test)
    assert len({tuple(x.flatten().tolist()) for x in train + test}) == 6
    assert torch.equal(dead_leaves.images(0)[1][1], test[1])
    assert not torch.equal(dead_leaves.images(1)[1][1], test[1])


def test_every_size_is_scored_on_the_same_noise_and_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under a density of 4 inside and 1 in the margin, the score is 2 bits."""
    seen = []

    def density(model: MCGSM, x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        result = torch.zeros(x.shape, dtype=torch.float64)
        result[..., 8:-8, 8:-8] = math.log(4)
        return result

    monkeypatch.setattr(MCGSM, "log_density_map", density)
    test = dead_leaves.images(0)[1]
    for size in (1, 2):
        model = MCGSM(MCGSMConfig(rows=size, columns=size, num_components=1, num_features=1))
        assert dead_leaves.score(model, test, seed=3) == pytest.approx(2.0, abs=1e-12)
    assert all(torch.equal(x, y) for x, y in zip(seen[:2], seen[2:], strict=True))
    assert all(torch.equal((x[0] * 256).long(), g) for x, g in zip(seen, test + test, strict=True))


def test_a_run_leaves_figures_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dead_leaves, "RESULTS", tmp_path / "dead_leaves.json")
    dead_leaves.main(sizes=(1, 2), num_pixels=600, steps=2)
    rows = json.loads((tmp_path / "dead_leaves.json").read_text())
    assert [row["name"].split("/")[-1] for row in rows] == [
        "mcgsm-16-4-inputs", "mcgsm-16-12-inputs",
    ]  # fmt: skip
    assert all(math.isfinite(row["value"]) and row["unit"] == "bit/px" for row in rows)
    assert Image.open(io.BytesIO((tmp_path / "dead_leaves.png").read_bytes())).width > 1000
    assert "mcgsm-16-12-inputs" in capsys.readouterr().out


@pytest.mark.parametrize("sizes", [(), (0,), (1, 9)])
def test_sizes_fit_the_margin(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="sizes are 1 to 8"):
        dead_leaves.main(sizes=sizes)


def test_a_grown_model_is_the_same_density() -> None:
    generator = torch.Generator().manual_seed(0)
    x = dead_leaves.images(0)[0][0].double() / 256
    x = x + 0.1 * torch.rand(x.shape, generator=generator, dtype=torch.float64)
    y, column = (i.flatten() for i in torch.meshgrid(*2 * [torch.arange(3, 29)], indexing="ij"))
    models = []
    for size in (1, 3):
        config = MCGSMConfig(rows=size, columns=size, num_components=3, num_features=5)
        model = MCGSM(config).double()
        inputs = causal.gather(causal.pad(x, 3), 3, model.contexts[0], y, column)
        model.whitening[0].fit(inputs, x[0, y, column])
        for parameter in model.experts[0].parameters():
            torch.nn.init.normal_(parameter, generator=generator)
        models.append(model)
    smaller, larger = models
    inner = (..., slice(3, 29), slice(3, 29))
    with torch.no_grad():
        expected = smaller.log_density_map(x[None])[inner]
        assert not torch.allclose(larger.log_density_map(x[None])[inner], expected, atol=0.1)
        dead_leaves.grow(smaller, larger)
        torch.testing.assert_close(
            larger.log_density_map(x[None])[inner], expected, rtol=0, atol=1e-7
        )
