"""What commands are given in tests, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from imprior import checkpoint
from imprior.data.images import Image, write
from imprior.provenance import PROVENANCE
from tests.toys import Toy, ToyConfig

Run = Callable[..., tuple[int, str, str]]

SMALL = (
    "--preset=mcgsm-gray-tiny",
    "--config.num_components=2",
    "--training.drawing.pixels=3000",
    "--training.validation_pixels=500",
    '--training.stages=[{"method": "adam", "target": "mass", "steps": 40, "batch": 256, '
    '"check_every": 10}]',
)


def save_toy(folder: Path, channels: int = 1, bits: int = 8) -> Path:
    toy = Toy(ToyConfig(channels=channels, bits=bits))
    return checkpoint.save(toy, folder, dict.fromkeys(PROVENANCE))


def noise(*shape: int, bits: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(seed))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def colourful(path: Path) -> None:
    write(path, Image(noise(3, 4, 5), bits=8))


def interrupted_after(steps: int) -> Callable[..., Any]:
    """A progress bar on which Ctrl-C is pressed."""
    left = iter(range(steps))

    def press(text: str) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    bar = SimpleNamespace(set_description_str=press, disable=False)
    return lambda *_, **__: nullcontext(bar)
