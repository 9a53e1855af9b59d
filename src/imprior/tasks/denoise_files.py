"""Denoising from files to files: the depth and the format of each stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor

from imprior.data import floats, images
from imprior.data.floats import FloatImage
from imprior.denoisers import Denoiser
from imprior.inference.tiled import TILE, check_tile
from imprior.tasks.denoise import (
    BAND,
    MAX_SIGMA,
    Quality,
    add_noise,
    check_noise,
    denoise,
    quality,
    takes_each_channel,
)
from imprior.tasks.files import Run
from imprior.tasks.image_files import Options, over_images


@dataclass(frozen=True)
class Wanted:
    """How to denoise.

    Attributes:
        sigma: Of noise that is added first, for experiments; as in `add_noise`. None: none is.
        seed: Of that noise.
        tile: The largest side of a tile, in pixels; does not change the result.
        ensemble: Whether to take the mean over all 8 views of an image; see `denoise`.

    Raises:
        ValueError: If a number is out of range.
    """

    sigma: float | None = None
    seed: int = 0
    tile: int = TILE
    ensemble: bool = False

    def __post_init__(self) -> None:
        check_tile(self.tile)
        check_noise(MAX_SIGMA if self.sigma is None else self.sigma, self.seed)


@dataclass(frozen=True)
class Denoised:
    """What became of one image.

    Attributes:
        path: The file that was read.
        file: The file that was written.
        shape: Channels, height and width, opacity included.
        bits: Depth of both files.
        removed: Root mean square of what was removed, in grey levels of 8 bits.
        sigma: Of the noise that was added; None if none was.
        noisy: How close the noisy image is to the file's, if noise was added.
        clean: Likewise the denoised one, before it was rounded.
        notes: What to know about the result, in sentences.
        seconds: Time from before reading until after writing.
    """

    path: str
    file: str
    shape: tuple[int, int, int]
    bits: int
    removed: float
    sigma: float | None
    noisy: Quality | None
    clean: Quality | None
    notes: tuple[str, ...]
    seconds: float

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        record = asdict(self)
        noisy, clean = record.pop("noisy") or {}, record.pop("clean") or {}
        figures = {name: clean.get(name) for name in ("psnr", "ssim")}
        figures |= {f"noisy_{name}": noisy.get(name) for name in ("psnr", "ssim")}
        return record | figures


def denoise_files(
    model: Denoiser,
    paths: Sequence[str | Path],
    out: Path,
    wanted: Wanted,
    *,
    share: Callable[[Path, float], object] = lambda *_: None,
    **options: Unpack[Options],
) -> Run[Denoised]:
    """Denoises image files; see `over_images` and `denoise`.

    PNG, TIFF, WebP and .npy stay what they are, JPEG becomes PNG. Depth, metadata and opacity are
    those of the input; floats stay floats and are not clipped.

    Arguments:
        share: Called now and then with a file and the share of its pixels that are done.
        options: `overwrite` and `progress` of `run_over_files`.
    """

    def work(source: Path, target: Path) -> Denoised:
        return _denoise_file(model, source, target, wanted, lambda done: share(source, done))

    return over_images(paths, out, _suffix, work, **options)


def _suffix(source: Path) -> str:
    kept = source.suffix.lower() in images.SUFFIXES and source.suffix.lower() not in images.LOSSY
    return source.suffix if kept else ".png"


def _denoise_file(
    model: Denoiser,
    source: Path,
    target: Path,
    wanted: Wanted,
    share: Callable[[float], object],
) -> Denoised:
    start = time.perf_counter()
    image = floats.read(source)
    y, sigma = image.colours, wanted.sigma
    if sigma is not None:
        y = add_noise(y, sigma, wanted.seed)
    x = denoise(model, y, tile=wanted.tile, ensemble=wanted.ensemble, progress=share)
    pixels = torch.cat([x, image.pixels[-1:]]) if image.alpha else x
    floats.write(target, replace(image, pixels=pixels))
    compared = sigma is not None
    channels, height, width = image.pixels.shape
    return Denoised(
        path=str(source),
        file=str(target),
        shape=(channels, height, width),
        bits=image.bits,
        removed=MAX_SIGMA * _root_mean_square(x, y),
        sigma=sigma,
        noisy=quality(image.colours, y) if compared else None,
        clean=quality(image.colours, x) if compared else None,
        notes=notes(model, image),
        seconds=time.perf_counter() - start,
    )


def notes(model: Denoiser, image: FloatImage) -> tuple[str, ...]:
    """What to know about how a model denoises an image, a sentence each."""
    told = []
    _, height, width = image.pixels.shape
    if takes_each_channel(model, len(image.colours)):
        told.append("a model of grey images: each channel was denoised by itself")
    if min(height, width) < model.receptive_field:
        told.append(
            f"smaller than the {model.receptive_field} x {model.receptive_field} pixels that the "
            "model looks at: it saw the rest as its borders"
        )
    return tuple(told)


def _root_mean_square(x: Tensor, y: Tensor) -> float:
    """Of a difference, some rows at a time."""
    bands = zip(x.split(BAND, 1), y.split(BAND, 1), strict=True)
    return (sum(float((a - b).double().square().sum()) for a, b in bands) / x.numel()) ** 0.5
