"""A small exact model with nothing to learn, for tests of everything that takes a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from imprior.base import ExactModel, Step
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision


@dataclass(frozen=True)
class ToyConfig:
    channels: int = 1
    bits: int = 8
    shares: tuple[float, ...] = (0.8, 0.2)


class Toy(ExactModel):
    """Each value is near its left neighbour, or anywhere: a mixture of two Gaussians."""

    config_class = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.scales = nn.Parameter(torch.tensor([0.02, 0.3], dtype=torch.float64))

    def _mixture(self, left: Tensor) -> BinnedMixture:
        """The distribution of values whose left neighbours are `left`, (n,)."""
        bits = self.config.bits
        means = torch.stack(
            [left.double(), torch.full_like(left, 2**bits, dtype=torch.float64) / 2]
        )
        return BinnedMixture(
            weights=torch.tensor(self.config.shares, dtype=torch.float64).expand(len(left), -1),
            means=means.T.contiguous(),
            inverse_scales=(1 / (self.scales.detach() * 2**bits)).expand(len(left), -1),
            low=torch.zeros_like(left),
            high=torch.full_like(left, 2**bits - 1),
            precision=precision(bits),
        )

    def log_prob_map(self, x: Tensor) -> Tensor:
        self.check(x)
        left = pad(x, (1, 0), value=2**self.config.bits // 2)[..., :-1]
        return self._mixture(left.reshape(-1)).log_mass(x.reshape(-1)).view(x.shape)

    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        where = torch.arange(canvas.numel()).view(canvas.shape)
        for column in range(canvas.shape[-1]):
            positions = where[..., column].reshape(-1)
            first = torch.full_like(positions, 2**self.config.bits // 2)
            left = canvas.view(-1)[positions - 1] if column else first
            yield Step(positions, self._mixture(left))
