"""Smooth pictures in the place of ImageNet's, for tests of experiments on them."""

from __future__ import annotations

from pathlib import Path

import torch

from imprior.data.images import Image, write


def write_photographs(root: Path, side: int = 32) -> None:
    """Writes a few to imagenet128/train and imagenet128/test."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 5), ("test", 2)):
        folder = root / "imagenet128" / split
        folder.mkdir(parents=True)
        coarse = torch.rand(count, 3, 5, 5, generator=generator)
        pictures = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
        noisy = 255 * pictures.clamp(0, 1) + torch.randn(pictures.shape, generator=generator)
        for number, x in enumerate(noisy.round().clamp(0, 255).long()):
            write(folder / f"{number}.png", Image(x, 8))
