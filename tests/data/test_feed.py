"""One endless sequence of batches, wherever it is entered and however many share it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from imprior.data.batches import ImageFiles, Patches
from imprior.data.feed import Feed, feed
from imprior.data.images import Image, write

FILES = ImageFiles([Path(f"{number}.png") for number in range(10)], channels=1, bits=8)
DRAWS = Patches([torch.arange(400).view(1, 20, 20)], 3, length=10)


def take(order: Feed, count: int) -> list[list[int]]:
    return list(itertools.islice(order, count))


@pytest.mark.parametrize("batch_size", [1, 4, 10, 25])
def test_epochs_are_complete_and_batches_equal(batch_size: int) -> None:
    batches = take(Feed(FILES, batch_size), 40)
    assert {len(batch) for batch in batches} == {batch_size}
    numbers = list(itertools.chain(*batches))
    epochs = [numbers[i : i + 10] for i in range(0, len(numbers) - 9, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs[:4]}) == 4


def test_draws_are_never_drawn_again() -> None:
    numbers = list(itertools.chain(*take(Feed(DRAWS, 4), 25)))
    assert Counter(numbers) == Counter(range(100))


@pytest.mark.parametrize("start", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("dataset", [FILES, DRAWS])
def test_entered_anywhere_it_goes_on_as_it_would_have(
    dataset: ImageFiles | Patches, start: int
) -> None:
    whole = take(Feed(dataset, 4, seed=2), start + 6)
    assert take(Feed(dataset, 4, start=start, seed=2), 6) == whole[start:]


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_ranks_share_each_batch(world_size: int) -> None:
    whole = take(Feed(DRAWS, 6), 9)
    parts: Sequence[list[list[int]]] = [
        take(Feed(DRAWS, 6, rank=rank, world_size=world_size), 9) for rank in range(world_size)
    ]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert {len(share) for share in shares} == {6 // world_size}
        assert sorted(itertools.chain(*shares)) == sorted(batch)


def test_order_depends_on_the_seed() -> None:
    assert take(Feed(FILES, 4, seed=1), 5) == take(Feed(FILES, 4, seed=1), 5)
    assert take(Feed(FILES, 4, seed=1), 5) != take(Feed(FILES, 4, seed=2), 5)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_hold_the_images_whoever_loads_them(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        write(path, Image(torch.full((1, 2, 2), number), 8))
    files = ImageFiles(paths, channels=1, bits=8)
    order = take(Feed(files, 2, start=3), 4)
    for workers in (0, 2):
        batches = itertools.islice(feed(files, 2, start=3, num_workers=workers), 4)
        assert [batch[:, 0, 0, 0].tolist() for batch in batches] == order


def test_says_what_is_wrong() -> None:
    for batch_size in (0, 5):
        with pytest.raises(ValueError, match=f"batch of {batch_size} cannot be shared equally by"):
            Feed(FILES, batch_size, rank=0, world_size=2)
    with pytest.raises(ValueError, match="no images to train on"):
        Feed(ImageFiles([], channels=1, bits=8), 1)
    with pytest.raises(ValueError, match="no rank 2 among 2"):
        Feed(FILES, 2, rank=2, world_size=2)
