"""A denoiser of wavelet details, given the low-pass image that they belong to."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from imprior.denoisers import Denoiser
from imprior.models.local import noise
from imprior.models.local.config import NetworkConfig, NoiseConfig
from imprior.models.local.network import BiasFreeCNN
from imprior.transforms.wavelets import NUM_DETAILS


class ConditionalDenoiser(nn.Module):
    r"""The details of one scale without their noise, given the clean low-pass image.

    .. math:: \hat{\bar x}_j(\bar y_j, x_j) = \bar y_j - f_j(x_j, \bar y_j)

    Arguments:
        channels: Of the images.
        network: Predicts the noise.
        config: The noise to learn from.

    Source: Kadkhodaie et al. (2023), Sec. 3.
    """

    def __init__(self, channels: int, network: NetworkConfig, config: NoiseConfig) -> None:
        super().__init__()
        self.channels, self.config = channels, config
        inputs, outputs = (1 + NUM_DETAILS) * channels, NUM_DETAILS * channels
        self.network = BiasFreeCNN(inputs, outputs, network)

    def denoise(self, low: Tensor, details: Tensor) -> Tensor:
        """The estimate of the clean details.

        Arguments:
            low: The low-pass image, in the range of images; floats (B, C, H, W).
            details: Noisy ones in the same units, (B, 3 C, H, W), in the order of
                `imprior.transforms.wavelets.analyze`.

        Raises:
            ValueError: If shapes do not fit.
        """
        batch, channels, height, width = low.shape
        shape = (batch, NUM_DETAILS * channels, height, width)
        if channels != self.channels or details.shape != shape:
            raise ValueError(
                f"a denoiser of {NUM_DETAILS} x {self.channels} details takes low-pass images "
                f"(B, {self.channels}, H, W) and as many details each, got {tuple(low.shape)} "
                f"and {tuple(details.shape)}"
            )
        return details - self.network(torch.cat([low, details], 1)).to(details.dtype)

    def score(self, low: Tensor, details: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Gradient by the noisy details of their log-probability given the low-pass image.

        Arguments:
            low, details: As in `denoise`.
            sigma: Standard deviation of the details' noise; a number or what broadcasts.
        """
        return (self.denoise(low, details) - details) / sigma**2

    def loss(self, batch: Tensor) -> Tensor:
        """Mean squared error for new noise; clean coefficients (B, 4 C, H, W), low-pass first."""
        low, details = self._bands(batch)
        return noise.loss(self.network.learning, details, low, self.config)

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        """See `imprior.models.local.noise.metrics`."""
        low, details = self._bands(batch)
        return noise.metrics(self.network, details, low, self.config)

    def _bands(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        return batch[:, : self.channels], batch[:, self.channels :]

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.config}"


class DetailDenoiser(Denoiser):
    """A conditional denoiser whose low-pass images are given.

    Arguments:
        denoiser: Of details given low-pass images.
        low: Those images, in their range; floats (B, C, H, W).
    """

    def __init__(self, denoiser: ConditionalDenoiser, low: Tensor) -> None:
        super().__init__(denoiser.config)
        self.denoiser, self.given = denoiser, low

    @property
    def channels(self) -> int:
        """Number of channels of the details."""
        return NUM_DETAILS * self.denoiser.channels

    @property
    def receptive_field(self) -> int:
        """Side, in coefficients, of the square of input that one output depends on."""
        return self.denoiser.network.config.receptive_field

    def at(self, take: Callable[[Tensor], Tensor]) -> DetailDenoiser:
        return DetailDenoiser(self.denoiser, take(self.given))

    @property
    def largest_noise(self) -> float:
        """Standard deviation of the largest noise that it learns from."""
        return self.denoiser.config.sigma

    def denoise(self, y: Tensor) -> Tensor:
        """The estimate of the clean details; see `ConditionalDenoiser.denoise`."""
        return self.denoiser.denoise(self.given, y)
