"""Images of a stream: what is held out never trains, and crops are the same whenever drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.data import streams
from imprior.data.encoded import Encoded
from imprior.data.feed import feed
from imprior.data.images import Image
from imprior.data.loading import match
from imprior.data.named import Collection
from imprior.data.passes import Passes
from imprior.train.streamed import Stream, StreamedCrops, StreamedImages
from tests.data.shards import numbered, parquet, png, row
from tests.train.sharded import COUNT, SIZES, collection, shards

pytestmark = pytest.mark.usefixtures("no_waiting")


def take(image: Image) -> Tensor:
    return match(image, 1, 8).pixels


def first_values(images: list[Tensor]) -> list[int]:
    return [int(x[0, 0, 0]) for x in images]


@pytest.fixture
def numbers(tmp_path: Path, large: None) -> Collection:
    """Images whose first values are their numbers; number 3 comes once more, as number 20."""
    images = [numbered(tmp_path, number) for number in range(sum(SIZES))]
    images[20] = images[3]
    return collection([str(path) for path in shards(tmp_path, images)])


# -- what is held out


def test_images_held_out_never_train(numbers: Collection, tmp_path: Path) -> None:
    images = StreamedImages(numbers, take, COUNT)
    assert first_values(images.held_out) == [0, 1, 2, 3, 4]
    entries = images.training(tmp_path / "note").entries
    left = sum(SIZES) - COUNT - 1  # those held out, and the copy of one of them
    passes = [entries.read(n * left, left) for n in range(3)]
    orders = [first_values([entry.read().pixels for entry in some]) for some in passes]
    assert all(sorted(order) == [*range(5, 20), *range(21, 26)] for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert (tmp_path / "note").read_text() == str(left)


def test_a_validation_stream_is_held_out_instead(numbers: Collection, tmp_path: Path) -> None:
    other = [numbered(tmp_path, 100), numbered(tmp_path, 101)]
    path = parquet(tmp_path / "other.parquet", [row(data) for data in other])
    both = replace(numbers, validation=partial(streams.shards, path))
    images = StreamedImages(both, take, COUNT)
    assert first_values(images.held_out) == [100, 101]
    entries = images.training(tmp_path / "note").entries
    read = [entry.read().pixels for entry in entries.read(0, sum(SIZES))]
    assert sorted(first_values(read)) == sorted([3, *range(20), *range(21, 26)])
    assert images.checksum != StreamedImages(numbers, take, COUNT).checksum


def test_too_few_images_are_told(numbers: Collection) -> None:
    with pytest.raises(ValueError, match=r"has 26 images that fit where 99 are to be held out: lo"):
        StreamedImages(numbers, take, 99)

    def nothing(image: Image) -> Tensor:
        raise ValueError("too green")

    with pytest.raises(ValueError, match=r"0\.parquet.* has no images that the model takes: too g"):
        StreamedImages(numbers, nothing, COUNT)


# -- crops


def stream(images: list[bytes], folder: Path) -> Stream:
    """Images in memory, in the same order in every pass; `folder` is for this list of them."""
    entries = [Encoded(f"{number}.png", data) for number, data in enumerate(images)]
    return Stream(Passes(lambda _: iter(entries), folder / "note"), take)


def crops(images: list[bytes], folder: Path, side: int = 6, **options: Any) -> StreamedCrops:
    options = {"batch_size": 4} | options
    return StreamedCrops(stream(images, folder), side, lambda x: x, **options)


def test_draws_are_the_same_whenever_they_are_drawn(tmp_path: Path) -> None:
    images = [numbered(tmp_path, number) for number in range(10)]
    drawn = [crops(images, tmp_path, seed=1)[n] for n in range(24)]
    again = crops(images, tmp_path, seed=1)
    for n in (5, 4, 20, 0, 23, 11):
        assert torch.equal(again[n], drawn[n])
    assert any(not torch.equal(crops(images, tmp_path, seed=2)[n], drawn[n]) for n in range(8))
    # A crop is of the stream's next image, whose columns come whole here.
    for n, crop in enumerate(drawn):
        whole = Encoded("", images[n % 10]).read().pixels
        assert any(torch.equal(crop, whole[..., left : left + 6]) for left in (0, 1))


def test_processes_share_each_batch(tmp_path: Path) -> None:
    images = [numbered(tmp_path, number) for number in range(10)]

    def batches(rank: int, world_size: int) -> list[Tensor]:
        loader = feed(
            crops(images, tmp_path), 4, start=3, seed=0, rank=rank, world_size=world_size
        )  # fmt: skip
        return [batch for batch, _ in zip(loader, range(5), strict=False)]

    whole, parts = batches(0, 1), [batches(rank, 2) for rank in range(2)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert {tuple(x.flatten().tolist()) for x in batch} == {
            tuple(x.flatten().tolist()) for share in shares for x in share
        }


def test_what_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    small, colour = torch.zeros(1, 3, 9).long(), torch.zeros(3, 9, 9).long()
    bad = [b"text", png(tmp_path, small), png(tmp_path, colour)]
    good = numbered(tmp_path, 7)
    images = crops([*bad, good], tmp_path)
    with pytest.warns(UserWarning, match=r"^0\.png: is not a PNG.*; it is passed over, as others"):
        assert all(images[n].shape == (1, 6, 6) for n in range(8))
    with pytest.raises(ValueError, match=r"none of 4 images in a row can be trained on; 0\.png: "):
        crops([*bad, b""], tmp_path)[0]
    with pytest.raises(ValueError, match="an image of 3 x 9 pixels has no crop of 6 x 6"):
        crops([bad[1]], tmp_path / "one")[0]


def test_images_are_made_smaller_as_often_as_their_area_is_worth(tmp_path: Path) -> None:
    plain = torch.full((1, 12, 12), 90)
    plain[0, ::2] = 110  # stripes that shrinking blurs
    images = crops([png(tmp_path, plain)], tmp_path, side=4, batch_size=1, scales=(0.5, 0.3))
    blurred = [bool((images[n] - 100).abs().max() < 10) for n in range(400)]
    assert sum(blurred) / 400 == pytest.approx(0.25 / (1 + 0.25), abs=0.06)  # 0.09 has no crop


def test_symmetries_are_drawn(tmp_path: Path) -> None:
    x = torch.arange(36).view(1, 6, 6)
    images = crops([png(tmp_path, x)], tmp_path, symmetries=(0, 1, 6))
    corners = {int(images[n][0, 0, 0]) for n in range(40)}
    assert corners == {0, 5, 30}


def test_parts_that_see_nothing_are_told(tmp_path: Path) -> None:
    images = StreamedCrops(
        stream([numbered(tmp_path, 1)], tmp_path), 1, lambda x: x[..., 1:], batch_size=1
    )
    with pytest.raises(ValueError, match="crops of 1 pixels are too small for all parts"):
        images[0]
