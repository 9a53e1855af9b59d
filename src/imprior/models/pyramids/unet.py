"""What sees the coarse image as a whole: U-Nets (Ronneberger, Fischer & Brox 2015).

Any height and width: pooling keeps an odd last line, and what comes up is resized to what it meets.
Nothing is normalized over pixels or images, so that an output never depends on the rest of a batch
or on a mode: `ChannelNorm` looks at the channels of one pixel.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from imprior.models.pyramids.config import LevelConfig


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Floats (B, C, H, W), fast in channels_last."""
        last = x.permute(0, 2, 3, 1)
        normal = functional.layer_norm(last, self.weight.shape, self.weight, self.bias)
        return normal.permute(0, 3, 1, 2)


def convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size, with weights for a ReLU behind it (He et al. 2015)."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def double(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, normalization and ReLU, twice."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [convolution(channels, outputs), ChannelNorm(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def halve(x: Tensor) -> Tensor:
    """The largest of each 2 x 2 pixels; an odd last line stays."""
    return functional.max_pool2d(x, 2, ceil_mode=True)


class UNet(nn.Module):
    """The published U-Net, without its modules that are never used.

    Arguments:
        channels: Of the coarse image.
        config: `width`, `depth` and `features` count.

    Source: Mahajan & Roth (2021), Sec. 4.1, and their code.
    """

    def __init__(self, channels: int, config: LevelConfig) -> None:
        super().__init__()
        skips = [config.width * 2**depth for depth in range(config.depth)]
        lower, upper = skips[1:] + skips[-1:], skips[:1] + skips[:-1]
        self.first = double(channels, config.width)
        self.before = nn.ModuleList(map(double, skips, lower))
        self.after = nn.ModuleList(map(double, lower, lower))
        self.below = nn.ModuleList(map(double, skips, skips))
        self.merge = nn.ModuleList(double(2 * a, b) for a, b in zip(skips, upper, strict=True))
        self.last = convolution(config.width, config.features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Floats (B, C, H, W) in [-1, 1] -> (B, features, H, W)."""
        x = self.first(x)
        skips = []
        for before, after in zip(self.before, self.after, strict=True):
            skips.append(x)
            x = after(halve(before(x)))
        for depth in reversed(range(len(skips))):
            skip = skips.pop()
            x = functional.interpolate(
                self.below[depth](x), size=skip.shape[2:], mode="bilinear", align_corners=True
            )
            x = self.merge[depth](torch.cat([skip, x], 1))
        return self.last(x)


class Residual(nn.Module):
    """x + convolution(ReLU(convolution(ReLU(norm(x))))), the identity at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.first = convolution(channels, channels)
        self.second = convolution(channels, channels)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Floats (B, C, H, W)."""
        inner = functional.relu(self.norm(x), inplace=True)
        return x + self.second(functional.relu(self.first(inner), inplace=True))


class ResidualUNet(nn.Module):
    """A U-Net of residual blocks: one per resolution on the way down, one on the way up.

    Lower resolutions have few more channels, and go down before they compute: a tenth of the
    published network's arithmetic at half its width.

    Arguments:
        channels: Of the coarse image.
        config: `width`, `depth` and `features` count.
    """

    def __init__(self, channels: int, config: LevelConfig) -> None:
        super().__init__()
        widths = [config.width * (2 + depth) // 2 for depth in range(config.depth + 1)]
        pairs = list(pairwise(widths))
        self.first = convolution(channels, config.width)
        self.before = nn.ModuleList(map(Residual, widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.after = nn.ModuleList(Residual(a) for a, _ in pairs)
        self.last = convolution(config.width, config.features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Floats (B, C, H, W) in [-1, 1] -> (B, features, H, W)."""
        x = self.before[0](self.first(x))
        skips = []
        for down, before in zip(self.down, self.before[1:], strict=True):
            skips.append(x)
            x = before(down(even(x)))
        for up, after in zip(reversed(self.up), reversed(self.after), strict=True):
            skip = skips.pop()
            height, width = skip.shape[2:]
            x = functional.interpolate(up(x), scale_factor=2)[:, :, :height, :width]
            x = after(skip + x)
        return self.last(functional.relu(x))


def even(x: Tensor) -> Tensor:
    """Repeats the last line of a side of odd length."""
    _, _, height, width = x.shape
    return functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
