"""A model of images as the product of local conditional models across scales."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from imprior.base import Part
from imprior.data.images import to_float
from imprior.denoisers import MultiscaleDenoiser
from imprior.models.local.conditional import ConditionalDenoiser, DetailDenoiser
from imprior.models.local.config import FlatDenoiserConfig, LocalModelConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.transforms.wavelets import analyze, filter_length, synthesize

GAIN = 2.0  # of brightness, by a level of the orthonormal transform: low-pass images stay in [0, 1]


class LocalModel(MultiscaleDenoiser):
    r"""Denoisers of wavelet details given their low-pass image, and one of the coarsest of those.

    .. math:: p(x_0) = p(x_J) \prod_{j=1}^J p(\bar x_j \mid x_j)

    :math:`(x_j, \bar x_j)` are the wavelet coefficients of :math:`x_{j-1}`; those of each scale
    are divided by 2, so that low-pass images stay in [0, 1]. White noise of an image is then white
    noise of its coefficients, of half the level at each next scale. Whatever is far apart in the
    image is near at a coarse scale, so fields of 9×9 coefficients suffice.

    Source: Kadkhodaie, Guth, Mallat & Simoncelli (2023).
    """

    config_class = LocalModelConfig
    config: LocalModelConfig
    low: FlatDenoiser

    def __init__(self, config: LocalModelConfig) -> None:
        super().__init__(config)
        self.reach = filter_length(config.wavelet) - 1
        self.scales = nn.ModuleList(
            ConditionalDenoiser(config.channels, network, config.noise) for network in config.scales
        )
        self.low = FlatDenoiser(
            FlatDenoiserConfig(
                config.channels, config.low, config.low_noise, config.bits, config.low_blocks
            )
        )

    # -- scales

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The low-pass image of images, in their range, and the details; see `analyze`."""
        low, details = analyze(x, self.config.wavelet)
        return low / GAIN, details / GAIN

    def join(self, low: Tensor, details: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """The inverse of `split`; `size` tells odd heights and widths, see `synthesize`."""
        return synthesize(low * GAIN, details * GAIN, self.config.wavelet, size)

    def scale(self, number: int) -> ConditionalDenoiser:
        """The denoiser of the details of a scale, 0 for the finest.

        Raises:
            ValueError: If there is no such scale.
        """
        if not 0 <= number < len(self.scales):
            raise ValueError(f"the scales are 0 to {len(self.scales) - 1}, got {number}")
        scale = self.scales[number]
        assert isinstance(scale, ConditionalDenoiser)
        return scale

    @property
    def num_scales(self) -> int:
        """How often images are split until `low` is for them."""
        return len(self.scales)

    def given(self, coarse: Tensor, level: int = 0) -> DetailDenoiser:
        """The denoiser of the details of a scale that belong to given low-pass images."""
        return DetailDenoiser(self.scale(level), coarse)

    # -- denoising

    def denoise(self, y: Tensor) -> Tensor:
        """The estimate of the clean images, coarse to fine.

        First the coarsest low-pass image; then, scale by scale, the details given the image so far.

        Arguments:
            y: Floats (B, C, H, W), any height and width.

        Raises:
            ValueError: If `y` is something else, or not finite.
        """
        self.check(y)
        return self._denoise(y, 0)

    def _denoise(self, y: Tensor, number: int) -> Tensor:
        if number == len(self.scales):
            return self.low.denoise(y)
        low, details = self.split(y)
        low = self._denoise(low, number + 1)
        details = self.scale(number).denoise(low, details)
        return self.join(low, details, (y.shape[2], y.shape[3]))

    @property
    def receptive_field(self) -> int:
        """Side, in pixels, of the square of input that one output pixel depends on, if not more.

        Which pixels of it do, depends on where the pixel is among those of a coarse one. Periodic
        borders of wavelets longer than Haar's count as neighbours.
        """
        reach = self.low.halo
        for network in reversed(self.config.scales):
            coarse = reach + (network.receptive_field - 1) // 2
            reach = 2 * coarse + self.reach
        return 2 * reach + 1

    @property
    def periodic(self) -> bool:
        """Whether what lies at a border depends on the opposite one: not with Haar's wavelet."""
        return self.reach > 1

    @property
    def alignment(self) -> int:
        """Where a tile may begin: where a coarsest pixel does, and a square of its network."""
        return int(2 ** len(self.scales)) * self.low.alignment

    # -- training

    def parts(self) -> list[Part]:
        """The scales, each of which learns from the coefficients of clean images."""
        details = [partial(self.coefficients, number=number) for number in range(self.num_scales)]
        images = [partial(self._low_pass, count=count) for count in range(self.num_scales + 1)]
        parts = [
            Part(f"scale-{number}", self.scale(number), view, tuple(details[:number][::-1]))
            for number, view in enumerate(details)
        ]
        return [*parts, Part("low", self.low, images[-1], tuple(images[:-1][::-1]))]

    def coefficients(self, x: Tensor, number: int) -> Tensor:
        """Low-pass image and details of a scale, (B, 4 C, h, w), of integer images."""
        low, details = self.split(self._low_pass(x, number))
        return torch.cat([low, details], 1)

    def _low_pass(self, x: Tensor, count: int) -> Tensor:
        """The low-pass image of so many scales, (B, C, h, w), of integer images."""
        image = to_float(x, self.config.bits)
        for _ in range(count):
            image, _ = self.split(image)
        return image
