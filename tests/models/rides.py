"""Small RIDEs with random parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from imprior.models.ride.model import RIDE, RIDEConfig

CONFIG = RIDEConfig(
    bits=4,
    num_units=5,
    num_components=3,
    num_scales=2,
    num_features=4,
    rows=2,
    columns=2,
    num_first=2,
)


def make(**fields: Any) -> RIDE:
    """A RIDE in double precision, none of whose parameters is without effect."""
    generator = torch.Generator().manual_seed(1)

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    model = RIDE(replace(CONFIG, **fields)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.4 * normal(parameter))
        for whitening in [*model.whitening, *model.first_whitening]:
            whitening.mean_x.copy_(0.5 + 0.1 * normal(whitening.mean_x))
            whitening.whitener.copy_(normal(whitening.whitener))
            whitening.predictor.copy_(0.1 * normal(whitening.predictor))
            whitening.mean_y.fill_(0.5)
            whitening.scale.fill_(3.0)
    return model
