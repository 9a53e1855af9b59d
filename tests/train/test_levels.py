"""Training of networks from files to a model folder: levels, processes and runs that are shared."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from imprior import checkpoint
from imprior.base import ImageModel
from imprior.presets import PRESETS
from imprior.presets.table import GRAY
from imprior.train.networks import fit_networks
from imprior.train.progress import Progress
from imprior.train.training import train
from tests.conftest import ROOT
from tests.models.local.small import LOCAL
from tests.train import halves
from tests.train.fitting import assert_same, weights
from tests.train.halves import (
    FIT,
    PARTS,
    PRESET,
    TRAINING,
    HalfConfig,
    One,
    OneConfig,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return halves.write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(autouse=True)
def _offered() -> Any:
    with halves.offered():
        yield


def test_preset_becomes_a_model_folder(files: list[Path], tmp_path: Path) -> None:
    model = train(PRESET, files, tmp_path / "m")
    assert_same(checkpoint.load(tmp_path / "m").state_dict(), model.state_dict())
    figures = checkpoint.read(tmp_path / "m")["provenance"]["figures"]
    assert list(figures["validation_bits_per_value"]) == PARTS
    for name in PARTS:
        table = (tmp_path / "m" / f"curve-{name}.csv").read_text().splitlines()
        rows = list(csv.DictReader(table))
        assert [row["step"] for row in rows] == ["4", "8", "12"]
        best = min(float(row["validation/bits_per_dim"]) for row in rows)
        assert figures["validation_bits_per_value"][name] == best
    assert not list(tmp_path.glob("*.training"))
    # Nothing but the arguments decides what comes out.
    torch.manual_seed(99)
    assert_same(train(PRESET, files, tmp_path / "again").state_dict(), model.state_dict())


def test_words_of_a_preset_may_be_mended_while_it_trains(files: list[Path], tmp_path: Path) -> None:
    first, *rest = PARTS
    train(PRESET, files, tmp_path / "m", level=first)
    mended = replace(PRESET, source="said better", published={"halves/bits": (1.0, "bits/dim")})
    for level in rest:
        train(mended, files, tmp_path / "m", level=level)
    model = train(mended, files, tmp_path / "m")
    assert_same(train(PRESET, files, tmp_path / "n").state_dict(), model.state_dict())


def test_denoisers_are_judged_by_their_errors(files: list[Path], tmp_path: Path) -> None:
    fit = replace(FIT, monitor="error_db", validate_every=12)
    training = replace(TRAINING, fit=fit, crop=16, validation_size=16)
    preset = replace(PRESET, config=LOCAL, training=training, data=GRAY)
    told: list[Progress] = []
    train(preset, files, tmp_path / "m", progress=told.append)
    figures = checkpoint.read(tmp_path / "m")["provenance"]["figures"]
    assert figures.keys() == {"validation_error_db", "seconds"}
    best = figures["validation_error_db"]
    assert list(best) == ["scale-0", "scale-1", "low"] and all(x < 0 for x in best.values())
    assert {at.metric for at in told} == {"error_db"}
    assert "validation_error_db: scale-0: -" in (tmp_path / "m" / "README.md").read_text()


def test_networks_go_on_from_trained_ones(files: list[Path], tmp_path: Path) -> None:
    first = train(PRESET, files, tmp_path / "first")
    still = replace(PRESET, training=replace(TRAINING, fit=replace(FIT, learning_rate=1e-9)))
    tuned = train(still, files, tmp_path / "tuned", start=tmp_path / "first")
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tuned.state_dict()[name], tensor, rtol=0, atol=1e-6)
    told = checkpoint.read(tmp_path / "tuned")["provenance"]["start"]
    assert told == checkpoint.digest(first)
    # Level by level it is the same, and another start is another run.
    for level in PARTS:
        train(still, files, tmp_path / "m", start=tmp_path / "first", level=level)
    with pytest.raises(ValueError, match="unfinished training with other settings"):
        train(still, files, tmp_path / "m")
    joined = train(still, files, tmp_path / "m", start=tmp_path / "first")
    assert_same(weights(joined), weights(tuned))


def test_settled_networks_keep_their_deviations(files: list[Path], tmp_path: Path) -> None:
    fit = replace(FIT, monitor="error_db", steps=8, validate_every=8)
    training = replace(TRAINING, fit=fit, crop=16, validation_size=16)
    preset = replace(PRESET, config=LOCAL, training=training, data=GRAY)
    first = train(preset, files, tmp_path / "first").state_dict()
    settled = replace(preset, training=replace(training, settled=True))
    tuned = train(settled, files, tmp_path / "m", start=tmp_path / "first").state_dict()
    for name, tensor in first.items():
        assert torch.equal(tuned[name], tensor) == name.endswith("running_sd"), name
    with pytest.raises(
        ValueError, match=r"goes on from a trained model, .*: name one with --start"
    ):
        train(settled, files, tmp_path / "afresh")
    halves = replace(PRESET, training=replace(TRAINING, settled=True))
    train(PRESET, files, tmp_path / "halves")
    with pytest.raises(ValueError, match="detail 1 has no normalization that could be settled"):
        train(halves, files, tmp_path / "h", start=tmp_path / "halves")


def test_networks_go_on_from_those_of_their_shape_alone(files: list[Path], tmp_path: Path) -> None:
    train(PRESET, files, tmp_path / "first")
    wider = replace(PRESET, config=HalfConfig(width=7))
    with pytest.raises(ValueError, match="first has another config than the preset: HalfConfig"):
        train(wider, files, tmp_path / "wider", start=tmp_path / "first")
    other = replace(PRESET, config=OneConfig())
    with pytest.raises(ValueError, match="a model of the same kind, not One from Halves"):
        train(other, files, tmp_path / "other", start=tmp_path / "first")
    assert {path.name for path in tmp_path.iterdir()} == {"first"}


def test_levels_become_a_model_folder_when_they_are_joined(
    files: list[Path], tmp_path: Path
) -> None:
    for level in PARTS:
        train(PRESET, files, tmp_path / "m", level=level)
        assert [path.name for path in tmp_path.iterdir()] == ["m.training"]
    model = train(PRESET, files, tmp_path / "m")
    assert_same(weights(model), weights(train(PRESET, files, tmp_path / "whole")))
    assert {path.name for path in tmp_path.iterdir()} == {"m", "whole"}


def test_processes_share_a_run_and_one_of_them_is_killed(files: list[Path], tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    told = {"files": [str(path) for path in files], "out": str(tmp_path / "m")}
    processes = []
    for level, kill in zip(PARTS, (None, 6), strict=True):
        command = [sys.executable, "-m", halves.__name__]
        command.append(json.dumps(told | {"level": level, "kill": kill}))
        environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    assert [process.wait(timeout=200) for process in processes] == [0, -signal.SIGKILL]
    for name, step in zip(PARTS, (12, 6), strict=True):
        path = tmp_path / "m.training" / "networks" / name / "state.pt"
        assert torch.load(path, weights_only=True)["global_step"] == step
    model = train(PRESET, files, tmp_path / "m")
    assert_same(weights(model), weights(train(PRESET, files, tmp_path / "whole")))


def test_restarting_a_level_leaves_the_others(files: list[Path], tmp_path: Path) -> None:
    steps: dict[str, list[int]] = {}

    def note(at: Progress) -> None:
        steps.setdefault(at.stage, []).append(at.step)

    for level in PARTS:
        train(PRESET, files, tmp_path / "m", level=level)
    train(PRESET, files, tmp_path / "m", level="coarse", resume=False, progress=note)
    assert steps == {"coarse, training": [2, 4, 6, 8, 10, 12]}
    train(PRESET, files, tmp_path / "m", progress=note)
    assert len(steps["coarse, training"]) == 6


def test_model_of_one_network_is_one_part(files: list[Path], tmp_path: Path) -> None:
    preset = replace(PRESET, config=OneConfig())
    model = train(preset, files, tmp_path / "m")
    assert isinstance(model, One)
    assert (tmp_path / "m" / "curve-model.csv").is_file()
    with pytest.raises(ValueError, match="One has no levels to train one by one: train it as"):
        train(preset, files, tmp_path / "one", level="model")


def test_levels_that_are_not_there_are_named(files: list[Path], tmp_path: Path) -> None:
    class Silent(ImageModel):
        config_class = HalfConfig

    with pytest.raises(ValueError, match="no level 'coarser': it has detail 1, coarse"):
        train(PRESET, files, tmp_path / "m", level="coarser")
    with pytest.raises(ValueError, match="MCGSM has no levels to train one by one"):
        train(PRESETS["mcgsm-gray-tiny"], files, tmp_path / "m", level="coarse")
    with pytest.raises(ValueError, match="Silent cannot be trained as a network: it has no loss"):
        fit_networks(Silent(HalfConfig()), ([], []), TRAINING, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_run_with_other_settings_is_not_joined(files: list[Path], tmp_path: Path) -> None:
    train(PRESET, files, tmp_path / "m", level="coarse")
    other = replace(PRESET, training=replace(TRAINING, crop=9))
    for level in ("detail 1", "coarse", None):
        with pytest.raises(
            ValueError, match=r"m\.training holds an unfinished training with other"
        ):
            train(other, files, tmp_path / "m", level=level)
    assert (tmp_path / "m.training" / "networks" / "coarse" / "state.pt").is_file()
