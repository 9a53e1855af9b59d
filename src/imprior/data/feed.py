"""The endless sequence of batches of a training run, which can be entered at any step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from imprior.data.batches import Draws, ImageFiles, Shard, place, stack


class Feed(Sampler[list[int]]):
    """Which items one rank of several takes for its part of each batch, from a step on.

    The items of all epochs, each in the order of its `Shard`, follow one another and are cut into
    batches of one size; a batch may end in the epoch after the one it began in. Batch `n` of all
    ranks together is the same however many ranks there are and wherever the run was entered.

    Arguments:
        dataset: What to draw from.
        batch_size: Items in a batch, all ranks together.
        start: The step to begin with, from 0 on.
        seed: Of the order.
        rank, world_size: Which part of how many; by default what `torch.distributed` says.

    Raises:
        ValueError: If there is no such rank, nothing to draw from, or the ranks' parts of a batch
            cannot be equal.
    """

    def __init__(
        self,
        dataset: ImageFiles | Draws,
        batch_size: int,
        *,
        start: int = 0,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self.rank, self.world_size = place(rank, world_size)
        if not len(dataset):
            raise ValueError("there are no images to train on")
        if batch_size < 1 or batch_size % self.world_size:
            raise ValueError(
                f"a batch of {batch_size} cannot be shared equally by {self.world_size} processes: "
                "choose a multiple of their number"
            )
        self.dataset, self.batch_size, self.start, self.seed = dataset, batch_size, start, seed

    def __iter__(self) -> Iterator[list[int]]:
        first = self.start * self.batch_size
        items = itertools.islice(self._items(first), self.rank, None, self.world_size)
        while True:
            yield list(itertools.islice(items, self.batch_size // self.world_size))

    def _items(self, first: int) -> Iterator[int]:
        """The items of all epochs from the one at position `first` on."""
        shard = Shard(self.dataset, seed=self.seed, rank=0, world_size=1)
        epoch, passed = divmod(first, len(self.dataset))
        for number in itertools.count(epoch):
            shard.set_epoch(number)
            yield from itertools.islice(shard, passed if number == epoch else 0, None)


def feed(
    dataset: ImageFiles | Draws,
    batch_size: int,
    *,
    start: int = 0,
    seed: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
    num_workers: int = 0,
) -> DataLoader[Tensor]:
    """Endless batches (B, C, H, W) of one rank's `Feed`; B is its part of `batch_size`.

    Raises:
        ValueError: On iteration, if the images of a batch differ in size; see also `Feed`.
    """
    order = Feed(
        dataset, batch_size, start=start, seed=seed, rank=rank, world_size=world_size
    )  # fmt: skip
    return DataLoader(dataset, batch_sampler=order, num_workers=num_workers, collate_fn=stack)
