"""The abilities of models that know images by the noise that is not part of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from imprior.base import ImageModel, Multiscale


class Denoiser(ImageModel):
    """A model that removes Gaussian noise of unknown level; floats, clean ones in [0, 1]."""

    bits = None  # continuous values, whatever the depth of the images that it learnt from

    @abstractmethod
    def denoise(self, y: Tensor) -> Tensor:
        """The estimate of the clean image, same shape as `y`."""

    def score(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        r"""Gradient of log p, :math:`(\hat x(y) - y) / \sigma^2` (Miyasawa, 1961)."""
        # One level for all images, or one each.
        level = torch.as_tensor(sigma, dtype=y.dtype, device=y.device).reshape(-1, 1, 1, 1)
        if not bool((level > 0).all()):
            raise ValueError(f"a score needs noise of a positive sigma, got {sigma}")
        return (self.denoise(y) - y) / level**2

    @property
    @abstractmethod
    def receptive_field(self) -> int:
        """Side, in pixels, of the square of input that one output pixel depends on."""

    @property
    def halo(self) -> int:
        """Pixels around a tile that make its result the same as the whole image's."""
        return (self.receptive_field - 1) // 2

    @property
    def alignment(self) -> int:
        """Rows and columns at which a tile, with its halo, may begin: multiples of this."""
        return 1

    def at(self, take: Callable[[Tensor], Tensor]) -> Denoiser:
        """The denoiser of parts of its images, such as tiles.

        Arguments:
            take: Cuts the parts out of images, or out of what goes with them pixel by pixel.
        """
        return self

    def check(self, x: Tensor) -> None:
        """Raises ValueError, saying what is wrong, unless `x` is a batch this model can take."""
        self.check_shape(x)
        if not x.is_floating_point() or not bool(x.isfinite().all()):
            wrong = "NaN or infinity" if x.is_floating_point() else str(x.dtype)
            raise ValueError(f"{type(self).__name__} takes floats in [0, 1], got {wrong}")

    @property
    def largest_noise(self) -> float:
        """Standard deviation of the largest noise that it knows, in the units of its images."""
        return 1.0

    @property
    def periodic(self) -> bool:
        """Whether what lies at a border depends on the opposite one."""
        return False


class MultiscaleDenoiser(Denoiser, Multiscale):
    """Denoisers of each scale's details given the coarser image, and one of the coarsest images.

    Images are floats on all scales.
    """

    low: Denoiser
    """Of the coarsest images."""

    @property
    @abstractmethod
    def num_scales(self) -> int:
        """How often images are split until `low` is for them."""

    @abstractmethod
    def given(self, coarse: Tensor, level: int = 0) -> Denoiser:
        """The denoiser of the detail of a level, given its coarse images."""
