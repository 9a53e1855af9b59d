"""Up-scaling from files to files: several samples of each image, their mean and their spread."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from imprior.base import Multiscale
from imprior.data import images
from imprior.data.images import Image, ImageError
from imprior.data.loading import match
from imprior.denoisers import Denoiser
from imprior.inference.synthesis import Moment
from imprior.tasks.denoise import Quality, mean_quality
from imprior.tasks.enlargement import Made, Wanted, make
from imprior.tasks.files import Run
from imprior.tasks.image_files import Options, over_images
from imprior.tasks.upscale import check_mean, check_model


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
        expected: If it was wanted: the file of the least-squares answer.
        small: If it was made smaller first: the file of the image that was given to the model.
        quality, notes: See `imprior.tasks.enlargement.Made`.
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
    expected: str | None
    small: str | None
    quality: Mapping[str, Quality]
    notes: tuple[str, ...]
    seconds: float

    @property
    def first(self) -> str:
        """The file that says that the image is done: a sample, or the least-squares answer."""
        return next(name for name in (*self.files, self.expected) if name is not None)

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return asdict(self)


def total(results: Sequence[Upscaled]) -> dict[str, Quality]:
    """The means of `Upscaled.quality` over images; of similarities over those that have one."""
    ways = list(results[0].quality) if results else []
    return {way: mean_quality([each.quality[way] for each in results]) for way in ways}


def upscale_files(
    model: Multiscale,
    paths: Sequence[str | Path],
    out: Path,
    wanted: Wanted,
    *,
    drawn: Callable[[Path, int], object] = lambda *_: None,
    watch: Callable[[Path, int, Moment], object] = lambda *_: None,
    **options: Unpack[Options],
) -> Run[Upscaled]:
    """Draws larger images of image files; see `over_images` and `upscale`.

    Of an image `a.jpg` the first sample is `a.png`, the others `a-001.png` and so on; of several
    there are `a-mean.png` and `a-deviation.png` as well. The least-squares answer is
    `a-expected.png`, without samples `a.png`; the image made smaller is `a-small.png`. All of an
    image's files appear together, `a.png` last: an image whose `a.png` is there is done. Depth,
    metadata and sub-folders are those of the inputs. Samples are written as they are drawn, so
    that memory does not grow with their number.

    Arguments:
        model: Of integers, or a denoiser, which takes images of any depth.
        drawn: Called after each sample with the file it is of and its number from 0.
        watch: Is told of every iteration where details are drawn by ascent, with the same.
        options: `overwrite` and `progress` of `run_over_files`.

    Raises:
        ValueError: Before any file is read, if the model cannot do what is wanted.
    """
    check_model(model, wanted.factor, wanted.temperature)
    if wanted.mean:
        check_mean(model)
    suffix = ".png" if model.channels <= 4 else ".tiff"
    sources: dict[Path, Path] = {}

    def work(source: Path, target: Path) -> Upscaled:
        start = time.perf_counter()
        targets = _targets(target, wanted)
        for path in targets.values():
            first = sources.setdefault(path, source)
            _check_room(path, source, first, options.get("overwrite", False))
        image = _read(source, model, wanted)

        def fill(files: Mapping[str, Path]) -> Made:
            tell, follow = partial(drawn, source), partial(watch, source)
            return make(model, image, wanted, files, drawn=tell, watch=follow)

        made = _together(targets, fill)
        return _upscaled(image, targets, made, wanted, time.perf_counter() - start)

    return over_images(paths, out, suffix, work, **options)


def _together(targets: Mapping[str, Path], fill: Callable[[Mapping[str, Path]], Made]) -> Made:
    """Has files written under other names, and renames them when all are there."""
    last = next(iter(targets.values()))
    with tempfile.TemporaryDirectory(prefix=".upscaling-", dir=last.parent) as folder:
        staged = {name: Path(folder) / path.name for name, path in targets.items()}
        made = fill(staged)
        for name in reversed(list(targets)):
            os.replace(staged[name], targets[name])
    return made


def _upscaled(
    image: Image, targets: Mapping[str, Path], made: Made, wanted: Wanted, seconds: float
) -> Upscaled:
    files = {name: str(path) for name, path in targets.items()}
    return Upscaled(
        path=image.path,
        factor=wanted.factor,
        shape=(len(image.pixels), *made.size),
        bits=image.bits,
        files=tuple(path for name, path in files.items() if name.isdecimal()),
        mean=files.get("mean"),
        deviation=files.get("deviation"),
        mean_deviation=made.mean_deviation,
        expected=files.get("expected"),
        small=files.get("small"),
        quality=made.quality,
        notes=made.notes,
        seconds=seconds,
    )


def _targets(first: Path, wanted: Wanted) -> dict[str, Path]:
    """The file of each thing that is made; the first thing's is `first`."""
    head, *rest = wanted.names()
    others = {name: first.with_name(f"{first.stem}-{name}{first.suffix}") for name in rest}
    return {head: first, **others}


def _check_room(path: Path, source: Path, first: Path, overwrite: bool) -> None:
    if first != source:
        raise ValueError(f"{path} is an output of {first} already; choose another folder")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already: choose another --out, or --overwrite")


def _read(path: Path, model: Multiscale, wanted: Wanted) -> Image:
    """Reads a picture for a model; a file of several is refused, since the others would be lost."""
    if model.bits is None and not isinstance(model, Denoiser):
        raise ValueError(f"image files hold integers; {type(model).__name__} makes others")
    pages = images.read_pages(path)
    image = next(pages)
    if next(pages, None) is not None:
        raise ImageError(f"{path}: has several pages; save each as a file of its own")
    how = {"gray": wanted.gray, "reduce_bits": wanted.reduce_bits}
    bits = image.bits if model.bits is None else model.bits
    return match(image, model.channels, bits, **how)
