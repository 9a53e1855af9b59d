"""Batches of images: what is drawn from which file, by which rank, in which epoch.

What is drawn depends on a seed, the epoch and the number of the draw, never on how many ranks and
workers there are, so that one run can be repeated on another machine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from imprior.data.images import read
from imprior.data.loading import match, random_crop, random_symmetry, stream_of


@dataclass(frozen=True)
class ImageFiles(Dataset[Tensor]):
    """Image files as a dataset, each read whenever it is asked for: int64 (C, H, W).

    Attributes:
        files: Paths of images, as of `find_images`.
        channels, bits, gray, reduce_bits: What they have to be; see `match`.

    Raises:
        ValueError: On access, if the file cannot be read or does not fit.
    """

    files: Sequence[Path]
    channels: int
    bits: int
    gray: bool = False
    reduce_bits: bool = False

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        image = read(self.files[index])
        options = {"gray": self.gray, "reduce_bits": self.reduce_bits}
        return match(image, self.channels, self.bits, **options).pixels


class Draws(Dataset[Tensor], ABC):
    """An endless sequence of random draws, of which every `len` make an epoch.

    `draws[n]` is the same whenever and wherever it is computed.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """The draw of any number from 0 on."""

    def __iter__(self) -> Iterator[Tensor]:
        """The first epoch."""
        return (self[index] for index in range(len(self)))


class Patches(Draws):
    """Random square patches of images in memory, uniform over all positions of all images.

    So an image is worth as much as it has room for patches; one that is smaller has none.

    Arguments:
        images: Integers (C, H, W). They are kept in the smallest type that holds them.
        size: Side of the patches.
        length: Number of patches in an epoch.
        seed: Of the draws.
        symmetric: Whether to mirror, turn over and transpose, each with probability 1/2.
        mirrored: Whether to mirror left to right, with probability 1/2: what is left is right in
            photographs, but not what is up.

    Raises:
        ValueError: If no image has room for a patch.
    """

    def __init__(
        self,
        images: Iterable[Tensor],
        size: int,
        *,
        length: int,
        seed: int = 0,
        symmetric: bool = False,
        mirrored: bool = False,
    ) -> None:
        if size < 1:
            raise ValueError(f"patches have at least one pixel a side, got {size}")
        self.images = [compact(x) for x in images]
        self.size, self.length, self.seed = size, length, seed
        self.symmetries = 8 if symmetric else 2 if mirrored else 1
        rooms = [max(0, x.shape[1] - size + 1) * max(0, x.shape[2] - size + 1) for x in self.images]
        self.ends = torch.tensor(rooms, dtype=torch.int64).cumsum(0)
        if not sum(rooms):
            raise ValueError(
                f"none of the {len(rooms)} images has room for a patch of {size} x {size} pixels"
            )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        generator = stream_of(self.seed, index)
        place = torch.randint(int(self.ends[-1]), (), generator=generator)
        image = int(torch.searchsorted(self.ends, place, right=True))
        x = self.images[image]
        from_end = int(self.ends[image] - place) - 1
        top, left = divmod(from_end, x.shape[2] - self.size + 1)
        patch = x[:, top : top + self.size, left : left + self.size].long()
        return random_symmetry(patch, self.symmetries, generator=generator)


class Crops(Draws):
    """A random square crop of every image: in each epoch one of each.

    Arguments:
        images: The files; each is read when its crop is asked for.
        size: Side of the crops.
        seed: Of the draws.
        symmetric: Whether to mirror, turn over and transpose, each with probability 1/2.

    Raises:
        ValueError: On access, if the image is smaller than the crop; see also `ImageFiles`.
    """

    def __init__(
        self, images: ImageFiles, size: int, *, seed: int = 0, symmetric: bool = False
    ) -> None:
        self.images, self.size, self.seed, self.symmetric = images, size, seed, symmetric

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        generator, number = stream_of(self.seed, index), index % len(self)
        x = self.images[number]
        try:
            crop = random_crop(x, self.size, generator=generator)
        except ValueError as error:
            raise ValueError(f"{self.images.files[number]}: {error}") from None
        return random_symmetry(crop, 8 if self.symmetric else 1, generator=generator)


def place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Rank and number of ranks: as given, else as `torch.distributed` says, else the only one.

    Raises:
        ValueError: If there is no such rank.
    """
    joined = distributed.is_available() and distributed.is_initialized()
    if world_size is None:
        world_size = distributed.get_world_size() if joined else 1
    if rank is None:
        rank = distributed.get_rank() if joined else 0
    if not 0 <= rank < world_size:
        raise ValueError(f"there is no rank {rank} among {world_size}; the first is 0")
    return rank, world_size


class Shard(Sampler[int]):
    """The items of a dataset that one rank of several sees, in a new order every epoch.

    In each epoch the ranks together see every item exactly once. Nothing is repeated to make their
    parts equal: where they cannot be, the first ranks have one item more, which a trainer whose
    ranks wait for each other after every batch has to allow for (`torch.distributed.algorithms.
    Join`), or avoid by a suitable number of items.

    Arguments:
        dataset: What to draw from. Of `Draws`, every epoch takes new ones.
        seed: Of the order.
        rank, world_size: Which part of how many; by default what `torch.distributed` says, if it
            is initialized, else all.
        shuffle: Whether to shuffle; otherwise the order is that of the dataset.

    Raises:
        ValueError: If there is no such rank.
    """

    def __init__(
        self,
        dataset: ImageFiles | Draws,
        *,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle: bool = True,
    ) -> None:
        self.rank, self.world_size = place(rank, world_size)
        self.dataset, self.seed, self.shuffle, self.epoch = dataset, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next iteration is, as PyTorch's own sampler needs to be told."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, len(self.dataset), self.world_size))

    def __iter__(self) -> Iterator[int]:
        length = len(self.dataset)
        order = torch.arange(length)
        if self.shuffle:
            order = torch.randperm(length, generator=stream_of(self.seed, self.epoch))
        first = self.epoch * length if isinstance(self.dataset, Draws) else 0
        yield from (first + order[self.rank :: self.world_size]).tolist()


def loader(
    dataset: ImageFiles | Draws,
    batch_size: int,
    *,
    seed: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
    shuffle: bool = True,
    num_workers: int = 0,
) -> DataLoader[Tensor]:
    """Batches of a rank's `Shard`, int64 (B, C, H, W); the last of an epoch may be smaller.

    Before each epoch call `set_epoch` of its `sampler`.

    Raises:
        ValueError: On iteration, if the images of a batch differ in size; see also `Shard`.
    """
    shard = Shard(dataset, seed=seed, rank=rank, world_size=world_size, shuffle=shuffle)
    return DataLoader(dataset, batch_size, sampler=shard, num_workers=num_workers, collate_fn=stack)


def stack(images: list[Tensor]) -> Tensor:
    """A batch of images that have one size; ValueError if they do not."""
    shapes = sorted({tuple(x.shape) for x in images})
    if len(shapes) > 1:
        raise ValueError(
            f"the images of a batch have one size, got {shapes}: take crops, or batches of one"
        )
    return torch.stack(images)


def compact(x: Tensor) -> Tensor:
    """The same integers, none of them negative, in the smallest type that holds them."""
    largest = int(x.max()) if x.numel() else 0
    return x.to(torch.uint8 if largest < 2**8 else torch.int16 if largest < 2**15 else torch.int32)
