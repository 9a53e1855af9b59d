"""How many bits a model needs for images, and engineered codecs for the same pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior.base import ExactModel, LikelihoodModel
from imprior.data.images import Image, read_pages
from imprior.data.loading import match, to_gray
from imprior.tasks import codecs


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What evaluating one image gave.

    Attributes:
        path: Its file; with the number of the page, from the second page of a file on.
        pixels: What the model and the codecs saw: int64 (C, H, W).
        bits: The depth of the pixels.
        bits_per_dim: Bits that the model needs per value.
        codecs: Bits per value of the codecs that can hold such an image.
        surprise: Bits per pixel, summed over channels, float64 (H, W); None unless exact.
    """

    path: str
    pixels: Tensor
    bits: int
    bits_per_dim: float
    codecs: Mapping[str, float] = field(default_factory=dict)
    surprise: Tensor | None = None

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "path": self.path,
            "shape": list(self.pixels.shape),
            "bits": self.bits,
            "bits_per_dim": self.bits_per_dim,
            "codecs": dict(self.codecs),
        }


@dataclass(frozen=True)
class Failure:
    """A file that could not be evaluated, and why, in one line."""

    path: str
    reason: str


def evaluate(
    model: LikelihoodModel,
    files: Iterable[Path],
    *,
    gray: bool = False,
    against: Sequence[str] = (),
    batch_size: int = 1,
    device: torch.device | str = "cpu",
) -> Iterator[Evaluation | Failure]:
    """Evaluates files in their order; one that fails does not stop the others.

    Arguments:
        model: On `device`.
        files: Image files; every page of each counts as an image.
        gray: Whether to make images grey first.
        against: Codecs to measure on the same pixels; see `codecs.CODECS`.
        batch_size: Images of equal size that are evaluated at once; does not change the figures.
        device: Where to compute.

    Yields:
        An `Evaluation` for each image, a `Failure` for each file that cannot be read or that the
        model cannot take.

    Raises:
        ValueError: If a codec is unknown, the model is continuous or `batch_size` is not positive.
    """
    against = codecs.choose(against)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if model.bits is None:
        raise ValueError(f"evaluate needs a model of integers; {type(model).__name__} has no bits")
    loaded = _load(files, model.channels, model.bits, gray)
    for _, alike in groupby(loaded, key=_shape):
        while batch := list(islice(alike, batch_size)):
            images = [item for item in batch if not isinstance(item, Failure)]
            yield from (item for item in batch if isinstance(item, Failure))
            yield from _evaluate(model, images, against, device) if images else ()


def evaluate_batch(model: LikelihoodModel, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Bits per dimension of images, and where they are spent.

    Arguments:
        model: An exact model gives a map as well.
        x: Images, int64 (B, C, H, W).

    Returns:
        Bits per dimension, float64 (B,); bits per pixel, float64 (B, H, W), or None.
    """
    with torch.no_grad():
        if not isinstance(model, ExactModel):
            return model.bits_per_dim(x), None
        surprise = -model.log_prob_map(x).double() / math.log(2)
    return surprise.flatten(1).mean(1), surprise.sum(1)


def total(results: Sequence[Evaluation]) -> dict[str, Any]:
    """All images as one: bits per dimension, each image weighted by its number of values.

    Returns:
        `{"bits_per_dim", "codecs"}`; without the codecs that could not hold every image.
    """
    sizes = [result.pixels.numel() for result in results]
    names = results[0].codecs if results else ()
    everywhere = [name for name in names if all(name in result.codecs for result in results)]

    def mean(values: Iterable[float]) -> float:
        return math.fsum(n * v for n, v in zip(sizes, values, strict=True)) / sum(sizes)

    return {
        "bits_per_dim": mean(result.bits_per_dim for result in results) if results else None,
        "codecs": {name: mean(result.codecs[name] for result in results) for name in everywhere},
    }


def _load(
    files: Iterable[Path], channels: int, bits: int, gray: bool
) -> Iterator[tuple[str, Image] | Failure]:
    for path in files:
        try:
            for page, image in enumerate(read_pages(path)):
                name = f"{path}#{page}" if page else str(path)
                yield name, match(to_gray(image) if gray else image, channels, bits)
        except ValueError as error:
            yield Failure(str(path), str(error))


def _shape(item: tuple[str, Image] | Failure) -> tuple[int, ...]:
    """What the images of one batch have in common; failures are apart."""
    return () if isinstance(item, Failure) else tuple(item[1].pixels.shape)


def _evaluate(
    model: LikelihoodModel,
    images: Sequence[tuple[str, Image]],
    against: Sequence[str],
    device: torch.device | str,
) -> Iterator[Evaluation]:
    x = torch.stack([image.pixels for _, image in images]).to(device)
    bits_per_dim, surprise = evaluate_batch(model, x)
    for i, (path, image) in enumerate(images):
        measured = codecs.bits_per_dim(against, image.pixels, image.bits)
        spent = None if surprise is None else surprise[i].cpu()
        figure = bits_per_dim[i].item()
        yield Evaluation(path, image.pixels, image.bits, figure, measured, spent)
