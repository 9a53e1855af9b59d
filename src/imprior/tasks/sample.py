"""Images drawn from a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imprior.base import ExactModel, Sampler, require
from imprior.data.images import Image, write
from imprior.data.sheet import contact_sheet
from imprior.inference.walk import draw


def sample(
    model: Sampler,
    size: tuple[int, int],
    num: int = 1,
    *,
    seed: int = 0,
    temperature: float = 1.0,
) -> Iterator[Tensor]:
    """Draws images one after another.

    Arguments:
        model: On the CPU; for a temperature other than 1, an exact model.
        size: Height and width, each at least 1.
        num: How many, at least 1.
        seed: At least 0. Each image has a random stream of its own: image 3 of seed 0 is the same
            however many are drawn.
        temperature: As in `inference.walk.draw`.

    Yields:
        Images, int64 (C, H, W).

    Raises:
        ValueError: If an argument is out of range, or the model cannot do it.
    """
    if min(size) < 1 or num < 1:
        raise ValueError(f"size and num must be at least 1, got {size[0]}x{size[1]} and {num}")
    for index in range(num):
        generator = stream(seed, index)
        if temperature == 1:
            yield model.sample((1, *size), generator=generator)[0]
        else:
            exact = require(model, ExactModel, "sampling at a temperature")
            canvas = torch.zeros(1, model.channels, *size, dtype=torch.int64)
            known = torch.zeros(1, *size, dtype=torch.bool)
            drawn = draw(exact, canvas, known, generator=generator, temperature=temperature)
            yield drawn[0]


def sample_files(
    model: Sampler,
    out: Path,
    size: tuple[int, int],
    num: int,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Draws images to files, and a sheet of them all; see `sample`.

    Yields:
        Each file when it is written, the sheet last.

    Raises:
        ValueError: Before anything is drawn, if an output exists and `overwrite` is false.
    """
    if model.bits is None:
        raise ValueError(f"image files hold integers; {type(model).__name__} draws others")
    suffix = ".png" if model.channels <= 4 else ".tiff"
    *targets, sheet = [out / f"{name}{suffix}" for name in (*_numbers(num), "sheet")]
    there = [path for path in (*targets, sheet) if path.exists()]
    if there and not overwrite:
        raise ValueError(f"{there[0]} is there already: choose another --out, or --overwrite")
    drawn = []
    for x, target in zip(
        sample(model, size, num, seed=seed, temperature=temperature), targets, strict=True
    ):
        out.mkdir(parents=True, exist_ok=True)
        drawn.append(x)
        write(target, _to_image(x, model.bits))
        yield target
    write(sheet, _to_image(contact_sheet(drawn), model.bits))
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
