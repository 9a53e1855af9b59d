r"""Mixtures of discretized logistics whose channels are chained, in rows of pixels.

.. math::
    p(x_1, \dots, x_C) = \sum_k \pi_k \prod_c p_k(x_c \mid x_{<c}), \quad
    \mu_{kc} = \mu^0_{kc} + \sum_{d < c} \tanh(a_{kcd}) (x_d - \bar x_d)

Each :math:`p_k` is a logistic distribution binned to integers, :math:`\bar x` a centre that the
caller knows; one component is chosen for all channels of a pixel. By the chain rule channel c has
the mixture weights :math:`\pi_k \prod_{d < c} p_k(x_d \mid x_{<d})`, normalized.

Source: Salimans, Karpathy, Chen & Kingma (2017), Sec. 2.1 and 2.2, eq. 3. Theirs are 3 channels of
8 bits, centred on the middle of the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function

from imprior.distributions import chained, logistic, stepwise
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision

SMALLEST_SCALE = 0.05  # grey levels: a bin then holds all but 1e-4 of a component
LARGEST_SCALE = 8.0  # in units of half the range


def num_parameters(num_components: int, channels: int) -> int:
    """How many numbers a pixel's mixture is made of: K (1 + 2 C + C (C - 1) / 2), 10 K for RGB."""
    return num_components * (1 + 2 * channels + channels * (channels - 1) // 2)


def rows_of(x: Tensor) -> Tensor:
    """The pixels of (B, C, H, W), one a row, (B H W, C); no copy in channels_last."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def initial(num_components: int, channels: int, largest: float = 1.0, slope: float = 0.0) -> Tensor:
    """Parameters to start from: components around the centre, from narrow to wide.

    Arguments:
        largest: Scale of the widest, in units of half the range; the narrowest has a 50th of it.
        slope: Of each channel by the one before it, before its tanh.
    """
    parameters = torch.zeros(num_parameters(num_components, channels))
    scales = torch.linspace(math.log(largest / 50), math.log(largest), num_components)
    first = num_components * (1 + channels)
    parameters[first : first + num_components * channels] = scales.repeat(channels)
    slopes = parameters[first + num_components * channels :].view(-1, num_components)
    for channel in range(1, channels):
        slopes[channel * (channel + 1) // 2 - 1] = slope
    return parameters


@dataclass(frozen=True)
class ChannelMixture:
    """The mixtures of n pixels, made of a network's output.

    Attributes:
        parameters: (n, `num_parameters`): the logits of K components; means, C times K, and
            logarithms of scales, C times K, in units of half the range; slopes before their tanh,
            for each channel and each channel before it K.
        centre: What means are told relative to, grey levels, (n, C).
        bits: Bit depth of the values, 1 to 16.

    Raises:
        ValueError: If there are not as many parameters as some number of components has.
    """

    parameters: Tensor
    centre: Tensor
    bits: int

    def __post_init__(self) -> None:
        rows, channels = self.centre.shape
        count = self.num_components
        if self.parameters.shape != (rows, num_parameters(count, channels)) or not count:
            raise ValueError(
                f"{tuple(self.parameters.shape)} are no parameters of {rows} mixtures of "
                f"{channels} channels: a component has {num_parameters(1, channels)}"
            )

    @property
    def num_components(self) -> int:
        """K."""
        return self.parameters.shape[1] // num_parameters(1, self.centre.shape[1])

    def split(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (n, K), means and log-scales (n, C, K), slopes (n, C (C - 1) / 2, K)."""
        rows, channels = self.centre.shape
        sizes = [1, channels, channels, channels * (channels - 1) // 2]
        parts = self.parameters.view(rows, -1, self.num_components).split(sizes, dim=1)
        logits, means, log_scales, slopes = parts
        return logits[:, 0], means, log_scales.clamp(*scale_limits(self.bits)), slopes.tanh()

    def rows(self, rows: Tensor) -> ChannelMixture:
        """The mixtures of some pixels only."""
        return ChannelMixture(self.parameters[rows], self.centre[rows], self.bits)

    def total_log_mass(self, values: Tensor) -> Tensor:
        """Log-masses of pixels, nats, (n,), for training: see `log_mass`; on the CPU fused."""
        if self.parameters.device.type != "cpu":
            return self.log_mass(values).sum(1)
        total: Tensor = TotalLogMass.apply(self.parameters, self.centre, values, self.bits)
        return total

    def log_mass(self, values: Tensor) -> Tensor:
        """Log-masses of each channel's value given the channels before it, nats, (n, C).

        Finite, with a gradient, however far a value is from all means. Slow and obvious.

        Arguments:
            values: Integers in [0, 2^bits), (n, C).
        """
        joint = torch.log_softmax(self.split()[0], 1)
        totals = [torch.zeros_like(joint[:, 0])]
        for channel in range(values.shape[1]):
            joint = joint + self.component_log_mass(channel, values)
            totals.append(joint.logsumexp(1))
        return torch.stack(totals, 1).diff(dim=1)

    def floored_log_mass(self, values: Tensor) -> Tensor:
        """Log-masses over the floor that coding needs, as in `BinnedMixture`; float64 (n, C)."""
        differentiable = torch.is_grad_enabled() and self.parameters.requires_grad
        if self.parameters.device.type == "cpu" and not differentiable:
            masses, _ = fused(self.parameters, self.centre, values, self.bits)
        else:
            masses = self.log_mass(values)
        size, digits = 2**self.bits, precision(self.bits)
        mixture = (1 << digits) - size
        return torch.log1p(mixture * masses.double().exp()) - digits * math.log(2)

    def walk(self) -> ChannelWalk:
        """The mixtures one channel after another, whose values need not be known yet."""
        return ChannelWalk(self)

    def component_log_mass(self, channel: int, values: Tensor) -> Tensor:
        """Of each component, given all channels before, (n, K)."""
        means, inverse_scales = self.in_levels(channel, values)
        value = values[:, channel, None]
        centred = value.to(means.dtype) - means
        first, last = value == 0, value == 2**self.bits - 1
        return logistic.log_bin_mass(centred, inverse_scales, first, last)

    def in_levels(self, channel: int, values: Tensor) -> tuple[Tensor, Tensor]:
        """Means in grey levels and inverse scales of a channel, given those before, (n, K)."""
        _, means, log_scales, slopes = self.split()
        half = 2.0 ** (self.bits - 1)
        mean = means[:, channel] * half + self.centre[:, channel, None]
        first = channel * (channel - 1) // 2
        for earlier in range(channel):
            residual = values[:, earlier] - self.centre[:, earlier]
            mean = mean + slopes[:, first + earlier] * residual[:, None]
        return mean, torch.exp(-log_scales[:, channel]) / half


def scale_limits(bits: int) -> tuple[float, float]:
    """Logarithms of the smallest and the largest scale, in units of half the range."""
    return math.log(SMALLEST_SCALE / 2 ** (bits - 1)), math.log(LARGEST_SCALE)


class ChannelWalk:
    """Mixtures of one channel of n pixels after another, in double precision, on the CPU.

    Arguments:
        mixture: The mixtures of all channels.
    """

    def __init__(self, mixture: ChannelMixture) -> None:
        rows, count, half = len(mixture.centre), mixture.num_components, 2.0 ** (mixture.bits - 1)
        self.arrays = mixture.parameters.numpy(force=True), mixture.centre.numpy(force=True)
        self.limits = half, *scale_limits(mixture.bits)
        self.values = np.zeros(mixture.centre.shape, np.int64)
        self.powers = self.arrays[0][:, :count].astype(np.float64)
        self.fractions = np.ones((rows, count))
        self.low = torch.zeros(rows, dtype=torch.int64)
        self.high = self.low + (2**mixture.bits - 1)
        self.precision = precision(mixture.bits)
        self.channel = 0
        self.means, self.inverse_scales = self._place()

    def binned(self) -> BinnedMixture:
        """The distributions of the next channel, n rows."""
        weights = np.empty_like(self.means)
        stepwise.weigh(self.powers, self.fractions, weights)
        return BinnedMixture(
            torch.from_numpy(weights),
            torch.from_numpy(self.means),
            torch.from_numpy(self.inverse_scales),
            self.low,
            self.high,
            self.precision,
            family="logistic",
        )

    def observe(self, values: Tensor) -> None:
        """Takes over the values of that channel, int64 (n,), and goes on to the next."""
        known, last = values.numpy(force=True), int(2 * self.limits[0]) - 1
        self.values[:, self.channel] = known
        self.channel += 1
        if self.channel < self.values.shape[1]:
            moved = (self.powers, self.fractions)
            stepwise.observe(known, self.means, self.inverse_scales, last, *moved)
            self.means, self.inverse_scales = self._place()

    def _place(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        means, inverse_scales = np.empty_like(self.powers), np.empty_like(self.powers)
        known = (*self.arrays, self.values, self.channel, self.limits)
        stepwise.place(*known, means, inverse_scales)
        return means, inverse_scales


class TotalLogMass(Function):
    """`ChannelMixture.total_log_mass`; its gradient is found on the way."""

    @staticmethod
    def forward(ctx: Any, parameters: Tensor, centre: Tensor, values: Tensor, bits: int) -> Tensor:
        """Log-masses of pixels, (n,)."""
        masses, gradient = fused(parameters, centre, values, bits, ctx.needs_input_grad[0])
        ctx.save_for_backward(gradient)
        return masses.sum(1)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, None, None, None]:
        """By the parameters."""
        (gradient,) = ctx.saved_tensors
        return gradient * weight[:, None], None, None, None


def fused(
    parameters: Tensor, centre: Tensor, values: Tensor, bits: int, differentiate: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-masses (n, C), and the gradients (n, M) of their sums over the channels, or nothing."""
    count = parameters.shape[1] // num_parameters(1, centre.shape[1])
    masses, gradient = torch.empty_like(centre), parameters.new_empty(0, parameters.shape[1])
    if differentiate:
        gradient = torch.empty_like(parameters)
    kind = parameters.numpy().dtype.type
    small = 0.01 if parameters.dtype is torch.float32 else 0.0
    limits = tuple(map(kind, (2.0 ** (bits - 1), *scale_limits(bits), small)))
    arrays = (parameters.contiguous().numpy(), centre.contiguous().numpy(), values.numpy())
    chained.log_masses(*arrays, count, limits, masses.numpy(), gradient.numpy())
    return masses, gradient
