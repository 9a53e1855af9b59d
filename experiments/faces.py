"""Faces, for the published denoisers, which learnt from faces alone: parts of known photographs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from experiments.bsds300 import data_root
from imprior.data.datasets import bundled
from imprior.data.images import read, to_float
from imprior.data.loading import to_gray
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.models.local.published import read_flat, read_local


@dataclass(frozen=True)
class Face:
    """A square of a photograph that a face fills as it does in CelebA.

    Attributes:
        photograph: Below the data folder, or a name of `imprior.data.datasets.bundled`.
        left, top, side: Of the square, in pixels.
    """

    photograph: str
    left: int
    top: int
    side: int

    def image(self, side: int) -> Tensor:
        """The face in grey, floats (1, 1, side, side) in [0, 1], made smaller by area."""
        shipped = {each.path.name: each.path for each in bundled("train")}
        path = shipped.get(self.photograph, data_root() / self.photograph)
        image = read(path)
        pixels = image.pixels if len(image.pixels) == 1 else to_gray(image.pixels)
        square = to_float(pixels, image.bits)[
            None, :, self.top : self.top + self.side, self.left : self.left + self.side
        ]
        return functional.interpolate(square, (side, side), mode="area")


FACES = (
    Face("kodak/kodim04.png", 93, 205, 400),
    Face("kodak/kodim15.png", 368, 9, 400),
    Face("set12/08.png", 188, 178, 200),
    Face("astronaut.png", 142, 8, 170),
)
"""The first two are large enough for 320 x 320 pixels, all for 160 x 160."""


def faces(side: int) -> Tensor:
    """Those that are at least so large, floats (B, 1, side, side)."""
    return torch.cat([face.image(side) for face in FACES if face.side >= side])


def published(name: str) -> Path:
    """The file of a published network, such as `celebA_160x160_gray/flat_RF_13x13`."""
    return data_root() / "published-denoisers" / name / "model.pt"


@functools.cache
def published_local(side: int) -> LocalModel:
    """The published multi-scale model of faces of 160 or 320 pixels a side."""
    folder, scales = f"celebA_{side}x{side}_gray", {160: 2, 320: 3}[side]
    names = [f"{folder}/multi_scale_RF_13x13_scale_{number}" for number in range(scales)]
    return read_local(
        [published(n) for n in names], published(f"{folder}/multi_scale_RF_40x40_low")
    )


@functools.cache
def published_flat(field: int) -> FlatDenoiser:
    """The published flat denoiser of faces of 160 pixels a side, by its receptive field."""
    return read_flat(published(f"celebA_160x160_gray/flat_RF_{field}x{field}"))
