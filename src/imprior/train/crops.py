"""Crops of images in memory: what networks are trained on, and what chooses their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from imprior.data.batches import Draws, compact
from imprior.data.loading import stream_of, symmetry

View = Callable[[Tensor], Tensor]  # of images, (B, C, H, W): see `imprior.base.Part`


def extent(x: Tensor, side: int) -> tuple[int, int]:
    """Height and width of a crop of an image (C, H, W): `side`, or less where the image ends."""
    return min(side, x.shape[1]), min(side, x.shape[2])


def shrunk(images: Sequence[Tensor], scale: float, side: int) -> list[Tensor]:
    """Images made smaller, those that still hold a crop: sharper, and without traces of JPEG.

    Arguments:
        images: Integers (C, H, W).
        scale: In (0, 1).
        side: Of the crops.

    Returns:
        Integers, which stay within the range of their image.
    """
    found = []
    for x in images:
        if round(scale * min(x.shape[1:])) >= side:
            size = [round(scale * length) for length in x.shape[1:]]
            floats = functional.interpolate(x[None].float(), size, mode="bicubic", antialias=True)
            found.append(floats[0].round().clamp(int(x.min()), int(x.max())).to(x.dtype))
    return found


class _Views(Draws):
    """What a part of a model sees of crops of images, int64 (C, H, W).

    Arguments:
        images: Integers (C, H, W).
        side: Of the crops; an image that is smaller is taken whole.
        view: What the part sees of images.
        seed: Of the draws.

    Raises:
        ValueError: If a crop leaves nothing to see.
    """

    def __init__(self, images: Sequence[Tensor], side: int, view: View, seed: int) -> None:
        self.images, self.side = [compact(x) for x in images], side
        self.view, self.seed = view, seed
        # Images by the size of their crops: those of a batch have one.
        self.groups: dict[tuple[int, int], list[int]] = {}
        for number, x in enumerate(self.images):
            self.groups.setdefault(extent(x, side), []).append(number)
        for (height, width), (number, *_) in self.groups.items():
            if not self._see(self.images[number][:, :height, :width]).numel():
                raise ValueError(
                    f"images of {height} x {width} pixels are too small for all parts of the model"
                )

    def _see(self, crop: Tensor) -> Tensor:
        return self.view(crop[None].long())[0]

    def _crop(self, number: int, generator: torch.Generator) -> Tensor:
        """Any crop of an image, all with the same probability."""
        x = self.images[number]
        height, width = extent(x, self.side)
        top = int(torch.randint(x.shape[1] - height + 1, (), generator=generator))
        left = int(torch.randint(x.shape[2] - width + 1, (), generator=generator))
        return x[:, top : top + height, left : left + width]


class RandomCrops(_Views):
    """Random crops, new ones for every step; an epoch is one batch.

    An image is drawn as often as its area is worth, so that all pixels count about the same. Those
    that are smaller than a crop share batches with images that leave crops of the same size.

    Arguments:
        images, side, view, seed: See `_Views`.
        batch_size: How many draws have one size.
        symmetries: Numbers of those that are drawn from, as of `imprior.data.loading.symmetry`;
            where crops are not square, those that transpose are left out.
    """

    def __init__(
        self,
        images: Sequence[Tensor],
        side: int,
        view: View,
        *,
        batch_size: int,
        seed: int = 0,
        symmetries: Sequence[int] = (0,),
    ) -> None:
        super().__init__(images, side, view, seed)
        self.batch_size, self.symmetries = batch_size, tuple(symmetries)
        self.members = list(self.groups.values())
        areas = [[self.images[number][0].numel() for number in group] for group in self.members]
        self.ends = [torch.tensor(group).cumsum(0) for group in areas]
        self.group_ends = torch.tensor([sum(group) for group in areas]).cumsum(0)

    def __len__(self) -> int:
        return self.batch_size

    def __getitem__(self, index: int) -> Tensor:
        of_batch = stream_of(self.seed, index // self.batch_size, 1)
        generator = stream_of(self.seed, index)
        group = _pick(self.group_ends, of_batch)
        crop = self._crop(self.members[group][_pick(self.ends[group], generator)], generator)
        square = crop.shape[1] == crop.shape[2]
        fitting = [number for number in self.symmetries if square or number < 4]
        which = int(torch.randint(len(fitting), (), generator=generator))
        return self._see(symmetry(crop, fitting[which]))


class Alternating(Draws):
    """Whole batches from any of several draws, all with the same probability.

    Arguments:
        draws: Those of crops, with this `batch_size`.
        seed: Of which.
    """

    def __init__(self, draws: Sequence[RandomCrops], *, batch_size: int, seed: int = 0) -> None:
        self.draws, self.batch_size, self.seed = draws, batch_size, seed

    def __len__(self) -> int:
        return self.batch_size

    def __getitem__(self, index: int) -> Tensor:
        of_batch = stream_of(self.seed, index // self.batch_size, 2)
        return self.draws[int(torch.randint(len(self.draws), (), generator=of_batch))][index]


def of_scales(
    images: tuple[Sequence[Tensor], Sequence[Tensor]],
    side: int,
    views: Sequence[View],
    symmetries: Sequence[int],
    **options: int,
) -> RandomCrops | Alternating:
    """Random crops of images as a part sees them, and at finer scales as often.

    Arguments:
        images: Those that are drawn from whatever their size, and those that only are where they
            hold a crop.
        side: Of the crops of the first view; of each next one, at twice the resolution, half that.
        views: What the part sees of images, and what it would see of finer scales.
        symmetries, options: Of `RandomCrops`.
    """
    draws = []
    for times, view in enumerate(views):
        least = max(1, side >> times)
        holding = [x for x in images[1] if min(x.shape[1:]) >= least]
        some = [*images[0], *holding]
        draws.append(RandomCrops(some, least, view, symmetries=symmetries, **options))
    return draws[0] if len(draws) == 1 else Alternating(draws, **options)


class DecidingCrops(_Views):
    """Crops that stay the same, taken from all images in turn, at least one of each.

    Arguments:
        images, side, view, seed: See `_Views`.
        count: How many, if there are no more images than that.
    """

    def __init__(
        self, images: Sequence[Tensor], side: int, view: View, *, count: int, seed: int = 0
    ) -> None:
        super().__init__(images, side, view, seed)
        self.count = max(count, len(self.images))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        crop = self._crop(index % len(self.images), stream_of(self.seed, index))
        return self._see(crop)


def _pick(ends: Tensor, generator: torch.Generator) -> int:
    """An item, as often as it is worth; `ends` are the sums of what items up to each are worth."""
    place = torch.randint(int(ends[-1]), (), generator=generator)
    return int(torch.searchsorted(ends, place, right=True))
