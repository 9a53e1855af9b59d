"""First- and second-order statistics of images: what two textures of one kind have in common."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 24
"""The largest lag of correlations, in pixels, across and down."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What images of one kind share whatever they show.

    Attributes:
        histogram: Share of each value, mean of channels, float64 (2^bits,).
        correlation: Of pixels at each lag, see `autocorrelation`; float64 (2 R + 1, 2 R + 1).
    """

    histogram: Tensor
    correlation: Tensor


@dataclass(frozen=True)
class Distance:
    """How far the statistics of two images are apart.

    Attributes:
        levels: Grey levels by which values have to move, on average, to turn one histogram into
            the other (Wasserstein distance).
        correlation: Root mean square difference of the correlations over all lags but 0.
    """

    levels: float
    correlation: float


def statistics(x: Tensor, bits: int) -> Statistics:
    """The statistics of an image, integers (C, H, W) in [0, 2^bits), larger than `REACH`."""
    counts = torch.bincount(x.flatten(), minlength=2**bits).double()
    return Statistics(counts / counts.sum(), autocorrelation(x, REACH))


def mean(several: list[Statistics]) -> Statistics:
    """The mean over images of one size."""
    return Statistics(
        torch.stack([some.histogram for some in several]).mean(0),
        torch.stack([some.correlation for some in several]).mean(0),
    )


def distance(a: Statistics, b: Statistics) -> Distance:
    """How far two images are apart.

    Example:
        >>> x = torch.arange(1024).view(1, 32, 32) % 7
        >>> distance(statistics(x, 8), statistics(x + 3, 8)).levels
        3.0
    """
    levels = (a.histogram.cumsum(0) - b.histogram.cumsum(0)).abs().sum()
    squares = (a.correlation - b.correlation).square()
    return Distance(round(float(levels), 9), float((squares.sum() / (squares.numel() - 1)).sqrt()))


def autocorrelation(x: Tensor, reach: int) -> Tensor:
    r"""Correlation of values with those `d` rows and columns away, mean of channels.

    .. math:: \rho(d) = \frac{1}{|I_d|\, s^2} \sum_{i \in I_d} (x_i - m)(x_{i+d} - m)

    with mean m and variance s² of the channel, and I_d the pixels that have such a neighbour.

    Arguments:
        x: An image (C, H, W).
        reach: Largest lag, smaller than both sides.

    Returns:
        float64 (2 reach + 1, 2 reach + 1); lag 0, in the middle, has correlation 1. All 0 in a
        channel that is constant.

    Raises:
        ValueError: If the image is too small.
    """
    height, width = x.shape[1:]
    if reach >= min(height, width):
        raise ValueError(f"an image of {height} x {width} pixels has no lags of {reach} pixels")
    centred = x.double() - x.double().mean((1, 2), keepdim=True)
    # Zeros around keep what leaves on one side from coming in on the other.
    spectrum = torch.fft.rfft2(centred, s=(height + reach, width + reach))
    products = torch.fft.irfft2(spectrum.abs().square(), s=(height + reach, width + reach))
    lags = torch.arange(-reach, reach + 1)
    pairs = (height - lags.abs())[:, None] * (width - lags.abs())
    covariance = products[:, lags][:, :, lags] / pairs
    variance = centred.square().mean((1, 2))[:, None, None]
    return torch.where(variance > 0, covariance / variance.clamp(min=1e-300), 0.0).mean(0)
