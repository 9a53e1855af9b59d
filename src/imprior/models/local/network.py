"""The bias-free network that all denoisers here are: it predicts the noise of what it sees."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from imprior.models.local import winograd
from imprior.models.local.config import NetworkConfig

EPSILON = 1e-5  # added to a batch's variance
MEMORY = 0.9  # of the running standard deviation, per batch
START = 2 / 9 / 64, 0.025  # gains of a new network: standard deviation, and where it is cut off


class BiasFreeNorm(nn.Module):
    r"""Batch normalization that divides, and never subtracts: :math:`x g / s`.

    In training s is the standard deviation of each channel in the batch, otherwise a running mean
    of those, so that an image's result depends on it alone.

    Arguments:
        channels: Of the images.

    Source: Mohan, Kadkhodaie, Simoncelli & Fernandez-Granda (2020).
    """

    running_sd: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        scale, limit = START
        self.gain = nn.Parameter((torch.randn(channels) * scale).clamp(-limit, limit))
        self.register_buffer("running_sd", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes by the batch's own deviations, which a module in training remembers."""
        sd = (x.float().var((0, 2, 3), correction=0) + EPSILON).sqrt()
        if self.training:
            with torch.no_grad():
                self.running_sd.lerp_(sd.to(self.running_sd), 1 - MEMORY)
        return x * (self.gain / sd).to(x.dtype)[:, None, None]

    def fold(self, weight: Tensor) -> Tensor:
        """Kernels (O, I, k, k) of the convolution before, which then normalizes, too."""
        return weight * (self.gain / self.running_sd)[:, None, None, None]


class BiasFreeCNN(nn.Module):
    """Convolutions without biases, beyond the image zeros: f(a y) = a f(y) for all a >= 0.

    Between the first and the last layer each is normalized and followed by a ReLU.

    Arguments:
        inputs, outputs: Channels of what it sees and of what it predicts.
        config: Depth, width, and where the layers are that look at neighbours.

    Source: Kadkhodaie et al. (2023), Appendix; Mohan et al. (2020).
    """

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        widths = [inputs, *[config.width] * (config.depth - 1), outputs]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
            for (before, after), kernel in zip(pairwise(widths), config.kernels, strict=True)
        )
        for layer in self.convolutions:
            nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]
        self.norms = nn.ModuleList(BiasFreeNorm(config.width) for _ in range(config.depth - 2))

    def forward(self, x: Tensor) -> Tensor:
        """What it predicts once it is trained, whatever mode it is in.

        Normalization is part of the kernels, and the channels of a pixel are side by side in
        memory, which is how convolutions are fastest.

        Arguments:
            x: Floats (B, inputs, H, W).

        Returns:
            Floats (B, outputs, H, W), of the type of the weights.
        """
        kernels = self.folded()
        x, spare = x.to(kernels[0].dtype), None
        for number, kernel in enumerate(kernels):
            rectify = self._rectified(number)
            if winograd.pays(x, kernel):
                result = winograd.convolve(x, kernel, rectify=rectify, spare=spare)
                x, spare = result, x if number else None  # not what we were given
                continue
            x = functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
            x = functional.relu(x, inplace=True) if rectify else x
        return x

    def folded(self) -> list[Tensor]:
        """The kernels of all layers with the normalization in them, channels last in memory."""
        kernels: list[Tensor] = [layer.weight for layer in self.convolutions]  # type: ignore[misc]
        for number, norm in enumerate(self.norms, 1):
            kernels[number] = norm.fold(kernels[number])  # type: ignore[operator]
        # A clone, because kernels of one input would count as laid out already, and images not.
        return [kernel.clone(memory_format=torch.channels_last) for kernel in kernels]

    def learning(self, x: Tensor) -> Tensor:
        """What it predicts while it is trained: normalized by the batch."""
        for number, layer in enumerate(self.convolutions):
            x = layer(x)
            if 0 < number <= len(self.norms):
                x = self.norms[number - 1](x)
            if self._rectified(number):
                x = functional.relu(x, inplace=True)
        return x

    def _rectified(self, number: int) -> bool:
        return number < self.config.depth - 1 and (number > 0 or self.config.first_relu)
