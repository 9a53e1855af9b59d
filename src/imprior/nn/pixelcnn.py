"""PixelCNN++: what came before a pixel, summarised by convolutions at three resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, elu, glu

from imprior.nn.shifted import POINT, Enlargement, ShiftedConvolution, Window

NUM_LEVELS = 3
ROWS = Window(2, 3, above=1, before=1)
PIXELS = Window(2, 2, above=1, before=1)
# Of the image itself, what the two streams see first: all of it before the pixel.
FIRST_ROWS = Window(2, 3, above=2, before=1)
FIRST_ABOVE = Window(1, 3, above=1, before=1)
FIRST_LEFT = Window(2, 1, above=1, before=1)


def concat_elu(x: Tensor, dim: int = 1) -> Tensor:
    """The ELU of x and of -x side by side: (B, N, H, W) -> (B, 2 N, H, W)."""
    return elu(torch.cat([x, -x], dim))


class Streams(NamedTuple):
    """Activations of both streams, (B, num_filters, H, W) each.

    Attributes:
        vertical: Of all rows above.
        horizontal: Of all rows above and of all pixels to the left.
    """

    vertical: Tensor
    horizontal: Tensor


class GatedBlock(nn.Module):
    r"""A gated residual block.

    .. math::
        y = x + a \odot \sigma(b), \quad
        (a, b) = W_2 * \phi(W_1 * \phi(x) + W_s\, \phi(s)),

    with :math:`\phi` the concatenated ELU and s what comes in from elsewhere.

    Arguments:
        num_filters: Channels of x, y and each of the tensors that come in.
        window: What the convolutions see.
        num_shortcuts: How many tensors come in.
    """

    def __init__(self, num_filters: int, window: Window, num_shortcuts: int) -> None:
        super().__init__()
        self.first = ShiftedConvolution(2 * num_filters, num_filters, window)
        self.shortcut: ShiftedConvolution | None = None
        if num_shortcuts:
            self.shortcut = ShiftedConvolution(2 * num_filters * num_shortcuts, num_filters, POINT)
        # A new block changes little.
        self.second = ShiftedConvolution(2 * num_filters, 2 * num_filters, window, length=0.3)

    def forward(self, x: Tensor, shortcuts: Sequence[Tensor], rate: float) -> Tensor:
        """The block's output; `rate` is that of the dropout."""
        h = self.first(concat_elu(x))
        if self.shortcut is not None:
            h = h + self.shortcut(torch.cat([concat_elu(s) for s in shortcuts], 1))
        h = concat_elu(h)
        if rate:
            h = dropout(h, rate)
        return x + glu(self.second(h), 1)


class Blocks(nn.Module):
    """A block of each stream; the horizontal one sees the vertical one's output.

    Arguments:
        num_filters: Channels of each stream.
        saved: Whether both also see the streams of an earlier layer.
    """

    def __init__(self, num_filters: int, *, saved: bool) -> None:
        super().__init__()
        self.vertical = GatedBlock(num_filters, ROWS, int(saved))
        self.horizontal = GatedBlock(num_filters, PIXELS, 1 + int(saved))

    def forward(self, x: Streams, saved: Streams | None, rate: float) -> Streams:
        """Both streams; `rate` is that of the dropout."""
        others = ((), ()) if saved is None else ((saved.vertical,), (saved.horizontal,))
        vertical = self.vertical(x.vertical, others[0], rate)
        return Streams(vertical, self.horizontal(x.horizontal, (vertical, *others[1]), rate))


class Reduction(nn.Module):
    """To half the resolution, by convolutions of stride 2."""

    def __init__(self, num_filters: int) -> None:
        super().__init__()
        self.vertical = ShiftedConvolution(num_filters, num_filters, ROWS, stride=2)
        self.horizontal = ShiftedConvolution(num_filters, num_filters, PIXELS, stride=2)

    def forward(self, x: Streams) -> Streams:
        """(H, W) -> (ceil(H / 2), ceil(W / 2))."""
        return Streams(self.vertical(x.vertical), self.horizontal(x.horizontal))


class Expansion(nn.Module):
    """To twice the resolution, by transposed convolutions."""

    def __init__(self, num_filters: int) -> None:
        super().__init__()
        self.vertical = Enlargement(num_filters, 3)
        self.horizontal = Enlargement(num_filters, 2)

    def forward(self, x: Streams, height: int, width: int) -> Streams:
        """(ceil(height / 2), ceil(width / 2)) -> (height, width)."""
        vertical = self.vertical(x.vertical, height, width)
        return Streams(vertical, self.horizontal(x.horizontal, height, width))


class PixelCNNNetwork(nn.Module):
    """The network of PixelCNN++: each output pixel depends on the pixels before it alone.

    Before means above, or to the left in the same row. Images may have any size: half of an odd
    number of rows or columns is rounded up, and what stands over is cut off on the way back.

    Arguments:
        in_channels: Of the images.
        out_channels: Of the output.
        num_filters: Channels of each stream at every resolution.
        num_blocks: Blocks at each resolution; on the way back one more at the two finer ones.
        dropout: Fraction of activations that `forward` drops in training mode.

    Source: Salimans, Karpathy, Chen & Kingma (2017), Sec. 2.3 to 2.5. Ours starts at fixed lengths
    of the weights (`Normalized`), sees padding where there are no ones, and takes any size.

    Example:
        >>> network = PixelCNNNetwork(3, 10, num_filters=8, num_blocks=1)
        >>> network(torch.zeros(2, 3, 5, 7)).shape
        torch.Size([2, 10, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_filters: int,
        num_blocks: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        inputs = in_channels + 1
        self.first_rows = ShiftedConvolution(inputs, num_filters, FIRST_ROWS)
        self.first_above = ShiftedConvolution(inputs, num_filters, FIRST_ABOVE)
        self.first_left = ShiftedConvolution(inputs, num_filters, FIRST_LEFT)
        coarsest, finer = NUM_LEVELS - 1, range(NUM_LEVELS - 1)
        self.encoder = _levels([num_blocks] * NUM_LEVELS, num_filters, saved=False)
        self.reductions = cast(
            "Sequence[Reduction]", nn.ModuleList(Reduction(num_filters) for _ in finer)
        )
        sizes = [num_blocks + (level < coarsest) for level in range(NUM_LEVELS)]
        self.decoder = _levels(sizes, num_filters, saved=True)
        self.expansions = cast(
            "Sequence[Expansion]", nn.ModuleList(Expansion(num_filters) for _ in finer)
        )
        self.head = ShiftedConvolution(num_filters, out_channels, POINT, length=0.3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W), floats in [-1, 1] -> (B, out, H, W); with dropout in training mode."""
        return self._run(x, self.dropout if self.training else 0.0)

    def evaluate(self, x: Tensor) -> Tensor:
        """The same without dropout, in any mode."""
        return self._run(x, 0.0)

    def _run(self, x: Tensor, rate: float) -> Tensor:
        # Ones tell the image from what is beyond it.
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        first = Streams(self.first_rows(x), self.first_above(x) + self.first_left(x))
        saved = [first]
        for level, blocks in enumerate(self.encoder):
            if level:
                saved.append(self.reductions[level - 1](saved[-1]))
            for block in blocks:
                saved.append(block(saved[-1], None, rate))
        streams = saved.pop()
        for level in reversed(range(NUM_LEVELS)):
            for block in self.decoder[level]:
                streams = block(streams, saved.pop(), rate)
            if level:
                height, width = saved[-1].vertical.shape[2:]
                streams = self.expansions[level - 1](streams, height, width)
        return self.head(elu(streams.horizontal))


def _levels(sizes: Sequence[int], num_filters: int, *, saved: bool) -> Sequence[Sequence[Blocks]]:
    """So many blocks at each resolution."""
    levels = (nn.ModuleList(Blocks(num_filters, saved=saved) for _ in range(n)) for n in sizes)
    return cast("Sequence[Sequence[Blocks]]", nn.ModuleList(levels))
