"""A run's folder: what is in it stays whole, and nobody else's files are touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from imprior.train.runs import Run


class Harmful:
    """Leaves a trace where a pickle of it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (self.trace,)


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_state_comes_back_until_the_run_is_started_afresh(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "settings", resume=True)
    assert run.load() is None
    run.save({"step": 3, "weights": torch.arange(3.0)})
    again = Run(tmp_path / "run", "settings", resume=True).load()
    assert again is not None and again["step"] == 3
    assert torch.equal(again["weights"], torch.arange(3.0))
    with pytest.raises(ValueError, match="run holds an unfinished training with other settings"):
        Run(tmp_path / "run", "others", resume=True)
    assert Run(tmp_path / "run", "others", resume=False).load() is None
    run.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resume", [True, False])
def test_folder_that_is_not_a_run_is_refused_and_left_alone(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "holiday.png").write_bytes(b"dear")
    for folder in (tmp_path, tmp_path / "pictures"):
        with pytest.raises(ValueError, match="holds files that are not a training run's"):
            Run(folder, "settings", resume=resume)
    assert (tmp_path / "pictures" / "holiday.png").read_bytes() == b"dear"
    assert len(list(tmp_path.rglob("*"))) == 2


@pytest.mark.parametrize("resume", [True, False])
def test_empty_folder_is_taken(tmp_path: Path, resume: bool) -> None:
    Run(tmp_path, "settings", resume=resume).save({"step": 1})
    assert Run(tmp_path, "settings", resume=True).load() == {"step": 1}


def test_fingerprint_is_written_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            Run(tmp_path / "run", "settings", resume=True)
    assert list((tmp_path / "run").iterdir()) == []
    assert Run(tmp_path / "run", "others", resume=True).load() is None


def test_full_disk_keeps_the_state_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run", "settings", resume=True)
    run.save({"step": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match=r"No space left on device; .* before is kept.*state\.pt"):
            run.save({"step": 2})
    assert run.load() == {"step": 1}
    assert len(list(run.folder.iterdir())) == 2


def test_what_a_killed_write_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".0123.tmp").write_bytes(b"half of a sta")
    Run(tmp_path, "settings", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint"]


def test_damaged_state_is_told_and_no_code_in_it_is_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "settings", resume=True)
    for content in (b"", b"not a state"):
        run.path.write_bytes(content)
        with pytest.raises(ValueError, match=r"state\.pt is damaged .*: start afresh"):
            run.load()
    torch.save({"step": Harmful(tmp_path / "trace")}, run.path)
    with pytest.raises(ValueError, match=r"state\.pt is damaged"):
        run.load()
    assert not (tmp_path / "trace").exists()


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    Run(tmp_path / "run", "settings", resume=False, writes=False)
    assert not (tmp_path / "run").exists()
    Run(tmp_path / "run", "settings", resume=True).save({"step": 1})
    other = Run(tmp_path / "run", "settings", resume=False, writes=False)
    assert other.load() == {"step": 1}
