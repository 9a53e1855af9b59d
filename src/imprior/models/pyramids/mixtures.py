"""The end of a level's networks: parameters of mixtures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imprior.distributions.channels import initial
from imprior.models.pyramids.config import Fine, LevelConfig
from imprior.models.pyramids.neighbours import GAIN


class Mixtures(nn.Conv2d):
    """A convolution that ends in the parameters of mixtures, the same everywhere at first.

    Where pixels are told, means are near to their centres, and the channels of a pixel stray from
    them together: means are scaled down, so that learning them takes small steps, and slopes begin
    near one.

    Arguments:
        inputs: Channels of what comes in.
        channels: Of the images.
        config, fine: As in `PyramidLevel`.
    """

    units: Tensor

    def __init__(self, inputs: int, channels: int, config: LevelConfig, fine: Fine) -> None:
        count, near = config.num_components, fine == "pixel"
        start = initial(count, channels, *((0.1, 1.0) if near else (0.5, 0.0)))
        super().__init__(inputs, len(start), config.kernel, padding=config.kernel // 2)
        with torch.no_grad():
            self.weight.mul_(0.1)
            self.bias.copy_(start)  # type: ignore[union-attr]
        units = torch.ones_like(start)
        units[count : count * (1 + channels)] = 1 / GAIN if near else 1
        self.register_buffer("units", units, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, `num_parameters`, H, W)."""
        assert self.bias is not None
        weight = self.weight * self.units.view(-1, 1, 1, 1)
        return functional.conv2d(x, weight, self.bias * self.units, padding=self.padding)
