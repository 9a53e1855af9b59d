"""The bias-free network that all denoisers here are: it predicts the noise of what it sees."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from imprior.models.local import winograd
from imprior.models.local.config import NetworkConfig
from imprior.models.local.norm import BiasFreeNorm


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
        self._look_away_from_brightness()
        self.norms = nn.ModuleList(BiasFreeNorm(config.width) for _ in range(config.depth - 2))

    @torch.no_grad()
    def _look_away_from_brightness(self) -> None:
        """Gives the first kernels zero means: nothing after them would ever subtract a mean.

        What is to be found is noise; training is a third faster so, at first.
        """
        if self.config.kernels[0] > 1:
            weight: Tensor = self.convolutions[0].weight  # type: ignore[assignment]
            weight.sub_(weight.mean((2, 3), keepdim=True))

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
