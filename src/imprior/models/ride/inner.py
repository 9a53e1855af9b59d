"""Models inside other models: built from their configs, walked on a part of the canvas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from imprior.base import Step
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.models.ride.model import RIDE, RIDEConfig

InnerConfig = MCGSMConfig | RIDEConfig


class Walkable(Protocol):
    """What can be walked: an exact model, or a conditional one."""

    def conditionals(self, canvas: Tensor) -> Iterator[Step]: ...


def inner(config: InnerConfig) -> MCGSM | RIDE:
    """The model of a config."""
    return MCGSM(config) if isinstance(config, MCGSMConfig) else RIDE(config)


def walk_inside(model: Walkable, canvas: Tensor, where: Tensor, part: Tensor) -> Iterator[Step]:
    """Walks over a part of a canvas.

    Arguments:
        model: What the part is modelled by.
        canvas: The whole canvas, contiguous, which the caller fills.
        where: Of every value of the part, its position in the flat canvas, int64, of any shape
            (B, C, H, W). Values that are given have none; what stands for them is not looked at.
        part: The part's own canvas, of the same shape: given values must be there.
    """
    if not part.numel():
        return
    where, part = where.reshape(-1), part.clone(memory_format=torch.contiguous_format)
    for step in model.conditionals(part):
        positions = where[step.where]
        yield Step(positions, step.pmfs)
        part.view(-1)[step.where] = canvas.view(-1)[positions]
