"""Denoisers whose images are Gaussian and known, flat and of two scales, for tests of drawing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imprior.denoisers import Denoiser, MultiscaleDenoiser
from imprior.transforms.wavelets import analyze, synthesize


@dataclass(frozen=True)
class NearConfig:
    channels: int = 1
    sigma: float = 0.25
    variance: float = 1e-3


class Near(Denoiser):
    """Images of independent values near known means; the best estimate for the noise `sigma`."""

    config_class = NearConfig

    def __init__(self, config: NearConfig, mean: Tensor | None = None) -> None:
        super().__init__(config)
        self.mean = torch.tensor(0.5) if mean is None else mean

    @property
    def receptive_field(self) -> int:
        return 1

    @property
    def largest_noise(self) -> float:
        return self.config.sigma

    @property
    def gain(self) -> float:
        return self.config.variance / (self.config.variance + self.config.sigma**2)

    def denoise(self, y: Tensor) -> Tensor:
        return self.mean + self.gain * (y - self.mean)


class Scales(MultiscaleDenoiser):
    """Haar details whose means follow from the low-pass image: a tenth of its slopes."""

    config_class = NearConfig

    def __init__(self, config: NearConfig) -> None:
        super().__init__(config)
        self.scale = nn.Parameter(torch.tensor(0.1, dtype=torch.float64), requires_grad=False)
        self.low = Near(config)

    @property
    def num_scales(self) -> int:
        return 2

    @property
    def receptive_field(self) -> int:
        return 1

    def denoise(self, y: Tensor) -> Tensor:
        return y

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, details = analyze(x)
        return low / 2, details / 2

    def join(self, coarse: Tensor, detail: Tensor) -> Tensor:
        return synthesize(2 * coarse, 2 * detail)

    def mean(self, low: Tensor) -> Tensor:
        slopes = [low - low.roll(1, -2), low - low.roll(1, -1), low - low.flip(-1)]
        return self.scale * torch.cat(slopes, 1)

    def given(self, coarse: Tensor, level: int = 0) -> Near:
        config = NearConfig(3 * self.channels, self.config.sigma, self.config.variance)
        return Near(config, self.mean(coarse))


def picture(
    channels: int = 1, height: int = 5, width: int = 6, bits: int = 8, seed: int = 0
) -> Tensor:
    """Integers of mid-range, so that what is drawn around them is not cut off."""
    generator = torch.Generator().manual_seed(seed)
    shape = (channels, height, width)
    return torch.randint(2**bits // 4, 3 * 2**bits // 4, shape, generator=generator)
