"""Two processes together do what one does alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.train import fitting
from tests.train.fitting import CONFIG, run, weights


def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    # Seven validation images: the second process has one less, in one batch less.
    options = {"folder": str(tmp_path / "two"), "strategy": "ddp", "devices": 2}
    config = {"validation_batch": 2}
    command = [sys.executable, "-m", fitting.__name__, json.dumps(options | {"config": config})]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    two = json.loads(done.stdout)
    model, one = run(tmp_path / "one", CONFIG)
    for ours, theirs in zip(one.curve, two["curve"], strict=True):
        expected = asdict(ours)
        assert theirs["validation"] == pytest.approx(expected.pop("validation"), rel=1e-6)
        for name in ("step", "training", "learning_rate"):
            assert theirs[name] == pytest.approx(expected[name], rel=1e-6)
    expected = {name: value.item() for name, value in weights(model).items()}
    assert two["weights"] == pytest.approx(expected, rel=1e-5)
