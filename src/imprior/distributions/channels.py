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

import torch
from torch import Tensor

from imprior.distributions import logistic
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision

SMALLEST_SCALE = 0.05  # grey levels: a bin then holds all but 1e-4 of a component
LARGEST_SCALE = 8.0  # in units of half the range


def num_parameters(num_components: int, channels: int) -> int:
    """How many numbers a pixel's mixture is made of: K (1 + 2 C + C (C - 1) / 2), 10 K for RGB."""
    return num_components * (1 + 2 * channels + channels * (channels - 1) // 2)


def initial(num_components: int, channels: int, largest: float = 1.0) -> Tensor:
    """Parameters to start from: components around the centre, from narrow to wide.

    Arguments:
        largest: Scale of the widest, in units of half the range; the narrowest has a 50th of it.
    """
    parameters = torch.zeros(num_parameters(num_components, channels))
    scales = torch.linspace(math.log(largest / 50), math.log(largest), num_components)
    first = num_components * (1 + channels)
    parameters[first : first + num_components * channels] = scales.repeat(channels)
    return parameters


@dataclass(frozen=True)
class ChannelMixture:
    """The mixtures of n pixels.

    Attributes:
        logits: Of the components, (n, K).
        means: (n, C, K), relative to the centre, in units of half the range, as all that follow.
        log_scales: (n, C, K).
        slopes: How far earlier channels move the means, in (-1, 1), (n, C (C - 1) / 2, K).
        centre: Grey levels, (n, C).
        bits: Bit depth of the values.
    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    slopes: Tensor
    centre: Tensor
    bits: int

    @classmethod
    def of(cls, parameters: Tensor, centre: Tensor, bits: int) -> ChannelMixture:
        """The mixtures that a network's output stands for.

        Arguments:
            parameters: (n, `num_parameters`), in the order of the attributes.
            centre: What means are told relative to, grey levels, (n, C).
            bits: Bit depth, 1 to 16.

        Raises:
            ValueError: If there are not as many parameters as some number of components has.
        """
        rows, channels = centre.shape
        pairs = channels * (channels - 1) // 2
        count = parameters.shape[1] // num_parameters(1, channels)
        if parameters.shape != (rows, num_parameters(count, channels)) or not count:
            raise ValueError(
                f"{tuple(parameters.shape)} are no parameters of {rows} mixtures of {channels} "
                f"channels: a component has {num_parameters(1, channels)}"
            )
        parts = parameters.view(rows, -1, count).split([1, channels, channels, pairs], dim=1)
        logits, means, log_scales, slopes = parts
        low, high = math.log(SMALLEST_SCALE / 2 ** (bits - 1)), math.log(LARGEST_SCALE)
        log_scales = log_scales.clamp(low, high)
        return cls(logits[:, 0], means, log_scales, slopes.tanh(), centre, bits)

    def log_mass(self, values: Tensor) -> Tensor:
        """Log-masses of each channel's value given the channels before it, nats, (n, C).

        Finite, with a gradient, however far a value is from all means; for training.

        Arguments:
            values: Integers in [0, 2^bits), (n, C).
        """
        joint = torch.log_softmax(self.logits, 1)
        totals = [torch.zeros_like(joint[:, 0])]
        for channel in range(values.shape[1]):
            joint = joint + self._component_log_mass(channel, values)
            totals.append(joint.logsumexp(1))
        return torch.stack(totals, 1).diff(dim=1)

    def floored_log_mass(self, values: Tensor) -> Tensor:
        """Log-masses over the floor that coding needs, as in `BinnedMixture`; float64 (n, C)."""
        size, digits = 2**self.bits, precision(self.bits)
        mass = (1 << digits) - size
        return torch.log1p(mass * self.log_mass(values).double().exp()) - digits * math.log(2)

    def walk(self) -> ChannelWalk:
        """The mixtures one channel after another, whose values need not be known yet."""
        return ChannelWalk(self)

    def _component_log_mass(self, channel: int, values: Tensor) -> Tensor:
        """Of each component, given all channels before, (n, K)."""
        means, inverse_scales = self.in_levels(channel, values)
        value = values[:, channel, None]
        centred = value.to(means.dtype) - means
        first, last = value == 0, value == 2**self.bits - 1
        return logistic.log_bin_mass(centred, inverse_scales, first, last)

    def in_levels(self, channel: int, values: Tensor) -> tuple[Tensor, Tensor]:
        """Means in grey levels and inverse scales of a channel, given those before, (n, K)."""
        half = 2.0 ** (self.bits - 1)
        means = self.means[:, channel] * half + self.centre[:, channel, None]
        first = channel * (channel - 1) // 2
        for earlier in range(channel):
            residual = values[:, earlier] - self.centre[:, earlier]
            means = means + self.slopes[:, first + earlier] * residual[:, None]
        return means, torch.exp(-self.log_scales[:, channel]) / half


class ChannelWalk:
    """Mixtures of one channel of n pixels after another, in double precision.

    Arguments:
        mixture: The mixtures of all channels.
    """

    def __init__(self, mixture: ChannelMixture) -> None:
        parts = (mixture.logits, mixture.means, mixture.log_scales, mixture.slopes, mixture.centre)
        self.mixture = ChannelMixture(*(part.detach().double() for part in parts), mixture.bits)
        self.joint = torch.log_softmax(self.mixture.logits, 1)
        self.values = self.mixture.centre.new_zeros(self.mixture.centre.shape, dtype=torch.int64)
        self.channel = 0

    def binned(self) -> BinnedMixture:
        """The distributions of the next channel, n rows."""
        means, inverse_scales = self.mixture.in_levels(self.channel, self.values)
        low = torch.zeros_like(self.values[:, 0])
        high, bits = low + (2**self.mixture.bits - 1), self.mixture.bits
        weights = torch.softmax(self.joint, 1)
        return BinnedMixture(
            weights, means, inverse_scales, low, high, precision(bits), family="logistic"
        )

    def observe(self, values: Tensor) -> None:
        """Takes over the values of that channel, int64 (n,), and goes on to the next."""
        self.values[:, self.channel] = values
        parts = self.mixture._component_log_mass(self.channel, self.values)
        self.joint = torch.log_softmax(self.joint + parts, 1)
        self.channel += 1
