"""Small pyramids and their images, for the tests beside this file."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from imprior.models.pyramids.config import LevelConfig, PixelPyramidConfig
from imprior.models.pyramids.model import PixelPyramid

LIGHT = LevelConfig(
    "residual", True, 3, 1, 3, num_lstms=1, hidden=3, direct=True, kernel=1, num_components=2
)
PUBLISHED = LevelConfig("published", False, 2, 2, 3, num_lstms=2, hidden=3, num_components=2)
SMALL = PixelPyramidConfig(
    channels=1, levels=(LIGHT, LIGHT), repeat=True, coarsest=2, coarse_filters=3, coarse_blocks=1,
    coarse_components=2,
)  # fmt: skip
FEW = replace(SMALL, levels=(PUBLISHED, replace(LIGHT, squeeze=4), LIGHT, LIGHT), repeat=False)


def make(config: PixelPyramidConfig = SMALL, **fields: Any) -> PixelPyramid:
    """A model in double precision whose parameters are not those of a new one."""
    torch.manual_seed(0)
    model = PixelPyramid(replace(config, **fields)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape).to(parameter), alpha=0.1)
    return model


def images(model: PixelPyramid, height: int, width: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    size = (batch, model.channels, height, width)
    return torch.randint(2**model.config.bits, size, generator=generator)


def every_image(model: PixelPyramid, height: int, width: int) -> Tensor:
    positions = model.channels * height * width
    values = itertools.product(range(2**model.config.bits), repeat=positions)
    return torch.tensor(list(values)).view(-1, model.channels, height, width)


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
