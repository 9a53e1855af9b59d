"""Images with known answers: Gaussian fields with exact entropies, and toys small enough to count.

Dead leaves, whose correlations are known, are in `imprior.data.dead_leaves`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

MAX_VALUES = 1 << 24  # in all images of a toy space: 128 MiB


@dataclass(frozen=True, eq=False)
class PeriodicField:
    r"""A stationary Gaussian field on a torus, with a given power spectrum.

    .. math:: \hat x_k \sim \mathcal N(0, S_k), \quad
        \log p(x) = -\frac12 \sum_k \left(\log 2 \pi S_k + |\hat x_k|^2 / S_k\right),

    where :math:`\hat x` is the unitary discrete Fourier transform of x.

    Attributes:
        spectrum: :math:`S`, variances of the frequencies in the order of `torch.fft.fft2`, float64
            (H, W), positive, :math:`S_k = S_{-k}`. Its mean is the variance of a pixel.

    Raises:
        ValueError: If the spectrum is not as above.
    """

    spectrum: Tensor

    def __post_init__(self) -> None:
        spectrum = self.spectrum
        if spectrum.dim() != 2 or spectrum.dtype != torch.float64 or not bool((spectrum > 0).all()):
            raise ValueError(
                "a spectrum has shape (H, W), float64, and is positive, "
                f"got {tuple(spectrum.shape)}, {spectrum.dtype}"
            )
        mirrored = spectrum.roll((-1, -1), (0, 1)).flip(0, 1)
        if not torch.allclose(spectrum, mirrored, rtol=1e-12, atol=0):
            raise ValueError(
                "the spectrum of a real field is the same at k and -k, this one is not"
            )

    @classmethod
    def power_law(
        cls, height: int, width: int, *, exponent: float = 2.0, variance: float = 1.0
    ) -> PeriodicField:
        r"""The field with :math:`S_k \propto |f_k|^{-\text{exponent}}`, as photographs nearly have.

        The frequencies :math:`f_k` are in cycles per pixel; the lowest, 0, has the power of a
        single cycle per image.

        Arguments:
            variance: Of a pixel.
        """
        rows = torch.fft.fftfreq(height, dtype=torch.float64).abs()
        columns = torch.fft.fftfreq(width, dtype=torch.float64).abs()
        frequency = torch.hypot(rows[:, None], columns).clamp(min=1 / max(height, width))
        power = frequency**-exponent
        return cls(variance * power / power.mean())

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draws images, float64 (B, 1, H, W)."""
        shape = (count, 1, *self.spectrum.shape)
        white = torch.randn(shape, generator=generator, dtype=torch.float64)
        return torch.fft.ifft2(self.spectrum.sqrt() * torch.fft.fft2(white)).real

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of images (B, 1, H, W), in nats, (B,)."""
        power = torch.fft.fft2(x, norm="ortho").abs() ** 2
        return -0.5 * ((2 * math.pi * self.spectrum).log() + power / self.spectrum).sum((1, 2, 3))

    @property
    def entropy(self) -> float:
        r"""Differential entropy in nats per pixel, the mean of :math:`\frac12 \log 2\pi e S_k`."""
        return float(0.5 * (2 * math.pi * math.e * self.spectrum).log().mean())


@dataclass(frozen=True)
class AutoregressiveField:
    r"""A stationary Gaussian field in which each pixel depends on three earlier neighbours.

    .. math:: x_{ij} = a x_{i,j-1} + b x_{i-1,j} - a b x_{i-1,j-1} + \epsilon_{ij}, \quad
        \operatorname{Cov}(x_{ij}, x_{kl}) = \sigma^2 a^{|j-l|} b^{|i-k|}

    Given all pixels above it and to its left, a pixel has the variance
    :math:`\sigma^2 (1 - a^2)(1 - b^2)`; in the first row the last factor is missing, in the first
    column the one before it. A model of conditionals that sees the three neighbours can be perfect.

    Attributes:
        across, down: :math:`a` and :math:`b`, correlations of adjacent pixels, between -1 and 1.
        variance: :math:`\sigma^2` of a pixel.

    Raises:
        ValueError: If there is no such field.
    """

    across: float = 0.95
    down: float = 0.95
    variance: float = 1.0

    def __post_init__(self) -> None:
        if not (abs(self.across) < 1 and abs(self.down) < 1 and self.variance > 0):
            raise ValueError(
                "correlations lie between -1 and 1 and the variance is positive, "
                f"got {self.across}, {self.down} and {self.variance}"
            )

    def conditional_variance(self, height: int, width: int) -> Tensor:
        """Variance of each pixel given those above it and to its left, float64 (H, W)."""
        rows = torch.full((height, 1), 1 - self.down**2, dtype=torch.float64)
        columns = torch.full((width,), 1 - self.across**2, dtype=torch.float64)
        rows[0], columns[0] = 1, 1
        return self.variance * rows * columns

    def sample(self, shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
        """Draws images; `shape` is (B, H, W), the result float64 (B, 1, H, W)."""
        batch, height, width = shape
        white = torch.randn((batch, 1, height, width), generator=generator, dtype=torch.float64)
        x = white * self.conditional_variance(height, width).sqrt()
        for column in range(1, width):
            x[..., column] += self.across * x[..., column - 1]
        for row in range(1, height):
            x[..., row, :] += self.down * x[..., row - 1, :]
        return x

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of images (B, 1, H, W), in nats, (B,)."""
        innovation = x - self.across * pad(x, (1, 0))[..., :-1]
        innovation = innovation - self.down * pad(innovation, (0, 0, 1, 0))[..., :-1, :]
        variance = self.conditional_variance(*x.shape[2:])
        terms = (2 * math.pi * variance).log() + innovation**2 / variance
        return -0.5 * terms.sum((1, 2, 3))

    def entropy(self, height: int, width: int) -> float:
        """Differential entropy of images of this size, in nats per pixel."""
        variance = self.conditional_variance(height, width)
        return float(0.5 * (2 * math.pi * math.e * variance).log().mean())


def all_images(bits: int, channels: int, height: int, width: int) -> Tensor:
    """All images there are, int64 (N, C, H, W), in the order of their `index_of`.

    Raises:
        ValueError: If they are too many to count.

    Example:
        >>> all_images(bits=1, channels=1, height=1, width=2).flatten(1).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    dims = channels * height * width
    if dims < 1 or bits < 1 or dims << min(bits * dims, 64) > MAX_VALUES:
        raise ValueError(
            f"2^({bits} x {channels} x {height} x {width}) images are none or too many to count"
        )
    shifts = bits * torch.arange(dims).flip(0)
    values = (torch.arange(1 << bits * dims)[:, None] >> shifts) & ((1 << bits) - 1)
    return values.view(-1, channels, height, width)


def index_of(x: Tensor, bits: int) -> Tensor:
    """Where images (B, C, H, W) stand among `all_images`, int64 (B,)."""
    values = x.flatten(1)
    return (values << bits * torch.arange(values.shape[1]).flip(0)).sum(1)


@dataclass(frozen=True, eq=False)
class Toy:
    r"""A distribution over all images of a tiny size, as a table.

    Attributes:
        log_probs: Log-probability of each of `all_images`, nats, float64 (N,).
        bits: Depth of the images.
        shape: (C, H, W).
    """

    log_probs: Tensor
    bits: int
    shape: tuple[int, int, int]

    @classmethod
    def markov(
        cls,
        bits: int,
        channels: int,
        height: int,
        width: int,
        *,
        coupling: float = 1.0,
        generator: torch.Generator,
    ) -> Toy:
        r"""A Markov random field with random potentials.

        .. math:: \log p(x) = \sum_i U_{x_i} + \sum_{i \sim j} V^{(ij)}_{x_i x_j} - \log Z

        The sum is over adjacent pixels of a channel (one V across, one down) and adjacent channels
        of a pixel (a third V). U and V are normal, V with the standard deviation `coupling`.
        """
        x = all_images(bits, channels, height, width)
        size = 1 << bits
        single = torch.randn(size, generator=generator, dtype=torch.float64)
        pairs = coupling * torch.randn(3, size, size, generator=generator, dtype=torch.float64)
        energy = single[x].flatten(1).sum(1)
        for axis, potential in enumerate(pairs, start=1):
            length = x.shape[axis]
            first, second = x.narrow(axis, 0, length - 1), x.narrow(axis, 1, length - 1)
            energy = energy + potential[first, second].flatten(1).sum(1)
        return cls(energy.log_softmax(0), bits, (channels, height, width))

    @property
    def images(self) -> Tensor:
        """All images, int64 (N, C, H, W)."""
        return all_images(self.bits, *self.shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability of images (B, C, H, W), in nats, (B,)."""
        return self.log_probs[index_of(x, self.bits)]

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draws images, int64 (B, C, H, W)."""
        return self.images[
            torch.multinomial(self.log_probs.exp(), count, replacement=True, generator=generator)
        ]

    @property
    def entropy(self) -> float:
        """Entropy in nats per image."""
        return float(-(self.log_probs.exp() * self.log_probs).sum())
