"""The endless sequence of records of a stream, pass after pass, which can be entered anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from imprior.data.files import replace_file

Record = TypeVar("Record")


class Passes(Generic[Record]):
    """Records number 0, 1, ... of all passes over a stream, one pass after the other.

    A stream goes forward only: to enter it at a record, those before it in its pass are read and
    dropped. Which pass that is follows from how many records a pass has, of which a note is left
    when the first one ends; without the note, all passes before are read again.

    Arguments:
        records: The records of a pass, given its number from 0 on; the same whenever it is called.
        note: The file for the number of records of a pass.

    Raises:
        ValueError: While reading, if there are no records, or not as many as in the pass before.
    """

    def __init__(self, records: Callable[[int], Iterator[Record]], note: Path) -> None:
        self.records, self.note = records, note
        self.length = int(note.read_text()) if note.exists() else 0  # 0: not known yet
        self.coming: Iterator[Record] = iter(())
        self.bounds = (0, -1)  # of what was read last
        self.last: list[Record] = []

    def read(self, first: int, count: int) -> list[Record]:
        """`count` records from number `first` on; it is fast if they follow what was read last."""
        bounds = (first, first + count)
        if bounds != self.bounds:
            if first != self.bounds[1]:
                self.coming = self._from(first)
            self.last, self.bounds = list(islice(self.coming, count)), bounds
        return self.last

    def _from(self, first: int) -> Iterator[Record]:
        number, passed = divmod(first, self.length) if self.length else (0, first)
        while True:
            count = 0
            for count, record in enumerate(self.records(number), 1):  # noqa: B007, used below
                if passed:
                    passed -= 1
                else:
                    yield record
            self._complete(count)
            number += 1

    def _complete(self, count: int) -> None:
        """Takes note of how many records a pass had."""
        if not count:
            raise ValueError("the stream has no images to train on")
        if not self.length:
            self.length = count
            self.note.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.note, str(count).encode())
        elif self.length != count:
            raise ValueError(
                f"the data changed under the run: a pass had {self.length} images, now {count}; "
                "start afresh without resuming"
            )
