"""Every image exactly once an epoch; the same draws with any number of ranks and workers."""

from __future__ import annotations

import itertools
import socket
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed

from imprior.data.batches import Crops, Draws, ImageFiles, Patches, Shard, loader
from imprior.data.images import Image, ImageError, write

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """Ten pictures of 6 x 8 pixels; the first pixel of each is its number."""
    paths = []
    for number in range(10):
        pixels = torch.arange(48).view(1, 6, 8) + 10
        pixels[0, 0, 0] = number
        paths.append(tmp_path / f"{number}.png")
        write(paths[-1], Image(pixels, 8))
    return ImageFiles(paths, channels=1, bits=8)


def numbers(batches: list[Tensor]) -> list[int]:
    return [int(x[0, 0, 0]) for batch in batches for x in batch]


def test_files_are_read_when_asked_for(files: ImageFiles) -> None:
    assert len(files) == 10
    x = files[3]
    assert x.shape == (1, 6, 8) and x.dtype == torch.int64 and x[0, 0, 0] == 3
    files.files[4].write_bytes(b"")
    with pytest.raises(ImageError, match=r"4\.png: is empty"):
        files[4]
    with pytest.raises(ValueError, match=r"3\.png has 1 channels, the model takes 3"):
        ImageFiles(files.files, channels=3, bits=8)[3]


@pytest.mark.parametrize(
    ("world_size", "num_workers"), [(1, 0), (2, 0), (3, 0), (4, 0), (10, 0), (11, 0), (3, 2)]
)
def test_ranks_and_workers_see_every_file_once(
    files: ImageFiles, world_size: int, num_workers: int
) -> None:
    parts = []
    for rank in range(world_size):
        batches = loader(files, 2, rank=rank, world_size=world_size, num_workers=num_workers)
        parts.append(numbers(list(batches)))
        assert len(parts[-1]) == len(Shard(files, rank=rank, world_size=world_size))
    assert sorted(itertools.chain(*parts)) == list(range(10))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_order_depends_on_seed_and_epoch_alone(files: ImageFiles) -> None:
    def order(seed: int, epoch: int, **options: bool) -> list[int]:
        shard = Shard(files, seed=seed, **options)
        shard.set_epoch(epoch)
        return list(shard)

    assert order(0, 0) == order(0, 0)
    orders = [order(0, 0), order(0, 1), order(1, 0)]
    assert len({tuple(one) for one in orders}) == 3
    assert order(0, 5, shuffle=False) == list(range(10))


def test_batches_do_not_depend_on_workers(files: ImageFiles) -> None:
    for dataset in (files, Crops(files, 4, symmetric=True)):
        alone, helped = (list(loader(dataset, 3, num_workers=workers)) for workers in (0, 2))
        assert [len(batch) for batch in alone] == [3, 3, 3, 1]
        for one, other in zip(alone, helped, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 2), (0, 0), (1, None)])
def test_there_must_be_such_a_rank(files: ImageFiles, rank: int, world_size: int | None) -> None:
    with pytest.raises(ValueError, match=f"no rank {rank} among"):
        Shard(files, rank=rank, world_size=world_size)


def test_ranks_are_those_of_torch_distributed(files: ImageFiles) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    try:
        shard = Shard(files)
        assert (shard.rank, shard.world_size) == (0, 1)
        assert Shard(files, rank=1, world_size=3).world_size == 3
    finally:
        distributed.destroy_process_group()


def test_a_batch_has_one_size(tmp_path: Path) -> None:
    for width in (3, 4):
        write(tmp_path / f"{width}.png", Image(torch.zeros(1, 2, width).long(), 8))
    files = ImageFiles(sorted(tmp_path.iterdir()), channels=1, bits=8)
    with pytest.raises(ValueError, match=r"one size, got \[\(1, 2, 3\), \(1, 2, 4\)\]: take crops"):
        list(loader(files, 2))
    assert len(list(loader(files, 1))) == 2


def test_crops_are_of_every_image_and_new_in_every_epoch(files: ImageFiles) -> None:
    crops = Crops(files, 5)
    assert all(crop.shape == (1, 5, 5) for crop in crops)
    crop, again, later = crops[3], crops[3], crops[13]
    assert torch.equal(crop, again)
    assert len({tuple(crops[3 + 10 * epoch].flatten().tolist()) for epoch in range(50)}) == 2 * 4
    assert later.shape == crop.shape
    with pytest.raises(ValueError, match=r"0\.png: an image of 6 x 8 pixels has no crop of 7 x 7"):
        Crops(files, 7)[10]


def test_epochs_of_draws_are_new_and_shared_out_completely(files: ImageFiles) -> None:
    patches = Patches([files[0]], 4, length=11)
    seen: list[int] = []
    for rank in range(3):
        shard = Shard(patches, rank=rank, world_size=3)
        shard.set_epoch(2)
        seen += shard
    assert sorted(seen) == list(range(22, 33))


def test_patches_are_uniform_over_the_positions_of_all_images() -> None:
    images = [
        torch.arange(4 * 5).view(1, 4, 5),  # 2 * 3 positions
        torch.full((1, 2, 9), 999),  # none
        torch.arange(3 * 7).view(1, 3, 7) + 100,  # 1 * 5 positions
        torch.arange(9).view(1, 3, 3) + 70_000,  # 1 position, more than 16 bits would hold
    ]
    patches = Patches(images, 3, length=6000)
    counts = Counter(int(patch[0, 0, 0]) for patch in patches)
    assert set(counts) == {0, 1, 2, 5, 6, 7, 100, 101, 102, 103, 104, 70_000}
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 11 + 4 * 22**0.5
    for number in range(20):
        patch = patches[number]
        assert patch.dtype == torch.int64
        first = int(patch[0, 0, 0])
        image = images[0 if first < 70 else 2 if first < 200 else 3]
        top, left = (int(i) for i in (image[0] == first).nonzero()[0])
        assert torch.equal(patch, image[:, top : top + 3, left : left + 3])


def test_patches_depend_on_seed_and_number_alone() -> None:
    x = torch.randint(0, 256, (3, 20, 20))
    patches, others = (Patches([x], 4, length=5, seed=seed) for seed in (0, 1))
    assert torch.equal(patches[7], patches[7])
    assert not torch.equal(patches[7], patches[8])
    assert not torch.equal(patches[7], others[7])
    assert len(list(patches)) == len(patches) == 5
    assert isinstance(patches, Draws)


def test_symmetric_patches_are_turned_in_all_ways() -> None:
    x = torch.arange(4).view(1, 2, 2)
    patches = Patches([x], 2, length=200, symmetric=True)
    assert len({tuple(patch.flatten().tolist()) for patch in patches}) == 8


def test_images_without_room_are_refused() -> None:
    for images in ([torch.zeros(1, 3, 9).long(), torch.zeros(1, 9, 3).long()], []):
        with pytest.raises(ValueError, match=f"none of the {len(images)} images has room for a"):
            Patches(images, 4, length=1)
    with pytest.raises(ValueError, match="at least one pixel a side, got 0"):
        Patches([torch.zeros(1, 3, 9).long()], 0, length=1)
