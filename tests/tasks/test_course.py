"""The course of a training is kept, goes on, and is never taken for that of another one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from imprior.tasks import course as module
from imprior.tasks.course import FILE, Course
from imprior.train.progress import Progress


def test_saved_courses_come_back_and_only_as_what_they_are(tmp_path: Path) -> None:
    course = Course("this", 2.5, [(1.0, 7.5), (2.0, 6.5)], done=True)
    course.save(tmp_path / "new")
    loaded = Course.load(tmp_path / "new", "this")
    assert loaded is not None and loaded.done and loaded.seconds == 2.5
    assert [tuple(point) for point in loaded.points] == course.points
    assert Course.load(tmp_path / "new", "another") is None
    assert Course.load(tmp_path, "this") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"of": "this", "more": 1}', "\xff"])
def test_damaged_files_are_no_course(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="latin-1")
    assert Course.load(tmp_path, "this") is None


def test_measured_bits_are_noted_once_and_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_SAVES", -1.0)
    told: list[Progress] = []
    course = Course("this", seconds=10.0, points=[(9.0, 8.0)])
    note = course.follow(tmp_path, told.append)
    for bits in (math.nan, 8.0, 7.0, 7.0, 6.0):
        note(Progress("stage", len(told), 9, bits))
    assert [bits for _, bits in course.points] == [8.0, 7.0, 6.0]
    assert course.points[-1][0] >= 10.0 and course.seconds >= course.points[-1][0]
    assert [at.step for at in told] == [0, 1, 2, 3, 4]
    saved = Course.load(tmp_path, "this")
    assert saved is not None and len(saved.points) == 3 and not saved.done
