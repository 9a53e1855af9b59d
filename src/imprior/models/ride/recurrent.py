"""The state of a RIDE's walk over a canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from imprior.distributions.exponential import exp
from imprior.models.ride import states
from imprior.models.ride.compiled import Floats
from imprior.models.ride.slstm import LARGEST_MEMORY, SpatialLSTM
from imprior.models.ride.walk import Walk
from imprior.transforms.causal import ConditionalWhitening, Indices

if TYPE_CHECKING:
    from imprior.models.ride.mixture import FactorizedMCGSM
    from imprior.models.ride.model import RIDE


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().double().cpu().contiguous().numpy()


def _single(array: Floats) -> states.Singles:
    return array.astype(np.float32)


def _on_pixels(whitening: ConditionalWhitening, levels: float) -> tuple[Floats, Floats]:
    """The map from integer pixels to whitened inputs, (D, D) and (D,).

    Pixel k stands for the value (k + 1/2) / levels.
    """
    matrix = np.ascontiguousarray(_array(whitening.whitener).T)
    middle = 0.5 / levels - _array(whitening.mean_x)[None]
    return matrix / levels, states.product(middle, matrix)[0]


def first_layer(layer: SpatialLSTM, whitening: ConditionalWhitening, levels: float) -> states.Layer:
    """A layer that sees whitened pixels, folded to see integers."""
    matrix, shift = _on_pixels(whitening, levels)
    rest = upper_layer(layer)
    by_input = rest.by_input.astype(np.float64)
    offset = states.product(shift[None], by_input)[0] + rest.offset
    folded = states.product(matrix, by_input)
    return states.Layer(_single(folded), rest.by_state, _single(offset))


def upper_layer(layer: SpatialLSTM) -> states.Layer:
    """A layer as it is."""
    weights = np.ascontiguousarray(_array(layer.weight).T)
    recurrent = layer.streams * layer.num_units
    parts = weights[recurrent:], weights[:recurrent], _array(layer.bias)
    return states.Layer(*(_single(part) for part in parts))


def head(
    mixture: FactorizedMCGSM, whitening: ConditionalWhitening, num_units: int, levels: float
) -> states.Head:
    """A mixture that sees states and the last of the whitened pixels, folded to see integers."""
    features, predictors = _array(mixture.features), _array(mixture.predictors)
    scale = float(whitening.scale)
    rows = np.concatenate([features, predictors.T * (levels / scale)], 1)
    matrix, shift = _on_pixels(whitening, levels)
    by_whitened = np.zeros((len(shift), rows.shape[1]))
    seen = len(rows) - num_units
    by_whitened[len(shift) - seen :] = rows[num_units:]
    by_whitened[:, features.shape[1] :] += _array(whitening.predictor)[:, None] * levels
    offset = states.product(shift[None], by_whitened)[0]
    offset[features.shape[1] :] += float(whitening.mean_y) * levels - 0.5
    alpha = _array(mixture.alpha).reshape(-1)
    return states.Head(
        _single(rows[:num_units]),
        states.product(matrix, by_whitened),
        offset,
        np.ascontiguousarray(_array(mixture.beta).T ** 2),
        _array(mixture.eta).reshape(-1),
        np.array([exp(a) for a in alpha]),
        np.array([exp(0.5 * a) * scale / levels for a in alpha]),
    )


class RecurrentWalk:
    """Padded integers and states of a canvas, kept up while its values come in.

    Arguments:
        model: The RIDE that walks.
        canvas: Integers (B, C, H, W) that the caller fills.
        slope: Columns by which a row is ahead of the next.
    """

    def __init__(self, model: RIDE, canvas: Tensor, slope: int) -> None:
        self.pixels = Walk(canvas, model.contexts, model.reach)
        self.slope = slope
        levels = float(2**model.config.bits)
        units = model.config.num_units
        self.layers = [first_layer(model.layers[0], model.whitening[0], levels)]
        self.layers += [upper_layer(layer) for layer in model.layers[1:]]
        pairs = zip(model.experts, model.whitening, strict=True)
        self.heads = [head(*pair, units, levels) for pair in pairs]
        # Pixel (0, 0) has no context: its inputs, after whitening, are zeros.
        self.bias = _single(_array(model.layers[0].bias))
        # A state is needed until the row below has come to its column.
        shape = (slope + 1, len(canvas), canvas.shape[2] + 1, units)
        self.h = [np.zeros(shape, np.float32) for _ in self.layers]
        self.c = [np.zeros(shape, np.float32) for _ in self.layers]
        self.state: states.Singles = np.zeros((0, units), np.float32)

    def advance(self, y: Indices, x: Indices, base: Indices) -> None:
        """Computes the states of a wavefront, given those of all before it."""
        time = int(x[0] + self.slope * y[0])
        here, left, up = (t % (self.slope + 1) for t in (time, time - 1, time - self.slope))
        seen, layer = self._context(0, y, base), self.layers[0]
        if y[0] == 0 and x[0] == 0:
            seen, layer = seen[:, :0], layer._replace(by_input=layer.by_input[:0], offset=self.bias)
        for number, (h, c) in enumerate(zip(self.h, self.c, strict=True)):
            layer = self.layers[number] if number else layer
            seen = states.advance(h, c, seen, (here, left, up), int(y[0]), *layer, LARGEST_MEMORY)
        self.state = seen

    def _context(self, plane: int, y: Indices, base: Indices) -> states.Singles:
        walk = self.pixels
        return states.pixels(
            walk.padded_values, base, y, walk.offsets[plane], walk.first_row[plane]
        )

    def mixtures(self, plane: int, y: Indices, base: Indices) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, means and inverse scales of the wavefront's pixels, (m, C * S) each."""
        parts = states.mixtures(self.state, self._context(plane, y, base), *self.heads[plane])
        return torch.from_numpy(parts[0]), torch.from_numpy(parts[1]), torch.from_numpy(parts[2])
