"""Bias-free batch normalization: channels are divided by their deviation, and nothing is added."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

EPSILON = 1e-5  # added to a batch's variance
MEMORY = 0.9  # of the running standard deviation, per batch
START = 2 / 9 / 64, 0.025  # gains of a new network: standard deviation, and where it is cut off


class BiasFreeNorm(nn.Module):
    r"""Batch normalization that divides, and never subtracts: :math:`x g / s`.

    In training s is the standard deviation of each channel in the batch, otherwise a running mean
    of those, so that an image's result depends on it alone. A mean over ten batches is not exact
    and each batch is normalized otherwise: for the last tenths of a decibel a training goes on
    with `settled` norms, whose s stays as it is.

    Arguments:
        channels: Of the images.

    Attributes:
        settled: Whether s is the running mean in training, too.

    Source: Mohan, Kadkhodaie, Simoncelli & Fernandez-Granda (2020).
    """

    running_sd: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        scale, limit = START
        self.gain = nn.Parameter((torch.randn(channels) * scale).clamp(-limit, limit))
        self.register_buffer("running_sd", torch.ones(channels))
        self.settled = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes as in training: unless settled, a module in training remembers deviations."""
        if self.settled:
            return x * _each(self.gain / self.running_sd, x)
        result, sd = _Normalize.apply(x, self.gain)
        if self.training:
            with torch.no_grad():
                self.running_sd.lerp_(sd.to(self.running_sd), 1 - MEMORY)
        return result

    def fold(self, weight: Tensor) -> Tensor:
        """Kernels (O, I, k, k) of the convolution before, which then normalizes, too."""
        return weight * (self.gain / self.running_sd)[:, None, None, None]


class _Normalize(Function):
    r""":math:`y = x g / s`, s² the variance of each channel plus `EPSILON`; and s itself.

    With n values a channel, and g as long as s is not looked at,

    .. math:: \partial x = \frac{g}{s} \left(\partial y
        - \frac{x - \bar x}{n s^2} \sum x \, \partial y\right)

    Statistics are found by the kernels of ordinary batch normalization. Autograd through
    `Tensor.var` takes twenty times as long, more than the convolutions in bfloat16.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        sd = (variance + EPSILON).sqrt()
        ctx.save_for_backward(x, gain, mean, sd)
        ctx.mark_non_differentiable(sd)
        return x * _each(gain / sd, x), sd

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        x, gain, mean, sd = ctx.saved_tensors
        # Sums of gradients, and of their products with (x - mean) / sd.
        _, products, sums = torch.ops.aten.native_batch_norm_backward(
            gradient, x, sd, None, None, mean, 1 / sd, True, EPSILON, [False, True, True]
        )
        along = products + mean * sums / sd  # of x / sd
        share = gain / sd**2 * along / (x.numel() / len(sd))
        back = torch.addcmul(gradient * _each(gain / sd, x), x, -_each(share, x))
        return back.add_(_each(mean * share, x)), along.to(gain)


def _each(values: Tensor, like: Tensor) -> Tensor:
    """One value for each channel, of the type of the images that it is for."""
    return values.to(like.dtype)[:, None, None]
