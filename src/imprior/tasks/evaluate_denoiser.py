"""How close a denoiser comes to clean images at several levels of noise, and others beside it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import require
from imprior.data import floats, images
from imprior.data.floats import FloatImage
from imprior.denoisers import Denoiser
from imprior.inference.tiled import TILE, check_tile
from imprior.models.local.published import read_flat
from imprior.tasks.denoise import MAX_SIGMA, Quality, add_noise, check_noise, denoise, quality
from imprior.tasks.denoise_files import notes
from imprior.tasks.files import Failure, find_files

Method = Callable[[Tensor, float], Tensor]
"""Denoises a noisy image (C, H, W); it may look at the noise level, in grey levels of 8 bits."""

BM3D = "bm3d"


@dataclass(frozen=True)
class Denoising:
    """How well an image was denoised at one level of noise.

    Attributes:
        path: Its file; ends in #1 for the second page of a file of several, and so on.
        sigma: Of the noise, in grey levels of 8 bits.
        noisy: How close the noisy image is to the clean one.
        clean: Likewise the model's.
        against: Likewise those of other methods.
        notes: What to know about it, in sentences.
    """

    path: str
    sigma: float
    noisy: Quality
    clean: Quality
    against: Mapping[str, Quality] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "path": self.path,
            "sigma": self.sigma,
            **asdict(self.clean),
            "noisy": asdict(self.noisy),
            "against": {name: asdict(figures) for name, figures in self.against.items()},
            "notes": list(self.notes),
        }


def evaluate_denoiser(
    model: Denoiser,
    paths: Sequence[str | Path],
    sigmas: Sequence[float],
    *,
    against: Mapping[str, Method] | None = None,
    seed: int = 0,
    tile: int = TILE,
    ensemble: bool = False,
    gray: bool = False,
) -> Iterator[Denoising | Failure]:
    """Adds noise to files, image by image and level by level, and compares what is made of them.

    Arguments:
        model: On any device.
        paths: Image files, globs and folders; every page of a file counts as an image.
        sigmas: Levels of noise, as `add_noise` takes them, with `seed`.
        against: Other methods, by name, which see the same noisy images; see `choose`.
        tile, ensemble: As in `denoise`; other methods see one view.
        gray: Whether to make colour images grey first.

    Returns:
        A `Denoising` for each image and level; a `Failure` for each file that cannot be read or
        that a method cannot take, and for each path that names no file.

    Raises:
        ValueError: If a number is out of range.
    """
    check_tile(tile)
    if not sigmas:
        raise ValueError("there must be a level of noise to evaluate at")
    for sigma in sigmas:
        check_noise(sigma, seed)
    own = partial(_denoise, model, tile, ensemble=ensemble)

    def compare(path: str, image: FloatImage) -> Iterator[Denoising]:
        clean, known = image.colours, notes(model, image)
        for sigma in sigmas:
            y = add_noise(clean, sigma, seed)
            others = {name: quality(clean, of(y, sigma)) for name, of in (against or {}).items()}
            found = quality(clean, own(y, sigma))
            yield Denoising(path, sigma, quality(clean, y), found, others, known)

    return _over_images(paths, gray, compare)


def choose(names: Sequence[str], tile: int = TILE) -> dict[str, Method]:
    """Methods to compare with, by their names.

    Arguments:
        names: `bm3d`, which is told the noise level; a denoiser as `checkpoint.load` takes it; or
            the file of a published one, see `imprior.models.local.published.read_flat`.
        tile: As in `denoise`.

    Raises:
        ValueError: If a name means none of these, or the package bm3d is not installed.
    """
    return {name: _bm3d() if name == BM3D else _named(name, tile) for name in names}


def total(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means over images at each level of noise.

    Arguments:
        records: Of each image and level; see `Denoising.record`.

    Returns:
        `{sigma: {"psnr", "ssim", "noisy", "against"}}`, levels as text. Structural similarities
        are means over the images that have one; None if none has.
    """
    levels: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        levels.setdefault(f"{record['sigma']:g}", []).append(record)
    return {
        sigma: {
            **_means(alike),
            "noisy": _means([record["noisy"] for record in alike]),
            "against": {
                name: _means([record["against"][name] for record in alike])
                for name in alike[0]["against"]
            },
        }
        for sigma, alike in levels.items()
    }


def _over_images(
    paths: Sequence[str | Path],
    gray: bool,
    compare: Callable[[str, FloatImage], Iterator[Denoising]],
) -> Iterator[Denoising | Failure]:
    failures: list[Failure] = []
    files = list(find_files(paths, images.SUFFIXES, failures))
    yield from failures
    for path, _ in files:
        try:
            for number, image in enumerate(floats.read_pages(path, gray=gray)):
                yield from compare(f"{path}#{number}" if number else str(path), image)
        except (ValueError, MemoryError) as error:
            yield Failure(str(path), str(error))


def _denoise(
    model: Denoiser, tile: int, y: Tensor, sigma: float, *, ensemble: bool = False
) -> Tensor:
    return denoise(model, y, tile=tile, ensemble=ensemble)


def _named(name: str, tile: int) -> Method:
    model = read_flat(name) if Path(name).is_file() else checkpoint.load(name)
    return partial(_denoise, require(model, Denoiser, "a comparison of denoisers"), tile)


def _bm3d() -> Method:
    if find_spec("bm3d") is None:
        raise ValueError(
            "the package bm3d is not installed: pip install bm3d (for non-commercial use only), "
            "or compare without it"
        )
    package = importlib.import_module("bm3d")

    def method(y: Tensor, sigma: float) -> Tensor:
        values, level = y.double().numpy(), sigma / MAX_SIGMA
        if len(y) == 3:
            colours = package.bm3d_rgb(values.transpose(1, 2, 0), level)
            return torch.from_numpy(colours).permute(2, 0, 1)
        return torch.stack([torch.from_numpy(package.bm3d(x, level)) for x in values])

    return method


def _means(figures: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in ("psnr", "ssim"):
        values = [each[name] for each in figures if each[name] is not None]
        means[name] = math.fsum(values) / len(values) if values else None
    return means
