"""Up-scaling from files to files: several samples of each image, their mean and their spread."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from imprior.base import Multiscale
from imprior.data import images
from imprior.data.images import Image, ImageError, write
from imprior.data.loading import match
from imprior.tasks.files import Progress, Run, run_over_files
from imprior.tasks.upscale import Spread, check_arguments, upscale

PAGE = "index.html"
"""The report, in the folder of the outputs."""


@dataclass(frozen=True)
class Wanted:
    """What to make of each image.

    Attributes:
        factor, num, seed, temperature: As `upscale` takes them.
        gray, reduce_bits: As in `data.loading.match`, before anything else.

    Raises:
        ValueError: If a number is out of range.
    """

    factor: int = 2
    num: int = 1
    seed: int = 0
    temperature: float = 1.0
    gray: bool = False
    reduce_bits: bool = False

    def __post_init__(self) -> None:
        check_arguments(self.factor, self.num, self.seed, self.temperature)


@dataclass(frozen=True)
class Upscaled:
    """What became of one image.

    Attributes:
        path: The file that was read.
        factor: How many times as high and wide the results are.
        shape: Channels, height and width of the results.
        bits: Their depth.
        files: The samples.
        mean: Of several samples: the file of their mean, rounded to the depth.
        deviation: Likewise of their standard deviation, in grey levels.
        mean_deviation: The mean of it over the image, before rounding.
        seconds: Time from before reading until after writing.
    """

    path: str
    factor: int
    shape: tuple[int, int, int]
    bits: int
    files: tuple[str, ...]
    mean: str | None
    deviation: str | None
    mean_deviation: float | None
    seconds: float

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self)


def upscale_files(
    model: Multiscale,
    paths: Sequence[str | Path],
    out: Path,
    wanted: Wanted,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    drawn: Callable[[Path, int], object] = lambda *_: None,
) -> Run[Upscaled]:
    """Draws larger images of image files; see `run_over_files` and `upscale`.

    Of an image `a.jpg` the first sample is `a.png`, the others `a-001.png` and so on; of several
    there are `a-mean.png` and `a-deviation.png` as well. All of an image's files appear together,
    the first sample last: an image whose first sample is there is done. Depth, metadata and
    sub-folders are those of the inputs. Samples are written as they are drawn, so that memory
    does not grow with their number.

    Arguments:
        model: Of integers.
        drawn: Called after each sample with the file it is of and its number from 0.
    """
    suffix = ".png" if model.channels <= 4 else ".tiff"
    sources: dict[Path, Path] = {}

    def work(source: Path, target: Path) -> Upscaled:
        targets = _targets(target, wanted.num)
        for path in targets:
            _check_room(path, source, sources.setdefault(path, source), overwrite)
        return _upscale_file(model, source, targets, wanted, drawn)

    return run_over_files(
        paths, out, suffix, work, takes=images.SUFFIXES, overwrite=overwrite, progress=progress
    )


def _upscale_file(
    model: Multiscale,
    source: Path,
    targets: Sequence[Path],
    wanted: Wanted,
    drawn: Callable[[Path, int], object],
) -> Upscaled:
    start = time.perf_counter()
    image = _read(source, model, wanted)
    with tempfile.TemporaryDirectory(prefix=".upscaling-", dir=targets[0].parent) as folder:
        staged = [Path(folder) / path.name for path in targets]
        spread = _draw(model, image, staged, wanted, lambda index: drawn(source, index))
        for path, final in reversed(list(zip(staged, targets, strict=True))):
            os.replace(path, final)
    files, common = targets[: wanted.num], [str(path) for path in targets[wanted.num :]]
    channels, height, width = image.pixels.shape
    return Upscaled(
        path=str(source),
        factor=wanted.factor,
        shape=(channels, wanted.factor * height, wanted.factor * width),
        bits=image.bits,
        files=tuple(map(str, files)),
        mean=common[0] if common else None,
        deviation=common[1] if common else None,
        mean_deviation=spread,
        seconds=time.perf_counter() - start,
    )


def _targets(first: Path, num: int) -> list[Path]:
    """The files of the samples and, of several, of their mean and standard deviation."""
    names = [f"{index:03d}" for index in range(1, num)]
    names += ["mean", "deviation"] if num > 1 else []
    return [first, *(first.with_name(f"{first.stem}-{name}{first.suffix}") for name in names)]


def _check_room(path: Path, source: Path, first: Path, overwrite: bool) -> None:
    if first != source:
        raise ValueError(f"{path} is an output of {first} already; choose another folder")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already: choose another --out, or --overwrite")


def _read(path: Path, model: Multiscale, wanted: Wanted) -> Image:
    """Reads a picture for a model; a file of several is refused, since the others would be lost."""
    if model.bits is None:
        raise ValueError(f"image files hold integers; {type(model).__name__} makes others")
    pages = images.read_pages(path)
    image = next(pages)
    if next(pages, None) is not None:
        raise ImageError(f"{path}: has several pages; save each as a file of its own")
    how = {"gray": wanted.gray, "reduce_bits": wanted.reduce_bits}
    return match(image, model.channels, model.bits, **how)


def _draw(
    model: Multiscale,
    image: Image,
    files: Sequence[Path],
    wanted: Wanted,
    drawn: Callable[[int], object],
) -> float | None:
    """Writes the samples, their mean and deviation; returns the mean of the latter, if any."""
    options = {"num": wanted.num, "seed": wanted.seed}
    pixels, temperature = image.pixels, wanted.temperature
    samples = upscale(model, pixels, wanted.factor, temperature=temperature, **options)
    spread = Spread()
    for index, (file, x) in enumerate(zip(files, samples, strict=False)):
        write(file, replace(image, pixels=x))
        spread.add(x)
        drawn(index)
    if wanted.num < 2:
        return None
    deviation = spread.deviation
    for file, values in zip(files[-2:], (spread.mean, deviation), strict=True):
        write(file, replace(image, pixels=_levels(values, image.bits)))
    return float(deviation.mean())


def _levels(values: Tensor, bits: int) -> Tensor:
    return values.round().long().clamp_(max=2**bits - 1)
