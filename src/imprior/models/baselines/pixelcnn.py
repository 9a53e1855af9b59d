"""PixelCNN++: convolutions predict each pixel from those before it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from imprior.base import ExactModel, Step
from imprior.distributions import channels as chained
from imprior.distributions.channels import ChannelMixture, rows_of
from imprior.nn.cached import CachedWalk
from imprior.nn.pixelcnn import PixelCNNNetwork

PIXELS_AT_ONCE = 1 << 15
"""Pixels that are evaluated at once, unless one image has more."""


@dataclass(frozen=True)
class PixelCNNConfig:
    """What a PixelCNN++ is made of; by default the published one for CIFAR-10.

    Attributes:
        channels: Channels of the images.
        bits: Bit depth of the images, 1 to 16.
        num_filters: Channels of each of its two streams, at every resolution.
        num_blocks: Residual blocks at each of three resolutions, down and up.
        num_components: Logistic distributions of each pixel's mixture.
        dropout: Fraction of activations that are dropped in training.
    """

    channels: int = 3
    bits: int = 8
    num_filters: int = 160
    num_blocks: int = 5
    num_components: int = 10
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits must be 1 to 16, got {self.bits}")
        for name in ("channels", "num_filters", "num_blocks", "num_components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


@final
class PixelCNN(ExactModel):
    r"""PixelCNN++: the pixels before one give the mixture of discretized logistics of it.

    .. math:: p(x) = \prod_{ij} p(x_{ij} \mid x_{<ij})

    in the order of rows, the channels of a pixel chained as in `ChannelMixture`. Images may have
    any height and width. Probabilities never see dropout, whatever the mode; `loss` does while the
    model is in training mode.

    Source: Salimans, Karpathy, Chen & Kingma (2017). Ours takes any number of channels and bits
    and any size; see `PixelCNNNetwork`.
    """

    config_class = PixelCNNConfig
    config: PixelCNNConfig

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__(config)
        sizes = (config.num_components, config.channels)
        self.network = PixelCNNNetwork(
            config.channels,
            chained.num_parameters(*sizes),
            config.num_filters,
            config.num_blocks,
            config.dropout,
        )
        with torch.no_grad():
            self.network.head.bias.copy_(chained.initial(*sizes))

    def scaled(self, x: Tensor) -> Tensor:
        """Integers in [0, 2^bits) as what the network sees: floats in [-1, 1]."""
        return x.to(self.network.head.bias.dtype) * (2 / (2**self.config.bits - 1)) - 1

    def mixtures(self, parameters: Tensor) -> ChannelMixture:
        """The distributions of pixels that the network's outputs stand for, (n, M)."""
        middle = (2**self.config.bits - 1) / 2
        # Half precision is for the network alone.
        parameters = parameters.to(self.network.head.bias.dtype)
        centre = parameters.new_full((len(parameters), self.channels), middle)
        return ChannelMixture(parameters, centre, self.config.bits)

    def log_prob_map(self, x: Tensor) -> Tensor:
        """Log-mass of every value given those before it, nats, float64 (B, C, H, W)."""
        self.check(x)
        at_once = max(1, PIXELS_AT_ONCE // max(1, x.shape[2] * x.shape[3]))
        return torch.cat([self._log_prob_map(part) for part in x.split(at_once)])

    def _log_prob_map(self, x: Tensor) -> Tensor:
        mixtures = self.mixtures(rows_of(self.network.evaluate(self.scaled(x))))
        log_mass = mixtures.floored_log_mass(rows_of(x))
        batch, channels, height, width = x.shape
        return log_mass.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def loss(self, batch: Tensor) -> Tensor:
        """Mean negative log-mass of a batch of integers (B, C, H, W), nats per value."""
        mixtures = self.mixtures(rows_of(self.network(self.scaled(batch))))
        return -mixtures.total_log_mass(rows_of(batch)).sum() / batch.numel()

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        """Mean bits per dimension of a batch of integers (B, C, H, W)."""
        return {"bits_per_dim": -self.log_prob_map(batch).mean() / math.log(2)}

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks by pixels and channels, all images at once; see `ExactModel.conditionals`."""
        self.check_shape(canvas)
        batch, channels, height, width = canvas.shape
        walk = CachedWalk(self.network, batch, height, width)
        where = torch.arange(canvas.numel(), device=canvas.device)
        where = where.view(batch, channels, -1).permute(2, 1, 0).contiguous()
        for pixel, values in zip(where, canvas.flatten(2).unbind(2), strict=True):
            mixtures = self.mixtures(walk.advance()).walk()
            for channel in range(channels):
                yield Step(pixel[channel], mixtures.binned())
                if channel < channels - 1:
                    mixtures.observe(values[:, channel])
            walk.observe(self.scaled(values))
