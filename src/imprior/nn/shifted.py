"""Convolutions that see a window above, or above and to the left of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad


@dataclass(frozen=True)
class Window:
    """The pixels that a kernel sees.

    Attributes:
        height, width: Size of the kernel.
        above, before: Rows and columns from its first pixel to the one that it computes.
    """

    height: int
    width: int
    above: int
    before: int

    @property
    def after(self) -> int:
        """Columns from the computed pixel to the last that is seen; -1: it ends before it."""
        return self.width - 1 - self.before

    @property
    def below(self) -> int:
        """Rows from the computed pixel to the last that is seen; -1: it ends above it."""
        return self.height - 1 - self.above


POINT = Window(1, 1, above=0, before=0)

SPREAD = 0.05
"""Of directions at the start: the smaller, the further a step of Adam turns them."""


class Normalized(nn.Module):
    r"""The weights of a convolution, split into directions and lengths.

    .. math:: w_o = g_o v_o / \lVert v_o \rVert

    Outputs of inputs of mean square s start with one of about :math:`g^2 s`.

    Attributes:
        direction: :math:`v`, (out, height * width * in). As a matrix it keeps that order in memory
            whatever format is asked of kernels: seen as one, it has its channels last.
        length: :math:`g`, (out,).
        bias: (out,).

    Source: Salimans & Kingma (2016), eq. 2. Ours starts at a given length instead of looking at
    data.
    """

    def __init__(self, inputs: int, outputs: int, height: int, width: int, length: float) -> None:
        super().__init__()
        self.inputs, self.size = inputs, (height, width)
        self.direction = nn.Parameter(SPREAD * torch.randn(outputs, height * width * inputs))
        self.length = nn.Parameter(torch.full((outputs,), length))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def scale(self) -> Tensor:
        """What directions are multiplied by, (out,)."""
        return self.length / torch.linalg.vector_norm(self.direction, dim=1)

    def weight(self) -> Tensor:
        """:math:`w`, (out, height, width, in)."""
        weight = self.direction * self.scale()[:, None]
        return weight.view(-1, *self.size, self.inputs)

    @torch.no_grad()
    def matrix(self) -> Tensor:
        """What patches of pixels are multiplied by, (height * width * in, out), contiguous."""
        return self.direction.t().contiguous().mul_(self.scale())


class ShiftedConvolution(Normalized):
    """A convolution of a window; beyond the image it sees zeros.

    Arguments:
        inputs, outputs: Channels.
        window: What an output pixel sees around input pixel `stride` times its position.
        stride: Outputs are ceil(H / stride) x ceil(W / stride).
        length: Of the weights at the start; see `Normalized`.
    """

    def __init__(
        self, inputs: int, outputs: int, window: Window, *, stride: int = 1, length: float = 1.0
    ) -> None:
        super().__init__(inputs, outputs, window.height, window.width, length)
        self.window, self.stride = window, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        window, kernel = self.window, self.weight().permute(0, 3, 1, 2)
        margins = (window.before, window.after, window.above, window.below)
        if any(margins):
            x = pad(x, margins)
        return conv2d(x, kernel, self.bias, stride=self.stride)


class Enlargement(Normalized):
    """A transposed convolution: each input pixel becomes 2 x 2 output pixels.

    A kernel of 2 x 3 adds what it makes of a pixel's right neighbour to the right ones of them.

    Arguments:
        channels: Of inputs and outputs.
        width: Of the kernel, 2 or 3.
        length: Of the weights at the start. An output sees a quarter to a half of the kernel.
    """

    def __init__(self, channels: int, width: int, *, length: float = 2.0) -> None:
        super().__init__(channels, channels, 2, width, length)
        self.overlap = width - 2

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        """(B, C, ceil(height / 2), ceil(width / 2)) -> (B, C, height, width)."""
        return self.enlarge(x, self.weight())[..., :height, :width]

    def enlarge(self, x: Tensor, weight: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2 H, 2 W), given `weight()`."""
        kernel, margin = weight.permute(3, 0, 1, 2), (0, self.overlap)
        return conv_transpose2d(
            x, kernel, self.bias, stride=2, padding=margin, output_padding=margin
        )
