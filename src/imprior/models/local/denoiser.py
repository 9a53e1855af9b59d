"""A denoiser of images at one scale."""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn import functional

from imprior.base import Part
from imprior.data.images import to_float
from imprior.denoisers import Denoiser
from imprior.models.local import noise, winograd
from imprior.models.local.config import FlatDenoiserConfig
from imprior.models.local.network import BiasFreeCNN


class FlatDenoiser(Denoiser):
    r"""A blind denoiser of any receptive field: the noise that a bias-free network finds, removed.

    .. math:: \hat x(y) = y - f(y)

    A small field makes it the score of a Markov model of pixels.

    Example:
        >>> import torch
        >>> model = FlatDenoiser(FlatDenoiserConfig(channels=3))
        >>> model.denoise(torch.rand(1, 3, 8, 9)).shape, model.receptive_field
        (torch.Size([1, 3, 8, 9]), 43)

    Source: Mohan et al. (2020); Kadkhodaie et al. (2023), Sec. 2.
    """

    config_class = FlatDenoiserConfig
    config: FlatDenoiserConfig

    def __init__(self, config: FlatDenoiserConfig) -> None:
        super().__init__(config)
        channels = config.channels * config.blocks**2
        self.network = BiasFreeCNN(channels, channels, config.network)

    @property
    def receptive_field(self) -> int:
        """Side, in pixels, of the square of input that one output pixel depends on, if not more.

        With blocks, which pixels of it do, depends on where in its block the pixel is.
        """
        blocks, reach = self.config.blocks, (self.config.network.receptive_field - 1) // 2
        return 2 * (blocks * reach + blocks - 1) + 1

    @property
    def largest_noise(self) -> float:
        """Standard deviation of the largest noise that it learns from."""
        return self.config.noise.sigma

    @property
    def alignment(self) -> int:
        """Where a tile may begin: sums are rounded alike if Winograd's squares are the same."""
        return self.config.blocks * winograd.SIDE

    def denoise(self, y: Tensor) -> Tensor:
        """The estimate of the clean images; floats (B, C, H, W), any height and width.

        Raises:
            ValueError: If `y` is something else, or not finite.
        """
        self.check(y)
        return y - self._noise(y).to(y.dtype)

    def loss(self, batch: Tensor) -> Tensor:
        """Mean squared error for new noise; clean images, floats (B, C, H, W) in [0, 1]."""
        predict = partial(self._noise, learning=True)
        return noise.loss(predict, batch, None, self.config.noise)

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        """See `imprior.models.local.noise.metrics`."""
        return noise.metrics(self._noise, batch, None, self.config.noise)

    def _noise(self, y: Tensor, *, learning: bool = False) -> Tensor:
        network = self.network.learning if learning else self.network
        blocks, height, width = self.config.blocks, *y.shape[2:]
        if blocks == 1:
            return network(y)
        y = functional.pad(y, (0, -width % blocks, 0, -height % blocks), mode="replicate")
        found = functional.pixel_shuffle(network(functional.pixel_unshuffle(y, blocks)), blocks)
        return found[..., :height, :width]

    def parts(self) -> list[Part]:
        """The model itself, which sees images as floats."""
        return [Part("", self, partial(to_float, bits=self.config.bits))]
