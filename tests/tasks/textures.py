"""A texture to learn in a second, and presets that do."""

from __future__ import annotations

from dataclasses import replace

import torch

from imprior.data.images import Image
from imprior.models.ride.model import RIDEConfig
from imprior.presets import PRESETS, ImageData, Preset
from imprior.train.config import FitConfig
from imprior.train.recurrent import RecurrentStage, RecurrentTraining
from imprior.train.samples import Drawing
from imprior.train.shallow import ShallowTraining
from imprior.train.stages import Stage

_MCGSM = PRESETS["mcgsm-gray-tiny"]
_SHALLOW = ShallowTraining(
    Drawing(2000), (Stage("adam", "mass", 30, 256, check_every=10),), validation_pixels=500
)
_RECURRENT = RecurrentTraining(
    (RecurrentStage(1, 12, "mass", FitConfig(4, 2, 0.01, validate_every=2)),),
    borders=True,
    validation_size=16,
    validation_patches=3,
    sampled_patches=8,
)


def shallow(channels: int = 1) -> Preset:
    config = replace(_MCGSM.config, channels=channels, num_components=2, num_first=2)
    return Preset(config, _SHALLOW, ImageData(), {}, "For tests.")


def recurrent() -> Preset:
    config = RIDEConfig(
        num_units=3, num_components=2, num_features=2, rows=1, columns=1, num_first=2
    )
    return Preset(config, _RECURRENT, ImageData(), {}, "For tests.")


def stripes(channels: int = 1, bits: int = 8, height: int = 64, width: int = 66) -> Image:
    """Noisy diagonal stripes."""
    noise = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(0))
    phase = torch.arange(height)[:, None] + 2 * torch.arange(width)
    wave = 0.5 + 0.4 * torch.sin(2 * torch.pi * phase / 9) + 0.1 * (noise - 0.5)
    return Image((wave * (2**bits - 1)).long(), bits, alpha=channels in (2, 4), path="stripes.png")
