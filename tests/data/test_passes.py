"""Passes over a stream: one endless sequence, wherever it is entered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imprior.data.passes import Passes

LENGTH = 7


class Source:
    """Passes of `LENGTH` numbers, each in another order; it counts what is read."""

    def __init__(self, length: int = LENGTH) -> None:
        self.length, self.read = length, 0

    def __call__(self, number: int) -> Iterator[int]:
        for item in range(self.length):
            self.read += 1
            yield 100 * number + (item + number) % self.length


def sequence(count: int) -> list[int]:
    source = Source()
    return [item for number in range(1 + count // LENGTH) for item in source(number)][:count]


@pytest.mark.parametrize("count", [1, 3, 7, 10])
def test_records_follow_one_another_through_all_passes(tmp_path: Path, count: int) -> None:
    passes = Passes(Source(), tmp_path / "note")
    found = [record for n in range(6) for record in passes.read(n * count, count)]
    assert found == sequence(6 * count)


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("first", [0, 1, 6, 7, 16, 29])
def test_entered_anywhere_it_goes_on_as_it_would_have(
    tmp_path: Path, first: int, noted: bool
) -> None:
    if noted:
        (tmp_path / "note").write_text(str(LENGTH))
    passes = Passes(Source(), tmp_path / "note")
    passes.read(0, 2)
    assert passes.read(first, 4) + passes.read(first + 4, 4) == sequence(40)[first : first + 8]


def test_what_was_read_last_is_at_hand(tmp_path: Path) -> None:
    source = Source()
    passes = Passes(source, tmp_path / "note")
    assert passes.read(2, 3) == passes.read(2, 3) == sequence(5)[2:]
    assert source.read == 5


def test_only_the_pass_that_was_interrupted_is_read_again(tmp_path: Path) -> None:
    first = Passes(Source(), tmp_path / "run" / "note")
    first.read(0, LENGTH)
    assert not (tmp_path / "run").exists()
    first.read(LENGTH, 1)  # the first pass has ended
    source = Source()
    later = Passes(source, tmp_path / "run" / "note")
    assert later.read(5 * LENGTH + 3, 2) == sequence(40)[38:]
    assert source.read == 5


def test_data_that_changes_or_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the stream has no images to train on"):
        Passes(Source(0), tmp_path / "none").read(0, 1)
    source = Source()
    passes = Passes(source, tmp_path / "note")
    passes.read(0, LENGTH + 1)
    source.length = 5
    with pytest.raises(ValueError, match="a pass had 7 images, now 5; start afresh"):
        passes.read(LENGTH + 1, 20)
