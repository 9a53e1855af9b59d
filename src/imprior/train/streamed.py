"""Images that come in a stream: some are held out, the others are trained on batch after batch.

In memory are the images held out, and of the others a batch and those that the next one is drawn
from, as the bytes of their files.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from imprior.data.batches import Draws, compact
from imprior.data.encoded import Encoded, mixed
from imprior.data.images import Image
from imprior.data.loading import random_crop, stream_of, symmetry
from imprior.data.named import Collection
from imprior.data.passes import Passes
from imprior.train.crops import View, shrunk

ROOM = 2**28  # bytes of images that the next one is drawn from; shards are shuffled too
ALONE = {"rank": 0, "world_size": 1}  # every process reads all, and takes its part of each batch

Take = Callable[[Image], Tensor]  # what a model sees of an image; ValueError if it does not fit


@dataclass(frozen=True)
class Stream:
    """Images to train on, in passes without end.

    Attributes:
        entries: The images as they are stored.
        take: What the model sees of an image, integers (C, H, W).
    """

    entries: Passes[Encoded]
    take: Take


class StreamedImages:
    """A collection whose images do not fit in memory.

    Those held out are the first of its validation stream; if it has none, the first to train on.
    They are never trained on, nor are images with the same bytes.

    Arguments:
        collection: The images.
        take: See `Stream`. What does not fit is passed over.
        count: How many images to hold out.
        seed: Of the order of the others.

    Raises:
        ValueError: If the stream cannot be read, none of the first images fits, or none is left to
            train on.
    """

    def __init__(self, collection: Collection, take: Take, count: int, *, seed: int = 0) -> None:
        self.collection, self.take, self.seed = collection, take, seed
        self.held_out: list[Tensor] = []
        self.digests: set[bytes] = set()
        stream = (collection.validation or collection.open)(**ALONE)
        wrong = ""
        for entry in islice(stream.entries(), 2 * count):
            try:
                self.held_out.append(compact(take(entry.read())))
            except ValueError as error:
                wrong = wrong or f": {error}"
                continue
            self.digests.add(entry.digest)
            if len(self.held_out) == count:
                break
        if not self.held_out:
            raise ValueError(f"{collection.name} has no images that the model takes{wrong}")
        if len(self.held_out) < count and collection.validation is None:
            raise ValueError(
                f"{collection.name} has {len(self.held_out)} images that fit where {count} are to "
                "be held out: lower training.validation_patches"
            )

    @property
    def checksum(self) -> str:
        """SHA-256 of what was asked for and of the images held out; all would take a whole pass."""
        total = hashlib.sha256(f"{self.collection.name}\0{self.collection.state}".encode())
        for digest in sorted(self.digests):
            total.update(digest)
        return total.hexdigest()

    def training(self, note: Path) -> Stream:
        """The other images; `note` is a file of the run, see `Passes`."""
        shuffled = self.collection.open(shuffle_buffer=1, seed=self.seed, **ALONE)

        def records(number: int) -> Iterator[Encoded]:
            shuffled.set_epoch(number)
            others = (entry for entry in shuffled.entries() if entry.digest not in self.digests)
            return mixed(others, ROOM, stream_of(self.seed, number, 3))

        return Stream(Passes(records, note), self.take)


class StreamedCrops(Draws):
    """A random crop of every image of a stream, pass after pass; an epoch is one batch.

    Draw `n` is of the stream's image `n`, whatever the size of that: so each counts the same. If it
    cannot be read, does not fit or is smaller than a crop, another of its batch takes its place.

    Arguments:
        stream: The images.
        side: Of the crops.
        view: What the part of a model sees of them.
        batch_size: Images in a batch, all processes together.
        seed: Of the draws.
        symmetries: Numbers of those that are drawn from, as of `imprior.data.loading.symmetry`.
        scales: Images are made smaller by one of these factors, or are not; each as often as the
            area that it leaves is worth.

    Raises:
        ValueError: On access, if no image of a batch can be trained on, the stream breaks off, or
            it is accessed in a worker process.
    """

    def __init__(
        self,
        stream: Stream,
        side: int,
        view: View,
        *,
        batch_size: int,
        seed: int = 0,
        symmetries: Sequence[int] = (0,),
        scales: Sequence[float] = (),
    ) -> None:
        self.stream, self.side, self.view, self.batch_size = stream, side, view, batch_size
        self.seed, self.symmetries, self.scales = seed, tuple(symmetries), (1.0, *scales)
        self.warned = False

    def __len__(self) -> int:
        return self.batch_size

    def __getitem__(self, index: int) -> Tensor:
        if get_worker_info() is not None:
            raise ValueError("a stream is read by the process that trains: num_workers must be 0")
        step, place = divmod(index, self.batch_size)
        batch = self.stream.entries.read(step * self.batch_size, self.batch_size)
        crop = self._crop(batch[place:] + batch[:place], stream_of(self.seed, index))
        seen = self.view(crop[None].long())[0]
        if not seen.numel():
            raise ValueError(
                f"crops of {self.side} pixels are too small for all parts of the model"
            )
        return seen

    def _crop(self, entries: Sequence[Encoded], generator: torch.Generator) -> Tensor:
        """A crop of the first image that has one."""
        wrong = ""
        for entry in entries:
            try:
                x = self._scaled(self.stream.take(entry.read()), generator)
                crop = random_crop(x, self.side, generator=generator)
            except ValueError as error:
                wrong = wrong or f"{entry.name}: {str(error).removeprefix(f'{entry.name}: ')}"
                continue
            if wrong:
                self._warn(wrong)
            which = int(torch.randint(len(self.symmetries), (), generator=generator))
            return symmetry(crop, self.symmetries[which])
        raise ValueError(f"none of {len(entries)} images in a row can be trained on; {wrong}")

    def _scaled(self, x: Tensor, generator: torch.Generator) -> Tensor:
        least = min(x.shape[1:])
        scales = [s for s in self.scales if s == 1 or round(s * least) >= self.side]
        areas = torch.tensor(scales).square()
        scale = scales[int(torch.multinomial(areas, 1, generator=generator))]
        return x if scale == 1 else shrunk([x], scale, self.side)[0]

    def _warn(self, wrong: str) -> None:
        if not self.warned:
            warnings.warn(f"{wrong}; it is passed over, as others that do not fit", stacklevel=2)
        self.warned = True
