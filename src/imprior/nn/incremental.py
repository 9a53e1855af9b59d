"""Convolutions whose inputs come in a row or a pixel at a time; all keep what they still need.

Tensors have channels last: rows are (B, W, C), pixels (B, C). Before the first row all was zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import elu_

from imprior.nn.shifted import Enlargement, ShiftedConvolution


class RowConvolution:
    """A vertical convolution: the last rows of its inputs, and outputs a row at a time."""

    def __init__(self, convolution: ShiftedConvolution, batch: int, width: int) -> None:
        window, self.stride = convolution.window, convolution.stride
        self.matrix, self.bias = convolution.matrix(), convolution.bias.detach()
        self.size, self.first, self.stop = window.width, window.before, window.before + width
        columns = self.stop + window.after
        self.rows = self.matrix.new_zeros(batch, window.height, columns, convolution.inputs)

    def push(self, row: Tensor) -> None:
        """Takes the next row of inputs, (B, W, in)."""
        self.rows[:, :-1] = self.rows[:, 1:].clone()
        self.rows[:, -1, self.first : self.stop] = row

    def output(self) -> Tensor:
        """The row of outputs of which the last row of inputs is the lowest that they see."""
        patches = _windows(self.rows, self.size, self.stride).transpose(1, 2)
        rows = torch.addmm(self.bias, patches.flatten(2).flatten(0, 1), self.matrix)
        return rows.view(len(self.rows), -1, len(self.bias))


class PixelConvolution:
    """A horizontal convolution: one row of its inputs, first of the row above, then of this one."""

    def __init__(self, convolution: ShiftedConvolution, batch: int, width: int) -> None:
        window, self.stride = convolution.window, convolution.stride
        self.size, self.bias = window.width, convolution.bias.detach()
        self.above, self.matrix = convolution.matrix().chunk(2)
        inputs = convolution.inputs
        self.row = self.matrix.new_zeros(batch, window.before + width, inputs)
        self.windows = _windows(self.row, self.size, self.stride)[:, : -(-width // self.stride)]
        self.partial = self.matrix.new_zeros(*self.windows.shape[:2], len(self.bias))
        # Views are made once, not at each of thousands of pixels.
        self.slots = self.row[:, window.before :].unbind(1)
        self.halves = [slot.chunk(2, 1) for slot in self.slots]
        self.patches, self.sums = self.windows.unbind(1), self.partial.unbind(1)

    def start_row(self) -> None:
        """Goes to the next row of outputs: the inputs that are known are those of the row above."""
        rows = torch.addmm(self.bias, self.windows.flatten(0, 1), self.above)
        self.partial.copy_(rows.view(self.partial.shape))

    def add(self, rows: Tensor) -> None:
        """Adds to all outputs of this row, (B, W, out)."""
        self.partial += rows

    def put(self, x: int, values: Tensor) -> None:
        """Takes the input at a column, (B, in)."""
        self.slots[x].copy_(values)

    def put_concat_elu(self, x: int, values: Tensor) -> None:
        """Takes the concatenated ELU of values, (B, in / 2), as input at a column."""
        positive, negative = self.halves[x]
        positive.copy_(values)
        torch.neg(values, out=negative)
        elu_(self.slots[x])

    def output(self, x: int) -> Tensor:
        """The output at a column, (B, out)."""
        return torch.addmm(self.sums[x], self.patches[x], self.matrix)


class RowEnlargement:
    """A vertical transposed convolution: two rows of `width` outputs for each row of inputs."""

    def __init__(self, enlargement: Enlargement, width: int) -> None:
        self.enlargement, self.weight, self.width = enlargement, enlargement.weight(), width
        self.rows: Sequence[Tensor] = ()

    def put(self, row: Tensor) -> None:
        """Takes the next row of inputs, (B, W, C)."""
        enlarged = self.enlargement.enlarge(row.mT[:, :, None], self.weight)[..., : self.width]
        self.rows = [rows.mT.contiguous() for rows in enlarged.unbind(2)]

    def output(self, y: int) -> Tensor:
        """The outputs of a row, (B, width, C)."""
        return self.rows[y % 2]


class PixelEnlargement:
    """A horizontal transposed convolution: 2 x 2 outputs for each input, in rows of `width`."""

    def __init__(self, enlargement: Enlargement, batch: int, width: int) -> None:
        weight = enlargement.weight()
        self.matrix = weight.permute(3, 1, 2, 0).flatten(1).contiguous()
        self.bias = enlargement.bias.detach().repeat(4)
        blocks = weight.new_zeros(batch, (width + 1) // 2, 2, 2, len(enlargement.bias))
        self.blocks = blocks.flatten(2).unbind(1)
        self.rows = [[blocks[:, x // 2, y, x % 2] for x in range(width)] for y in range(2)]

    def put(self, x: int, values: Tensor) -> None:
        """Takes the input at a column, (B, C)."""
        torch.addmm(self.bias, values, self.matrix, out=self.blocks[x])

    def output(self, y: int, x: int) -> Tensor:
        """The output at a row and column, (B, C)."""
        return self.rows[y % 2][x]


def _windows(rows: Tensor, size: int, stride: int) -> Tensor:
    """Pixels next to each other, (..., W, C) -> (..., number of windows, size * C), a view."""
    channels = rows.shape[-1]
    return rows.flatten(-2).unfold(-1, size * channels, stride * channels)
