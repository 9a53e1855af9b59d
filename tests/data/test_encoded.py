"""Images as they are stored: what tells them apart, and in which order they come."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.data.encoded import Encoded, mixed
from imprior.data.images import ImageError
from tests.data.shards import numbered


def order(count: int, held: int, seed: int = 0) -> list[int]:
    """The order of entries of one size of which `held` are drawn from."""
    entries = [Encoded(f"{number:05}", b"x" * 100) for number in range(count)]
    generator = torch.Generator().manual_seed(seed)
    return [int(e.name) for e in mixed(entries, held * entries[0].size, generator)]


@pytest.mark.parametrize("held", [0, 1, 5, 99, 100, 1000])
def test_each_entry_comes_once_and_soon(held: int) -> None:
    found = order(100, held)
    assert sorted(found) == list(range(100))
    assert all(number <= place + held for place, number in enumerate(found))
    assert (found == sorted(found)) == (held == 0)
    assert found == order(100, held) and (not held or found != order(100, held, seed=1))


def test_all_orders_are_as_likely() -> None:
    orders = [tuple(order(3, 3, seed)) for seed in range(600)]
    assert all(abs(orders.count(each) - 100) < 40 for each in set(orders)) and len(set(orders)) == 6


def test_large_entries_are_held_in_smaller_numbers() -> None:
    entries = [Encoded(str(number), b"x" * 1000 * (1 + 9 * (number > 50))) for number in range(100)]
    found = mixed(entries, 20_000, torch.Generator().manual_seed(0))
    ahead = [int(entry.name) - place for place, entry in enumerate(found)]
    assert 5 < max(ahead[:30]) <= 20 and max(ahead[60:]) <= 2


def test_digests_tell_contents_apart(tmp_path: Path) -> None:
    a, b = (numbered(tmp_path, number) for number in (1, 2))
    assert Encoded("x", a).digest == Encoded("y", a).digest != Encoded("x", b).digest
    assert Encoded("x", None, "x.png").digest != Encoded("y", None, "y.png").digest


def test_entries_are_read_from_bytes_or_files(tmp_path: Path) -> None:
    data = numbered(tmp_path, 7)
    (tmp_path / "a.png").write_bytes(data)
    for entry in (Encoded("x", data), Encoded("x", None, str(tmp_path / "a.png"))):
        assert entry.read().pixels[0, 0, 0] == 7
    for entry, message in (
        (Encoded("x"), "x: has no image in its column"),
        (Encoded("x", b""), "^x: "),
        (Encoded("x", data[:40]), "^x: "),
    ):
        with pytest.raises(ImageError, match=message):
            entry.read()
