"""Images to smaller files and back, bit for bit, with any exact model."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from imprior import checkpoint
from imprior.base import ExactModel
from imprior.codec import images as codec
from imprior.codec.container import Container
from imprior.codec.metadata import Extras
from imprior.data import images
from imprior.data.files import replace_file
from imprior.data.images import Image, ImageError
from imprior.tasks.files import Progress, Run, run_over_files

SUFFIX = ".imp"


@dataclass(frozen=True)
class Compressed:
    """The figures of one file that was compressed or restored.

    Attributes:
        path: The file that was read.
        bytes: Length of the compressed file, with header and metadata.
        bits_per_dim: Bits of the compressed file for each value of the image, opacity included.
        seconds: Time from before reading until after writing.
        values: Number of values of the image.
    """

    path: str
    bytes: int
    bits_per_dim: float
    seconds: float
    values: int

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "values"}


def compress(model: ExactModel, image: Image, digest: str | None = None) -> bytes:
    """Compresses an image with what its file says about it.

    Arguments:
        model: With the image's bits and channels. A model of the colours alone will do for an
            image with opacity, which is then deflated.
        image: What to compress.
        digest: `checkpoint.digest(model)`, for callers who have it already.

    Returns:
        The compressed file; see `imprior.codec.container`.

    Raises:
        ValueError: If image and model do not go together.
    """
    coded, opacity = image.pixels, None
    if image.alpha and len(image.pixels) == model.channels + 1:
        coded, opacity = image.pixels[:-1], codec.to_samples(image.pixels[-1], image.bits)
    if len(coded) != model.channels or image.bits != model.bits:
        raise ValueError(
            f"the image has {len(image.pixels)} channels{' with opacity' * image.alpha} of "
            f"{image.bits} bits, {type(model).__name__} is for {model.channels} of "
            f"{model.bits or 'any'}: choose a model of that kind"
        )
    extras = Extras(image.metadata, image.alpha and opacity is None, opacity)
    return codec.compress(model, coded[None], metadata=extras.to_bytes(), digest=digest)


def decompress(model: ExactModel, data: bytes, digest: str | None = None) -> Image:
    """Restores the image that `compress` was given, its path excepted.

    Arguments:
        model: The model that it was compressed with.
        data: The compressed file.
        digest: `checkpoint.digest(model)`, for callers who have it already.

    Raises:
        ValueError: If the file is damaged, or was written with another model or a newer imprior.
    """
    container = Container.from_bytes(data)
    extras = Extras.from_bytes(container.metadata)
    pixels = codec.restore(model, container, digest=digest)[0]
    if extras.opacity is not None:
        opacity = codec.from_samples(extras.opacity, container.bits, (1, *pixels.shape[1:]))
        pixels = torch.cat([pixels, opacity])
    alpha = extras.alpha or extras.opacity is not None
    return Image(pixels, container.bits, extras.metadata, alpha)


def compress_files(
    model: ExactModel,
    paths: Sequence[str | Path],
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run[Compressed]:
    """Compresses image files to files that end in `.imp`; see `run_over_files`."""
    digest = checkpoint.digest(model)

    def work(source: Path, target: Path) -> Compressed:
        start = time.perf_counter()
        image = _read(source)
        data = compress(model, image, digest)
        replace_file(target, data)
        return _figures(source, data, image, start)

    return run_over_files(
        paths, out, SUFFIX, work, takes=images.SUFFIXES, overwrite=overwrite, progress=progress
    )


def decompress_files(
    model: ExactModel,
    paths: Sequence[str | Path],
    out: Path,
    *,
    suffix: str = ".png",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run[Compressed]:
    """Restores the images of compressed files in a format of choice; see `run_over_files`."""
    digest = checkpoint.digest(model)

    def work(source: Path, target: Path) -> Compressed:
        start = time.perf_counter()
        data = source.read_bytes()
        image = decompress(model, data, digest)
        images.write(target, image)
        return _figures(source, data, image, start)

    return run_over_files(
        paths, out, suffix, work, takes=(SUFFIX,), overwrite=overwrite, progress=progress
    )


def total(results: Sequence[Compressed]) -> dict[str, Any]:
    """All files as one.

    Returns:
        `{"files", "bytes", "bits_per_dim", "seconds"}`; bits_per_dim is None without files.
    """
    size, values = sum(r.bytes for r in results), sum(r.values for r in results)
    return {
        "files": len(results),
        "bytes": size,
        "bits_per_dim": 8 * size / values if values else None,
        "seconds": math.fsum(r.seconds for r in results),
    }


def _read(path: Path) -> Image:
    """Reads a picture; a file of several is refused, since all but one would be lost."""
    pages = images.read_pages(path)
    image = next(pages)
    if next(pages, None) is not None:
        raise ImageError(f"{path}: has several pages; save each as a file of its own")
    return image


def _figures(path: Path, data: bytes, image: Image, start: float) -> Compressed:
    values = image.pixels.numel()
    seconds = time.perf_counter() - start
    return Compressed(str(path), len(data), 8 * len(data) / values, seconds, values)
