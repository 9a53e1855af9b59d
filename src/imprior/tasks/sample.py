"""Images drawn from a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imprior.base import ExactModel, ImageModel, Sampler, require
from imprior.data.images import Image, write
from imprior.data.sheet import contact_sheet
from imprior.denoisers import Denoiser
from imprior.inference.synthesis import Moment, Watch, synthesize, unwatched
from imprior.inference.walk import draw
from imprior.tasks.values import to_pixels

DEPTH = 8
"""Bits of what denoisers draw: floats have no depth, and files need one."""

Draw = Callable[[tuple[int, int], torch.Generator], Tensor]


@torch.no_grad()
def sample(
    model: ImageModel,
    size: tuple[int, int],
    num: int = 1,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    watch: Callable[[int, Moment], object] = lambda *_: None,
) -> Iterator[Tensor]:
    """Draws images one after another.

    Arguments:
        model: A sampler on the CPU, for a temperature other than 1 an exact model; or a denoiser
            on any device, from which images are drawn by ascent.
        size: Height and width, each at least 1.
        num: How many, at least 1.
        seed: At least 0. Each image has a random stream of its own: image 3 of seed 0 is the same
            however many are drawn.
        temperature: As in `inference.walk.draw`.
        watch: Is told of every iteration of an ascent, with the number of the image from 0.

    Yields:
        Images, int64 (C, H, W); of denoisers in 8 bits.

    Raises:
        ValueError: If an argument is out of range, or the model cannot do it.
    """
    if min(size) < 1 or num < 1:
        raise ValueError(f"size and num must be at least 1, got {size[0]}x{size[1]} and {num}")
    for index in range(num):
        of = drawing(model, temperature, partial(watch, index))
        yield of(size, stream(seed, index))


def drawing(model: ImageModel, temperature: float = 1.0, watch: Watch = unwatched) -> Draw:
    """How an image is drawn from a model by what it can do: size, generator -> int64 (C, H, W).

    Raises:
        ValueError: If it can do neither of what `sample` takes.
    """
    if isinstance(model, Denoiser):
        check_temperature(temperature)
        return partial(_synthesize, model, watch)
    sampler = require(model, Sampler, "sample")
    device = next((weights.device.type for weights in model.parameters()), "cpu")
    if device != "cpu":
        raise ValueError(f"{type(model).__name__} draws on the CPU, not on {device}")
    if temperature == 1:
        return lambda size, generator: sampler.sample((1, *size), generator=generator)[0]
    exact = require(model, ExactModel, "sampling at a temperature")
    return partial(_draw, exact, temperature)


def check_temperature(temperature: float) -> None:
    """Raises ValueError unless it is 1, the only one at which a denoiser draws."""
    if temperature != 1:
        raise ValueError(
            f"a denoiser draws at temperature 1 only, got {temperature:g}; others are for exact "
            "models"
        )


def _synthesize(
    model: Denoiser, watch: Watch, size: tuple[int, int], generator: torch.Generator
) -> Tensor:
    return to_pixels(model, synthesize(model, size, generator=generator, watch=watch), DEPTH)


def _draw(
    model: ExactModel, temperature: float, size: tuple[int, int], generator: torch.Generator
) -> Tensor:
    canvas = torch.zeros(1, model.channels, *size, dtype=torch.int64)
    known = torch.zeros(1, *size, dtype=torch.bool)
    return draw(model, canvas, known, generator=generator, temperature=temperature)[0]


def sample_files(
    model: ImageModel,
    out: Path,
    size: tuple[int, int],
    num: int,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    overwrite: bool = False,
    watch: Callable[[int, Moment], object] = lambda *_: None,
) -> Iterator[Path]:
    """Draws images to files, and a sheet of them all; see `sample`.

    Yields:
        Each file when it is written, the sheet last.

    Raises:
        ValueError: Before anything is drawn, if the model cannot do it, or if an output exists and
            `overwrite` is false.
    """
    drawing(model, temperature)
    bits = DEPTH if isinstance(model, Denoiser) else model.bits
    if bits is None:
        raise ValueError(f"image files hold integers; {type(model).__name__} draws others")
    suffix = ".png" if model.channels <= 4 else ".tiff"
    *targets, sheet = [out / f"{name}{suffix}" for name in (*_numbers(num), "sheet")]
    there = [path for path in (*targets, sheet) if path.exists()]
    if there and not overwrite:
        raise ValueError(f"{there[0]} is there already: choose another --out, or --overwrite")
    images = sample(model, size, num, seed=seed, temperature=temperature, watch=watch)
    drawn = []
    for x, target in zip(images, targets, strict=True):
        out.mkdir(parents=True, exist_ok=True)
        drawn.append(x)
        write(target, _to_image(x, bits))
        yield target
    write(sheet, _to_image(contact_sheet(drawn), bits))
    yield sheet


def stream(seed: int, index: int) -> torch.Generator:
    """The `index`-th of the independent random streams of a seed.

    Raises:
        ValueError: If a number is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def _numbers(num: int) -> list[str]:
    digits = max(3, len(str(num - 1)))
    return [f"{index:0{digits}d}" for index in range(num)]


def _to_image(x: Tensor, bits: int) -> Image:
    return Image(x, bits, alpha=x.shape[0] in (2, 4))
