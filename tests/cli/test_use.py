"""What holds for every command: help, wrong use, where figures go, silence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imprior import arguments, cli
from tests.cli.given import SMALL, Run


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["--version"], *([name, "--help"] for name in arguments.COMMANDS)]
)
def test_help_is_everywhere(run: Run, words: list[str]) -> None:
    status, out, _ = run(*words)
    assert status == 0 and "imprior" in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["evaluate", "a.png"], "model"),
        (["evaluate", "--model", "m"], "files"),
        (["evaluate", "a.png", "--model", "m", "--nonsense"], "--nonsense"),
        (["sample", "--model", "m", "--out", "o", "--num", "many"], "many"),
        (["train", "--preset", "nonsense", "--data", "d", "--out", "o"], "nonsense"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--config.nonsense=1"], "nonsense"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--config.bits=many"], "many"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--config.bits=17"], "17"),
        (["train", *SMALL, "--data", "d", "--out", "o", "--settings=none.yaml"], "none.yaml"),
        (["train", *SMALL, "--data", "nowhere", "--out", "o"], "nowhere"),
        (["compress", "a.png", "--model", "nonsense", "--out", "o"], "nonsense"),
        (["inpaint", "a.png", "--model", "m", "--out", "o"], "--mask"),
        (["inpaint", "a.png", "--model", "m", "--out", "o", "--mask=m.png", "--box=1"], "--box"),
        (["inpaint", "a.png", "--model", "m", "--out", "o", "--box=1", "--method=magic"], "magic"),
        (["upscale", "a.png", "--model", "m"], "out"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--scale=3"], "3"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--samples=0"], "at least 1, got 0"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--seed=-1"], "seed"),
        (["upscale", "a.png", "--model", "m", "--out", "o", "--temperature=-1"], "temperature"),
        (["texture", "--out", "o"], "image"),
        (["texture", "nowhere.png", "--out", "o"], "nowhere.png"),
        (["texture", "a.png", "--out", "o", "--size=63x512"], "63"),
        (["texture", "a.png", "--out", "o", "--size=large"], "large"),
    ],
)
def test_wrong_use_is_status_2(run: Run, words: list[str], named: str) -> None:
    status, out, err = run(*words)
    assert status == 2 and not out
    assert named in err and len(err.splitlines()) == 1


def test_every_command_has_its_arguments() -> None:
    assert cli.COMMANDS.keys() == arguments.COMMANDS.keys()


def test_unknown_command_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["nonsense"])
    assert end.value.code == 2 and "invalid choice: 'nonsense'" in capsys.readouterr().err


def test_wrong_values_are_status_2(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    for words in (
        ("evaluate", photos, "--model", model, "--against", "png,gif"),
        ("evaluate", photos, "--model", model, "--device", "nonsense"),
        ("evaluate", photos, "--model", model, "--batch-size", 0),
        ("sample", "--model", model, "--out", tmp_path / "s", "--size", "7"),
        ("sample", "--model", model, "--out", tmp_path / "s", "--num", 0),
        ("sample", "--model", model, "--out", tmp_path / "s", "--seed", -1),
        ("sample", "--model", model, "--out", tmp_path / "s", "--temperature", -1),
    ):
        status, _, err = run(*words)
        assert status == 2 and len(err.splitlines()) == 1, words
    assert not (tmp_path / "s").exists()


def test_installed_command_runs() -> None:
    """In a process of its own, as a user's shell would."""
    words = [sys.executable, "-m", "imprior", "info", "nowhere.png"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "imprior: nowhere.png: there is no such file or folder\n"


def test_json_on_standard_output_is_alone_there(
    capsys: pytest.CaptureFixture[str], run: Run, model: Path, photos: Path
) -> None:
    assert cli.main(["info", str(photos), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["found"]) == 2 and "12 x 10 pixels" in err


def test_quiet_is_quiet(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    assert run("evaluate", photos, "--model", model, "--quiet") == (0, "", "")
    assert run("sample", "--model", model, "--out", tmp_path / "s", "--quiet") == (0, "", "")
