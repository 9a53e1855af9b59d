"""Whatever ends a run, going on from there leads to the very weights of an undisturbed one."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.train.config import FitConfig
from imprior.train.fit import FitResult, fit
from imprior.train.progress import Progress
from tests.conftest import ROOT
from tests.train import fitting
from tests.train.fitting import CONFIG, Normal, Smooth, assert_same, run, weights

OFTEN = replace(CONFIG, checkpoint_steps=2)


class Stopped(BaseException):
    """Like Ctrl-C, which no `except Exception` catches."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], FitResult]:
    """The weights and the result of training at one go."""
    model, result = run(tmp_path_factory.mktemp("undisturbed") / "run")
    return weights(model), result


def assert_as_if_undisturbed(
    folder: Path, undisturbed: tuple[dict[str, Tensor], FitResult], **options: Any
) -> None:
    """Goes on with the run in `folder` and compares weights, best, curve and table."""
    model, result = run(folder, **options)
    expected, whole = undisturbed
    assert_same(weights(model), expected)
    assert (result.best, result.best_step) == (whole.best, whole.best_step)
    curves = [[replace(p, seconds=0.0) for p in one.curve] for one in (result, whole)]
    assert curves[0] == curves[1]
    table = (folder / "curve.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in table[1:]] == [p.step for p in whole.curve]


def stop_at(step: int, error: type[BaseException] = Stopped) -> Callable[[Progress], None]:
    def progress(now: Progress) -> None:
        if now.step == step:
            raise error

    return progress


# -- exactness


@pytest.mark.parametrize("step", [2, 4, 5, 8, 10, 20, 22, 24])
def test_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult], step: int
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "run", OFTEN, progress=stop_at(step))
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["global_step"] == step - step % 2
    assert_as_if_undisturbed(tmp_path / "run", undisturbed)


def test_stopped_run_with_muon_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    config = replace(OFTEN, optimizer="muon")
    whole, stopped = Smooth(), Smooth()
    fit(whole, Normal(50), Normal(7, seed=1), config, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(stopped, Normal(50), Normal(7, seed=1), config, tmp_path / "run", progress=stop_at(10))
    resumed = Smooth()
    fit(resumed, Normal(50), Normal(7, seed=1), config, tmp_path / "run")
    assert_same(weights(resumed), weights(whole))
    assert not torch.equal(stopped.weight, whole.weight)


def test_run_may_stop_again_and_again(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult]
) -> None:
    for step in (4, 6, 10, 15, 20):
        with pytest.raises(Stopped):
            run(tmp_path / "run", OFTEN, progress=stop_at(step))
    assert_as_if_undisturbed(tmp_path / "run", undisturbed)


def test_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult]
) -> None:
    # It dies after step 15, which it had validated but not saved.
    options = {"folder": str(tmp_path / "run"), "kill": 15, "config": {"checkpoint_steps": 4}}
    command = [sys.executable, "-m", fitting.__name__, json.dumps(options)]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == -signal.SIGKILL
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["global_step"] == 12
    assert_as_if_undisturbed(tmp_path / "run", undisturbed)


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, weight_average=0.0, optimizer="sgd", schedule="linear"),
        replace(CONFIG, precision="bf16-mixed", optimizer="adamw", weight_decay=0.1),
    ],
)
def test_other_settings_go_on_exactly_too(tmp_path: Path, config: FitConfig) -> None:
    models = [Smooth(), Smooth(), Smooth()]
    training, validation = Normal(50), Normal(7)
    whole = fit(models[0], training, validation, config, tmp_path / "whole")
    often = replace(config, checkpoint_steps=3)
    with pytest.raises(Stopped):
        fit(models[1], training, validation, often, tmp_path / "run", progress=stop_at(12))
    result = fit(models[2], training, validation, config, tmp_path / "run")
    assert_same(weights(models[2]), weights(models[0]))
    assert result.best == whole.best


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_loading_processes_change_nothing(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult]
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "run", OFTEN, progress=stop_at(8))
    assert_as_if_undisturbed(tmp_path / "run", undisturbed, num_workers=2)


# -- accidents


def test_ctrl_c_is_the_same_as_everywhere(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult]
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", OFTEN, progress=stop_at(8, KeyboardInterrupt))
    assert signal.getsignal(signal.SIGINT) is handler
    assert_as_if_undisturbed(tmp_path / "run", undisturbed)


def test_full_disk_is_told_and_harms_nothing(
    tmp_path: Path,
    undisturbed: tuple[dict[str, Tensor], FitResult],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fsync, sizes = os.fsync, []

    def full(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        if len(sizes) == 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device; .* is kept.*state\.pt"):
            run(tmp_path / "run", OFTEN)
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert 0 < state["global_step"] < 24
    assert not list((tmp_path / "run").glob(".*"))
    assert_as_if_undisturbed(tmp_path / "run", undisturbed)


def test_run_that_was_never_saved_starts_over(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult]
) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "run", progress=stop_at(10))
    assert not (tmp_path / "run" / "state.pt").exists()
    assert_as_if_undisturbed(tmp_path / "run", undisturbed)


def test_time_saves_too(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "run", replace(CONFIG, checkpoint_seconds=0.0), progress=stop_at(3))
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["global_step"] == 3


# -- whose run it is


def test_another_run_is_not_continued(
    tmp_path: Path, undisturbed: tuple[dict[str, Tensor], FitResult]
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(folder, OFTEN, seed=3, progress=stop_at(8))
    options: dict[str, Any] = {"training": Normal(50), "validation": Normal(7, seed=1)}
    options |= {"model": fitting.Gaussian(), "config": CONFIG, "folder": folder, "seed": 3}
    for changed in (
        {"model": Smooth()},
        {"training": Normal(51)},
        {"training": Normal(50, seed=9)},
        {"validation": Normal(7, seed=2)},
        {"config": replace(CONFIG, steps=25)},
        {"seed": 4},
        {"about": {"data_checksum": "0" * 64}},
    ):
        with pytest.raises(ValueError, match="run holds an unfinished training with other"):
            fit(**options | changed)
    assert_as_if_undisturbed(folder, undisturbed, resume=False)


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for resume in (True, False):
        with pytest.raises(ValueError, match="holds files that are not a training run's"):
            run(tmp_path, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_curve_of_all_parts_takes_their_time_together(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tmp_path / "run", OFTEN, progress=stop_at(20))
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    _, result = run(tmp_path / "run")
    seconds = [point.seconds for point in result.curve]
    assert seconds == sorted(seconds)
    assert [asdict(p) for p in result.curve][:4] == state["callbacks"]["Watch"]["curve"]
