"""How many bits a model needs for images, and engineered codecs for the same pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from imprior.base import ExactModel, LikelihoodModel
from imprior.data import images
from imprior.data.images import Image
from imprior.data.loading import match
from imprior.tasks import codecs
from imprior.tasks.files import Failure, find_files


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What evaluating one image gave.

    Attributes:
        path: Its file.
        name: Its file relative to the input that meant it; both end in #1 for the second page of
            a file of several, and so on.
        pixels: What the model and the codecs saw: int64 (C, H, W).
        bits: The depth of the pixels.
        bits_per_dim: Bits that the model needs per value.
        codecs: Bits per value of the codecs that can hold such an image.
        surprise: Bits per pixel, summed over channels, float64 (H, W); None unless exact.
    """

    path: str
    name: str
    pixels: Tensor
    bits: int
    bits_per_dim: float
    codecs: Mapping[str, float] = field(default_factory=dict)
    surprise: Tensor | None = None

    def record(self) -> dict[str, Any]:
        """The figures as JSON values: small, unlike the pixels."""
        return {
            "path": self.path,
            "shape": list(self.pixels.shape),
            "bits": self.bits,
            "bits_per_dim": self.bits_per_dim,
            "codecs": dict(self.codecs),
        }


def evaluate(
    model: LikelihoodModel,
    paths: Sequence[str | Path],
    *,
    gray: bool = False,
    reduce_bits: bool = False,
    against: Sequence[str] = (),
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    half: bool = False,
) -> Iterator[Evaluation | Failure]:
    """Evaluates files in their order; one that fails does not stop the others.

    Arguments:
        model: On `device`.
        paths: Image files, globs and folders; every page of a file counts as an image.
        gray: Whether to make colour images grey first.
        reduce_bits: Whether to drop the lowest bits that the model does not have.
        against: Codecs to measure on the same pixels; see `codecs.CODECS`.
        batch_size: Images of equal size that are evaluated at once; does not change the figures.
        device: Where to compute.
        half: Whether networks compute in bfloat16: faster where the processor has it, and a little
            other figures. Files are always coded in full precision.

    Yields:
        An `Evaluation` for each image; a `Failure` for each file that cannot be read or that the
        model cannot take, and for each path that names no file.

    Raises:
        ValueError: If a codec is unknown, the model is continuous or `batch_size` is not positive.
    """
    against = codecs.choose(against)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if model.bits is None:
        raise ValueError(f"evaluate needs a model of integers; {type(model).__name__} has no bits")
    convert = partial(
        match, channels=model.channels, bits=model.bits, gray=gray, reduce_bits=reduce_bits
    )
    loaded = _load(paths, convert)
    for _, alike in groupby(loaded, key=_shape):
        while batch := list(islice(alike, batch_size)):
            loaded_images = [item for item in batch if not isinstance(item, Failure)]
            yield from (item for item in batch if isinstance(item, Failure))
            if loaded_images:
                yield from _evaluate(model, loaded_images, against, device, half)


def evaluate_batch(
    model: LikelihoodModel, x: Tensor, half: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Bits per dimension of images, and where they are spent.

    Arguments:
        model: An exact model gives a map as well.
        x: Images, int64 (B, C, H, W).
        half: Whether networks compute in bfloat16.

    Returns:
        Bits per dimension, float64 (B,); bits per pixel, float64 (B, H, W), or None.
    """
    with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        if not isinstance(model, ExactModel):
            return model.bits_per_dim(x), None
        surprise = -model.log_prob_map(x).double() / math.log(2)
    return surprise.flatten(1).mean(1), surprise.sum(1)


def total(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All images as one: bits per dimension, each image weighted by its number of values.

    Arguments:
        records: Of each image; see `Evaluation.record`.

    Returns:
        `{"bits_per_dim", "codecs"}`; without the codecs that could not hold every image.
    """
    sizes = [math.prod(record["shape"]) for record in records]
    measured = [record["codecs"] for record in records]
    everywhere = [name for name in (measured or [{}])[0] if all(name in m for m in measured)]

    def mean(values: Iterable[float]) -> float:
        return math.fsum(n * v for n, v in zip(sizes, values, strict=True)) / sum(sizes)

    return {
        "bits_per_dim": mean(record["bits_per_dim"] for record in records) if records else None,
        "codecs": {name: mean(codecs[name] for codecs in measured) for name in everywhere},
    }


class _Loaded(NamedTuple):
    path: str
    name: str
    image: Image


def _load(
    paths: Sequence[str | Path], convert: Callable[[Image], Image]
) -> Iterator[_Loaded | Failure]:
    failures: list[Failure] = []
    files = list(find_files(paths, images.SUFFIXES, failures))
    yield from failures
    for path, name in files:
        try:
            for number, image in enumerate(images.read_pages(path)):
                page = f"#{number}" if number else ""
                yield _Loaded(f"{path}{page}", f"{name}{page}", convert(image))
        except ValueError as error:
            yield Failure(str(path), str(error))


def _shape(item: _Loaded | Failure) -> tuple[int, ...]:
    """What the images of one batch have in common; failures are apart."""
    return () if isinstance(item, Failure) else tuple(item.image.pixels.shape)


def _evaluate(
    model: LikelihoodModel,
    batch: Sequence[_Loaded],
    against: Sequence[str],
    device: torch.device | str,
    half: bool,
) -> Iterator[Evaluation]:
    x = torch.stack([loaded.image.pixels for loaded in batch]).to(device)
    bits_per_dim, surprise = evaluate_batch(model, x, half)
    for i, (path, name, image) in enumerate(batch):
        measured = codecs.bits_per_dim(against, image.pixels, image.bits)
        spent = None if surprise is None else surprise[i].cpu()
        figure = bits_per_dim[i].item()
        yield Evaluation(path, name, image.pixels, image.bits, figure, measured, spent)
