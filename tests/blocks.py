"""A small multi-scale model whose details have a known distribution, for tests of up-scaling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imprior.base import ExactModel, Multiscale, Step
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision


@dataclass(frozen=True)
class BlocksConfig:
    channels: int = 1
    bits: int = 8
    levels: int = 3


class Blocks(Multiscale):
    """Of each block of 2 x 2 pixels the last is coarse; the others are near it, each by itself."""

    config_class = BlocksConfig

    def __init__(self, config: BlocksConfig) -> None:
        super().__init__(config)
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        others = [x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2]]
        return x[..., 1::2, 1::2], torch.cat(others, 1)

    def join(self, coarse: Tensor, detail: Tensor) -> Tensor:
        a, b, c = detail.chunk(3, 1)
        rows = [torch.stack(pair, -1).flatten(-2) for pair in ((a, b), (c, coarse))]
        return torch.stack(rows, -2).flatten(-3, -2)

    def given(self, coarse: Tensor, level: int = 0) -> Details:
        if not 0 <= level < self.config.levels:
            raise ValueError(f"Blocks has levels 0 to {self.config.levels - 1}, not {level}")
        return Details(DetailsConfig(3 * self.channels, self.config.bits), coarse, self.scale)


@dataclass(frozen=True)
class DetailsConfig:
    channels: int
    bits: int


class Details(ExactModel):
    """The other three pixels of each block: Gaussians about the one that is known."""

    def __init__(self, config: DetailsConfig, coarse: Tensor, scale: Tensor) -> None:
        super().__init__(config)
        self.coarse, self.scale = coarse, scale

    def _mixture(self) -> BinnedMixture:
        centres = torch.cat([self.coarse] * 3, 1).reshape(-1)
        means = centres.double()[:, None]
        bits = self.config.bits
        return BinnedMixture(
            weights=torch.ones_like(means),
            means=means,
            inverse_scales=torch.ones_like(means) / self.scale.detach(),
            low=torch.zeros_like(centres),
            high=torch.full_like(centres, 2**bits - 1),
            precision=precision(bits),
        )

    def log_prob_map(self, x: Tensor) -> Tensor:
        return self._mixture().log_mass(x.reshape(-1)).view(x.shape)

    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        yield Step(torch.arange(canvas.numel()), self._mixture())
