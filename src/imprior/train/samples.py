"""Pixels and their contexts, drawn from images for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.planes import ConditionalMCGSM
from imprior.transforms import causal

Noise = Literal["all", "target"]
Target = TypeVar("Target", bound=Tensor | Bins)


@dataclass(frozen=True)
class Drawing:
    """How pixels are drawn.

    Attributes:
        pixels: How many, over all images.
        noise: What uniform noise of one grey level is added to: "all" values, the protocol of
            density estimation, or the "target" alone, for models of integers.
        interior: Whether to leave out pixels whose neighbourhood crosses a border.
    """

    pixels: int
    noise: Noise = "target"
    interior: bool = False


@dataclass(frozen=True)
class Source:
    """An image to draw pixels from.

    Attributes:
        read: Reads it, int64 (C, H, W).
        area: Its number of pixels.
    """

    read: Callable[[], Tensor]
    area: int

    @classmethod
    def of(cls, read: Callable[[], Tensor]) -> Source:
        """The source that `read` reads; reads it once to know its area."""
        return cls(read, read()[0].numel())

    def seen_as(self, images: Callable[[Tensor], Tensor]) -> Source:
        """The source of what `images` makes of it: see `base.Part`; its area stays."""
        return Source(lambda: images(self.read()[None])[0], self.area)


class Samples(NamedTuple):
    """Contexts and targets of one plane.

    Attributes:
        inputs: Contexts in [0, 1], shape (N, D), in random order.
        outputs: Targets with noise, in [0, 1], shape (N,).
        target, low, high: The integers they stand for and their bounds, int32, shape (N,).
    """

    inputs: Tensor
    outputs: Tensor
    target: Tensor
    low: Tensor
    high: Tensor


def positions(
    height: int, width: int, count: int, margin: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows and columns drawn uniformly; never (0, 0), which has no context."""
    if height <= margin or width <= 2 * margin:
        return torch.zeros(0).long(), torch.zeros(0).long()
    y = torch.randint(margin, height, (count,), generator=generator)
    x = torch.randint(margin, width - margin, (count,), generator=generator)
    inside = (y > 0) | (x > 0)
    return y[inside], x[inside]


def draw(
    model: ConditionalMCGSM,
    plane: int,
    sources: Sequence[Source],
    drawing: Drawing,
    seed: int,
) -> Samples:
    """Draws pixels of a plane, from each image as many as its area is worth.

    Arguments:
        sources: The images; only one at a time is in memory.
        seed: Each image has a random stream of its own, so its pixels do not depend on others.
    """
    parts = []
    for number, (source, count) in enumerate(zip(sources, shares(sources, drawing), strict=True)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        image = source.read() if count else torch.empty(0)
        if image.numel():  # of an image one pixel wide there may be no details
            parts.append(_draw_from(model, plane, image, count, drawing, generator))
    joined = [torch.cat(columns) for columns in zip(*parts, strict=True)]
    if not joined or not len(joined[0]):
        raise ValueError(
            f"no pixel of the {len(sources)} images has a whole neighbourhood: they are too small"
        )
    order = torch.randperm(len(joined[0]), generator=torch.Generator().manual_seed(seed))
    return Samples(*(column[order] for column in joined))


def shares(sources: Sequence[Source], drawing: Drawing) -> list[int]:
    """How many pixels to draw from each image; they add up to what is wanted."""
    total, before, drawn, counts = sum(source.area for source in sources), 0, 0, []
    for source in sources:
        before += source.area
        counts.append(before * drawing.pixels // total - drawn)
        drawn += counts[-1]
    return counts


def _draw_from(
    model: ConditionalMCGSM,
    plane: int,
    image: Tensor,
    count: int,
    drawing: Drawing,
    rng: torch.Generator,
) -> Samples:
    canvas = model.to_canvas(image[None])[0]
    margin = model.contexts[plane].reach if drawing.interior else 0
    y, x = positions(canvas.shape[1], canvas.shape[2], count, margin, rng)
    target = canvas[plane, y, x]
    low, high = model.support([canvas[p, y, x] for p in range(plane)], plane, target)
    unit = model.unit(canvas)
    noise = torch.rand(canvas.shape, generator=rng, dtype=unit.dtype) - 0.5
    noisy = unit + noise / 2**model.config.bits
    padded = causal.pad(noisy if drawing.noise == "all" else unit, model.reach)
    inputs = causal.gather(padded, model.reach, model.contexts[plane], y, x)
    integers = (part.int() for part in (target, low, high))
    return Samples(inputs, noisy[plane, y, x], *integers)


class Whitened(NamedTuple, Generic[Target]):
    """Samples as a mixture takes them: whitened inputs, and points or bins."""

    x: Tensor
    y: Target

    def batch(self, step: int, size: int) -> Whitened[Target]:
        """The `step`-th batch of endless passes over the data; the last of a pass overlaps."""
        batches = -(-len(self.x) // size)
        start = min(step % batches * size, max(0, len(self.x) - size))
        rows = slice(start, start + size)
        y = Bins(*(part[rows] for part in self.y)) if isinstance(self.y, Bins) else self.y[rows]
        return Whitened(self.x[rows], cast("Target", y))


def whiten(
    model: ConditionalMCGSM, whitening: causal.ConditionalWhitening, samples: Samples
) -> tuple[Whitened[Tensor], Whitened[Bins]]:
    """The samples as points of a density, and as bins of a mass."""
    pieces = list(_pieces(samples))
    inputs = [whitening.inputs(piece.inputs) for piece in pieces]
    pairs = list(zip(inputs, pieces, strict=True))
    points = torch.cat([whitening.outputs(x, piece.outputs) for x, piece in pairs])
    bins = [model.bins(whitening, x, *(c.long() for c in piece[2:])) for x, piece in pairs]
    joined = Bins(*(torch.cat(parts) for parts in zip(*bins, strict=True)))
    x = torch.cat(inputs)
    return Whitened(x, points), Whitened(x, joined)


def _pieces(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples.inputs), 1 << 16):
        yield Samples(*(column[start : start + (1 << 16)] for column in samples))
