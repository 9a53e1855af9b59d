"""What a training tells: progress, a bar, a table, pictures, TensorBoard, and nothing else."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imprior.data.images import Image, read
from imprior.report.figures import curve
from imprior.train.fit import fit
from imprior.train.progress import Progress
from tests.train.fitting import CONFIG, Gaussian, Normal, assert_same, run, weights

PLAIN = replace(CONFIG, weight_average=0.0)


def test_progress_is_told_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Progress] = []
    _, result = run(
        tmp_path / "run", replace(CONFIG, steps=47, validate_every=30), progress=seen.append
    )
    assert capfd.readouterr() == ("", "")
    assert [now.step for now in seen] == [20, 30, 47]
    assert {(now.stage, now.total) for now in seen} == {("training", 47)}
    bits = [point.validation["bits_per_dim"] for point in result.curve]
    assert math.isnan(seen[0].figure) and [now.figure for now in seen[1:]] == bits


def test_bar_shows_bits_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, result = run(tmp_path / "run", CONFIG, bar=True)
    out, err = capfd.readouterr()
    last = err.replace("\r", "\n").splitlines()[-1]
    assert out == "" and "24/24" in last and "bits/px=" in last
    assert f"bits_per_dim={result.best:.4f}" in last


class Steady(Gaussian):
    """Its squared error is always 4, and told in decibel."""

    def loss(self, batch: Tensor) -> Tensor:
        return 4 + 0 * (self.mean + self.log_scale)

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        return {"error_db": 10 * self.loss(batch).log10()}


def test_losses_and_figures_in_other_units_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[Progress] = []
    config = replace(PLAIN, monitor="error_db", validate_every=8)
    options: dict[str, Any] = {"progress": told.append, "bar": True}
    result = fit(Steady(), Normal(50), Normal(7, seed=1), config, tmp_path, **options)
    last = capfd.readouterr().err.replace("\r", "\n").splitlines()[-1]
    assert "bits" not in last
    assert "loss=4," in last and "error_db=6.0206" in last
    assert {(at.metric, at.measured) for at in told} == {("error_db", "6.0206 error db")}
    assert result.best == pytest.approx(10 * math.log10(4))
    rows = list(csv.DictReader((tmp_path / "curve.csv").read_text().splitlines()))
    assert float(rows[-1]["training/loss"]) == 4  # not divided by ln 2, as nats would be
    assert not any("bits" in name for name in rows[0])


def test_curve_is_logged_and_can_be_drawn(tmp_path: Path) -> None:
    _, result = run(tmp_path / "run", PLAIN)
    rows = csv.DictReader((tmp_path / "run" / "curve.csv").read_text().splitlines())
    for row, point in zip(rows, result.curve, strict=True):
        expected = {"step": point.step, **point.row()}
        assert {name: float(value) for name, value in row.items()} == expected
    steps, bits = [p.step for p in result.curve], [p.training for p in result.curve]
    assert b"<svg" in curve(steps, bits, x_label="steps", y_label="bits/px")


def test_training_figure_is_the_mean_since_the_last(tmp_path: Path) -> None:
    _, result = run(tmp_path / "all", replace(PLAIN, validate_every=1))
    each = [point.training for point in result.curve]
    _, result = run(tmp_path / "some", PLAIN)
    means = [sum(each[a:b]) / (b - a) for a, b in ((0, 5), (5, 10), (10, 15), (15, 20), (20, 24))]
    assert [point.training for point in result.curve] == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_pictures_are_drawn_now_and_then(tmp_path: Path, decay: float) -> None:
    drawn = []

    def sampler(model: nn.Module) -> list[Image]:
        assert not model.training and not torch.is_grad_enabled()
        drawn.append(weights(model))
        return [Image(torch.full((3, 2, 4), len(drawn)), 8)] * 4

    config = replace(PLAIN, weight_average=decay)
    model, _ = run(tmp_path / "run", config, sampler=sampler)
    sheets = sorted((tmp_path / "run" / "samples").iterdir())
    assert [sheet.stem for sheet in sheets] == ["0000005", "0000010", "0000020", "0000024"]
    assert [int(read(sheet).pixels[0, 0, 0]) for sheet in sheets] == [1, 2, 3, 4]
    assert read(sheets[0]).pixels.shape == (3, 6, 10)
    assert_same(drawn[-1], weights(model))


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs imprior[tensorboard]")
@pytest.mark.filterwarnings("ignore")  # of TensorBoard's own dependencies
def test_tensorboard_gets_the_curve(tmp_path: Path) -> None:
    board = import_module("tensorboard.backend.event_processing.event_accumulator")

    pictures = [Image(torch.zeros(1, 2, 2).long(), 8)]
    logs = ("csv", "tensorboard")
    _, result = run(tmp_path / "run", PLAIN, logs=logs, sampler=lambda _: pictures)
    events = board.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    told = {event.step: event.value for event in events.Scalars("validation/bits_per_dim")}
    figures = {point.step: point.validation["bits_per_dim"] for point in result.curve}
    assert told == pytest.approx(figures, rel=1e-6)
    assert len(events.Images("samples")) == 4
