"""How a training went, in a file beside its model: what a call that goes on needs to know."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from imprior.data.files import replace_file
from imprior.train.progress import Progress

SECONDS_BETWEEN_SAVES = 5.0
FILE = "course.json"


@dataclass
class Course:
    """How a training went.

    Attributes:
        of: Says of which model, trained how on what.
        seconds: That it took, all parts of an interrupted one together.
        points: Seconds since the beginning, and bits per value on the validation data then.
        done: Whether it is complete.
    """

    of: str
    seconds: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list)
    done: bool = False

    @classmethod
    def load(cls, folder: Path, of: str) -> Course | None:
        """The course of the training `of`, if that is what lies in the folder."""
        try:
            course = cls(**json.loads((folder / FILE).read_text()))
        except (OSError, ValueError, TypeError):  # none, or one that is damaged
            return None
        return course if course.of == of else None

    def save(self, folder: Path) -> None:
        """Writes the file, and makes the folder if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / FILE, json.dumps(asdict(self)).encode())

    def follow(
        self, folder: Path, tell: Callable[[Progress], object]
    ) -> Callable[[Progress], None]:
        """Takes note of all that a training tells from now on, and hands it on to `tell`."""
        started, before, saved = time.monotonic(), self.seconds, time.monotonic()

        def note(at: Progress) -> None:
            nonlocal saved
            now = time.monotonic()
            self.seconds = before + now - started
            if math.isfinite(at.figure) and (not self.points or at.figure != self.points[-1][1]):
                self.points.append((self.seconds, at.figure))
            if now - saved > SECONDS_BETWEEN_SAVES:
                self.save(folder)
                saved = now
            tell(at)

        return note
