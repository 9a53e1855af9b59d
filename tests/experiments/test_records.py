"""Figures are appended, dated, and never lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from experiments.records import Record, append

FIGURE = Record("toy/all/model", 3.5, "bit/px", "every image", 1.5, published=3.688)


def test_appends_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "results" / "toy.json"
    append(path, [FIGURE])
    first = json.loads(path.read_text())
    append(path, [FIGURE, FIGURE])
    rows = json.loads(path.read_text())
    assert rows[:1] == first and len(rows) == 3
    required = {"name", "value", "unit", "protocol", "seconds", "machine", "commit", "date"}
    assert set(rows[0]) == required | {"published"}


def test_refuses_what_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="list of records"):
        append(path, [FIGURE])
    assert path.read_text() == "{}"


def test_failed_write_leaves_the_old_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "toy.json"
    append(path, [FIGURE])
    before = path.read_text()

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        append(path, [FIGURE])
    assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["toy.json"]


def test_prints_the_figure_beside_the_published_one() -> None:
    assert str(FIGURE).split() == ["toy/all/model", "3.5", "bit/px", "published", "3.688"]
