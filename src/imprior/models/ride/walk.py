"""The state of an MCGSM's walk over a canvas."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imprior.models.ride import compiled
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.transforms.causal import ConditionalWhitening, Context, Indices, flat_offsets, pad


def table(mixture: FactorizedMCGSM, whitening: ConditionalWhitening, bits: int) -> compiled.Table:
    """A mixture and its whitening as the compiled walk takes them."""
    means = mixture.eta.new_zeros(len(mixture.eta)) if mixture.means is None else mixture.means
    parts = compiled.fold(
        _array(whitening.mean_x),
        _array(whitening.whitener),
        float(whitening.mean_y),
        _array(whitening.predictor),
        float(whitening.scale),
        _array(mixture.features),
        _array(mixture.predictors),
        _array(means),
        _array(mixture.beta),
        _array(mixture.eta),
        _array(mixture.alpha),
        float(2**bits),
    )
    return compiled.Table(*parts)


def _array(tensor: Tensor) -> compiled.Floats:
    return tensor.detach().double().cpu().contiguous().numpy()


class Walk:
    """The padded integers of a canvas, kept up while its values come in.

    Arguments:
        canvas: Integers (B, C, H, W) that the caller fills.
        contexts: What each plane conditions on.
        reach: Pixels of padding.
    """

    def __init__(self, canvas: Tensor, contexts: Sequence[Context], reach: int) -> None:
        self.canvas = canvas
        self.reach = reach
        self.batch, channels, self.height, self.width = canvas.shape
        shape = (channels, self.height + 2 * reach, self.width + 2 * reach)
        self.padded = torch.zeros(self.batch, *shape, dtype=torch.int64)
        self.offsets = [flat_offsets(context.offsets, shape).numpy() for context in contexts]
        self.first_row = [flat_offsets(context.first_row(), shape).numpy() for context in contexts]
        # A picture takes thousands of steps of a hundred pixels: NumPy views are made once.
        self.values = canvas.view(-1).numpy()
        self.padded_values = self.padded.view(-1).numpy()
        self.padded_planes = [self.padded[:, plane].numpy() for plane in range(channels)]

    def positions(self, plane: int, y: Indices, x: Indices) -> tuple[Indices, Indices]:
        """Where the pixels of a plane lie in the flat canvas and the flat padded canvas."""
        pixels = self.height * self.width
        sizes = (self.canvas.stride(0), plane * pixels, self.width)
        padded_sizes = (self.padded.stride(0), self.padded.shape[3], self.reach)
        return compiled.positions(y, x, self.batch, *sizes, *padded_sizes)

    def mixtures(
        self, table: compiled.Table, plane: int, y: Indices, base: Indices
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, means and inverse scales of the pixels at `base`, (n, C * S) each."""
        offsets = (self.offsets[plane], self.first_row[plane])
        if not len(table.matrix):  # the first pixel: no context
            offsets = (offsets[0][:0], offsets[1][:0])
        parts = compiled.mixtures(self.padded_values, base, y, *offsets, *table)
        return torch.from_numpy(parts[0]), torch.from_numpy(parts[1]), torch.from_numpy(parts[2])

    def place(self, plane: int, where: Indices, y: Indices, x: Indices) -> None:
        """Takes over the values that the caller has written to the canvas."""
        planes = self.padded_planes[plane]
        compiled.place(self.values, where, planes, y, x, self.width, self.reach)

    def finish(self, plane: int) -> None:
        """Pads a complete plane on all sides, for the planes that see all of it."""
        self.padded[:, plane] = pad(self.canvas[:, plane], self.reach)
