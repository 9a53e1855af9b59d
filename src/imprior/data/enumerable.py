"""Sets of images small enough to hold all of them, for exact sums over everything possible."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_VALUES = 2**26
"""Of all images of a set together: half a GiB."""


def all_images(bits: int, channels: int, height: int, width: int) -> Tensor:
    """Every image of a shape and depth, each once, in the order of their digits.

    Returns:
        int64 (N, C, H, W), N = 2^(bits C H W); the first subpixel changes slowest.

    Raises:
        ValueError: If there are too many.

    Example:
        >>> all_images(1, 1, 1, 2).flatten(1).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if min(bits, channels, height, width) < 1:
        raise ValueError(
            f"bits, channels, height and width must be at least 1, "
            f"got {bits}, {channels}, {height}, {width}"
        )
    values = channels * height * width
    if bits * values + math.log2(values) > math.log2(MAX_VALUES):
        raise ValueError(f"there are 2^{bits * values} such images, too many to hold")
    numbers = torch.arange(2 ** (bits * values))[:, None]
    shifts = bits * torch.arange(values - 1, -1, -1)
    return ((numbers >> shifts) & (2**bits - 1)).view(-1, channels, height, width)


class MarkovField:
    r"""A grey random field whose probabilities are all known, by enumeration.

    .. math:: p(x) \propto \exp\Big( \sum_{\text{pairs } i \to j \text{ across}} A_{x_i x_j}
              + \sum_{\text{pairs } i \to j \text{ down}} D_{x_i x_j} \Big)

    over horizontal and vertical neighbours. Of height 1 it is a Markov chain. The potentials A and
    D are random, so that it has no symmetry that could hide a mistake.

    Arguments:
        bits, height, width: Of its images, which must be few enough for `all_images`.
        generator: Of the potentials.
        strength: Their standard deviation; 0 makes all images equally likely.

    Attributes:
        images: All images, int64 (N, 1, H, W).
        log_pmf: The log-probability of each, nats, float64 (N,).
    """

    def __init__(
        self,
        bits: int,
        height: int,
        width: int,
        generator: torch.Generator,
        strength: float = 1.0,
    ) -> None:
        self.bits = bits
        self.images = all_images(bits, 1, height, width)
        shape = (2, 2**bits, 2**bits)
        draws = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.across, self.down = strength * draws
        x = self.images
        energy = self.across[x[..., :-1], x[..., 1:]].sum((1, 2, 3))
        energy += self.down[x[..., :-1, :], x[..., 1:, :]].sum((1, 2, 3))
        self.log_pmf = energy.log_softmax(0)

    @property
    def entropy(self) -> float:
        """Entropy, nats per pixel."""
        return -float((self.log_pmf.exp() * self.log_pmf).sum()) / self.images[0].numel()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability of images, int64 (B, 1, H, W) -> nats, float64 (B,)."""
        digits = x.flatten(1)
        shifts = self.bits * torch.arange(digits.shape[1] - 1, -1, -1)
        return self.log_pmf[(digits << shifts).sum(1)]

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws images, int64 (count, 1, H, W)."""
        u = torch.rand(count, generator=generator, dtype=torch.float64)
        cumulative = self.log_pmf.exp().cumsum(0)
        numbers = torch.searchsorted(cumulative, u, right=True)
        return self.images[numbers.clamp(max=len(self.images) - 1)]
