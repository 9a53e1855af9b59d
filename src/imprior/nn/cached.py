"""PixelCNN++ one pixel after another, computing what each output needs and keeping the rest.

The vertical stream advances by rows, the horizontal one by pixels, each resolution only where it
has a new row or pixel. A horizontal convolution is a sum of two: of the row above, at once for a
whole row, and of the pixels to the left, which is all that remains to be done at each pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import elu, glu

from imprior.nn.incremental import (
    PixelConvolution,
    PixelEnlargement,
    RowConvolution,
    RowEnlargement,
)
from imprior.nn.pixelcnn import NUM_LEVELS, Blocks, GatedBlock, PixelCNNNetwork, concat_elu
from imprior.nn.threads import single_thread


class CachedWalk:
    """The output of a network at one pixel after another, for a batch of images.

    The network must stay as it is until the walk ends. There is no dropout in any mode.

    Arguments:
        network: The network.
        batch, height, width: Of the images.

    Example:
        >>> network = PixelCNNNetwork(3, 10, num_filters=8, num_blocks=1)
        >>> walk = CachedWalk(network, batch=2, height=4, width=4)
        >>> walk.advance().shape
        torch.Size([2, 10])
        >>> walk.observe(torch.zeros(2, 3))
    """

    @single_thread()
    @torch.no_grad()
    def __init__(self, network: PixelCNNNetwork, batch: int, height: int, width: int) -> None:
        widths = [-(-width // 2**level) for level in range(NUM_LEVELS)]
        self.height, self.width, self.y, self.x = height, width, 0, 0
        self.first_rows = RowConvolution(network.first_rows, batch, width)
        self.first_above = RowConvolution(network.first_above, batch, width)
        self.first_left = PixelConvolution(network.first_left, batch, width)
        self.encoder = [_blocks(*pair, batch) for pair in zip(network.encoder, widths, strict=True)]
        self.decoder = [_blocks(*pair, batch) for pair in zip(network.decoder, widths, strict=True)]
        down = list(zip(network.reductions, widths[:-1], strict=True))
        self.row_reductions = [RowConvolution(r.vertical, batch, w) for r, w in down]
        self.reductions = [PixelConvolution(r.horizontal, batch, w) for r, w in down]
        up = list(zip(network.expansions, widths[:-1], strict=True))
        self.row_expansions = [RowEnlargement(e.vertical, w) for e, w in up]
        self.expansions = [PixelEnlargement(e.horizontal, batch, w) for e, w in up]
        self.head, self.bias = network.head.matrix(), network.head.bias.detach()
        # The image's row, whose last channel is ones, as in `PixelCNNNetwork`.
        self.row = self.head.new_ones(batch, width, network.first_left.inputs)

    @single_thread()
    @torch.no_grad()
    def advance(self) -> Tensor:
        """The network's output at the next pixel in the order of rows, (B, out).

        Raises:
            ValueError: If there are no more pixels.
        """
        if self.y == self.height:
            raise ValueError(f"all {self.height} x {self.width} pixels are known already")
        if self.x == 0:
            self._start_row()
        x, depth = self.x, min(_depth(self.y), _depth(self.x))
        saved = [self.first_left.output(x)]
        for level in range(depth):
            if level:
                saved.append(self.reductions[level - 1].output(x >> level))
            for block in self.encoder[level]:
                saved.append(block.pixel(x >> level, saved[-1], None))
            if level < NUM_LEVELS - 1:
                self.reductions[level].put(x >> level, saved[-1])
        h = saved.pop() if depth == NUM_LEVELS else self._expanded(depth - 1)
        for level in reversed(range(depth)):
            for block in self.decoder[level]:
                h = block.pixel(x >> level, h, saved.pop())
            if level:
                self.expansions[level - 1].put(x >> level, h)
                h = self._expanded(level - 1)
        return torch.addmm(self.bias, elu(h), self.head)

    @single_thread()
    @torch.no_grad()
    def observe(self, values: Tensor) -> None:
        """Takes over the values of that pixel, floats in [-1, 1], (B, C), and goes on."""
        self.row[:, self.x, :-1] = values
        self.first_left.put(self.x, self.row[:, self.x])
        self.x += 1
        if self.x == self.width:
            self.first_rows.push(self.row)
            self.first_above.push(self.row)
            self.y, self.x = self.y + 1, 0

    def _start_row(self) -> None:
        """The vertical stream, and what each horizontal layer sees of the row above."""
        self.first_left.start_row()
        self.first_left.add(self.first_above.output())
        saved = [self.first_rows.output()]
        depth = _depth(self.y)
        for level in range(depth):
            if level:
                self.reductions[level - 1].start_row()
                saved.append(self.row_reductions[level - 1].output())
            for block in self.encoder[level]:
                saved.append(block.start_row(saved[-1], None))
            if level < NUM_LEVELS - 1:
                self.row_reductions[level].push(saved[-1])
        rows = saved.pop() if depth == NUM_LEVELS else self._expanded_row(depth - 1)
        for level in reversed(range(depth)):
            for block in self.decoder[level]:
                rows = block.start_row(rows, saved.pop())
            if level:
                self.row_expansions[level - 1].put(rows)
                rows = self._expanded_row(level - 1)

    def _expanded(self, level: int) -> Tensor:
        """What the next coarser resolution says of this pixel."""
        return self.expansions[level].output(self.y >> level, self.x >> level)

    def _expanded_row(self, level: int) -> Tensor:
        """What the next coarser resolution says of this row."""
        return self.row_expansions[level].output(self.y >> level)


def _depth(position: int) -> int:
    """How many resolutions have a new row at a row, or a new column at a column."""
    return next((n for n in range(1, NUM_LEVELS) if position % 2**n), NUM_LEVELS)


class CachedBlocks:
    """A block of each stream."""

    def __init__(self, blocks: Blocks, batch: int, width: int) -> None:
        vertical, horizontal = blocks.vertical, blocks.horizontal
        self.rows = [RowConvolution(c, batch, width) for c in (vertical.first, vertical.second)]
        self.first = PixelConvolution(horizontal.first, batch, width)
        self.second = PixelConvolution(horizontal.second, batch, width)
        self.saved_rows, self.saved_bias = _shortcut(vertical)
        matrix, self.bias = _shortcut(horizontal)
        # The horizontal block sees the vertical stream first, then the earlier layer's.
        self.across, self.saved = matrix[: 2 * len(self.bias)], matrix[2 * len(self.bias) :]

    def start_row(self, rows: Tensor, saved: Tensor | None) -> Tensor:
        """The vertical block's output, and what the horizontal one gets from rows."""
        first, second = self.rows
        first.push(concat_elu(rows, 2))
        h = first.output()
        if saved is not None:
            h = h + concat_elu(saved, 2) @ self.saved_rows + self.saved_bias
        second.push(concat_elu(h, 2))
        rows = rows + glu(second.output(), 2)
        self.first.start_row()
        self.first.add(concat_elu(rows, 2) @ self.across + self.bias)
        self.second.start_row()
        return rows

    def pixel(self, x: int, h: Tensor, saved: Tensor | None) -> Tensor:
        """The horizontal block's output at a column, (B, C)."""
        self.first.put_concat_elu(x, h)
        inner = self.first.output(x)
        if saved is not None:
            inner.addmm_(concat_elu(saved), self.saved)
        self.second.put_concat_elu(x, inner)
        return h + glu(self.second.output(x), 1)


def _blocks(blocks: Sequence[Blocks], width: int, batch: int) -> list[CachedBlocks]:
    return [CachedBlocks(block, batch, width) for block in blocks]


def _shortcut(block: GatedBlock) -> tuple[Tensor, Tensor]:
    """Matrix and bias of a block's shortcut; of no rows if it has none."""
    if block.shortcut is None:
        return block.first.bias.new_zeros(0, len(block.first.bias)), block.first.bias.detach()
    return block.shortcut.matrix(), block.shortcut.bias.detach()
