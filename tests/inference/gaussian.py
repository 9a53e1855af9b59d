"""A Gaussian prior of images whose best denoiser, mean, covariance and posterior are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

MEAN = 0.5


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Gaussian:
    """Images are MEAN plus a few random patterns: most directions hold nothing but noise.

    As of photographs, and what lets a denoiser tell the noise level from a single image.
    """

    shape: tuple[int, int, int]
    variances: Tensor
    patterns: Tensor = field(init=False)

    def __post_init__(self) -> None:
        channels, height, width = self.shape
        white = torch.randn(
            channels * height * width, len(self.variances), generator=seeded(), dtype=torch.float64
        )
        object.__setattr__(self, "patterns", torch.linalg.qr(white).Q)

    @property
    def covariance(self) -> Tensor:
        return (self.patterns * self.variances) @ self.patterns.T

    def coordinates(self, x: Tensor) -> Tensor:
        return (x.flatten(1).double() - MEAN) @ self.patterns

    def noise(self, y: Tensor) -> Tensor:
        """The variance of the noise, estimated where there are no images, (B, 1)."""
        centred, signal = y.flatten(1).double() - MEAN, self.coordinates(y)
        energy = centred.square().sum(1) - signal.square().sum(1)
        return energy[:, None] / (centred.shape[1] - len(self.variances))

    def denoise(self, y: Tensor) -> Tensor:
        """The mean of images given noisy ones (Wiener), blind to the noise level."""
        gain = self.variances / (self.variances + self.noise(y))
        x = MEAN + (self.coordinates(y) * gain) @ self.patterns.T
        return x.view_as(y).to(y.dtype)

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        white = torch.randn(count, len(self.variances), generator=generator, dtype=torch.float64)
        x = MEAN + (white * self.variances.sqrt()) @ self.patterns.T
        return x.view(count, *self.shape)
