"""RIDE: spatial LSTMs summarise all that came before a pixel, a mixture of experts predicts it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from imprior.base import ExactModel, Step
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision
from imprior.models.ride import targets
from imprior.models.ride.config import RIDEConfig, contexts
from imprior.models.ride.diagonals import Diagonals, positions
from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.models.ride.pieces import Piece, Term
from imprior.models.ride.recurrent import RecurrentWalk
from imprior.models.ride.slstm import SpatialLSTM, State
from imprior.models.ride.walk import table
from imprior.transforms import causal

__all__ = ["RIDE", "RIDEConfig"]

CELLS_AT_ONCE = 1 << 11
"""Pixels whose contexts and states are held at once without gradients: a few MB."""


class RIDE(ExactModel):
    r"""Recurrent image density estimator: a mixture of experts given spatial LSTM states.

    .. math:: p(x) = \prod_{ij} p(x_{ij} \mid h_{ij}(x_{<ij}))

    The first layer sees the whitened causal neighbourhood of a pixel; through its recurrence the
    state of a pixel depends on everything above and to the left. Images may have any height and
    width; every pixel counts (see `transforms.causal` about borders). A value k of b bits is the
    interval [k, k + 1] / 2^b: `log_prob` integrates the mixture over it, `log_density_map` is the
    density of continuous images that the paper reports.

    Arguments:
        inputs: Planes behind the channels that are seen before a pixel but not modelled. With any,
            only `terms` and what is made of it can be asked, given the values of all planes.

    Source: Theis & Bethge (2015). Ours adds borders, several channels by the chain rule (the
    mixture of a channel sees the earlier channels of its pixel), and `direct` inputs.
    """

    config_class = RIDEConfig
    config: RIDEConfig

    def __init__(self, config: RIDEConfig, inputs: int = 0) -> None:
        super().__init__(config)
        self.inputs = inputs
        self.contexts = contexts(config, inputs)
        self.reach = self.contexts[0].reach
        dims = [len(context.offsets) for context in self.contexts]
        sees = [dims[0], *[config.num_units] * (config.num_layers - 1)]
        sizes = (config.num_components, config.num_scales, config.num_features)
        self.layers = targets.modules(
            SpatialLSTM(d, config.num_units, extended=config.extended) for d in sees
        )
        self.whitening = targets.modules(causal.ConditionalWhitening(d) for d in dims)
        self.experts = targets.modules(
            FactorizedMCGSM(config.num_units + (d if config.direct else plane), *sizes)
            for plane, d in enumerate(dims)
        )
        self.first_whitening = targets.modules(causal.ConditionalWhitening(0) for _ in dims)
        self.first = targets.modules(
            FactorizedMCGSM(0, config.num_first, 2, 0, means=True) for _ in dims
        )

    def _check_planes(self, given: int) -> None:
        if given != self.channels + self.inputs:
            raise ValueError(
                f"this RIDE sees {self.inputs} planes besides its {self.channels} channels: it is "
                f"no model of images by itself (got {given} planes)"
            )

    # -- values <-> what the mixtures see

    def unit(self, canvas: Tensor) -> Tensor:
        """The middles of the bins of integers, in the model's dtype."""
        return targets.unit(canvas, self.config.bits, self.whitening[0].mean_x.dtype)

    def bins(self, whitening: causal.ConditionalWhitening, inputs: Tensor, target: Tensor) -> Bins:
        """Integer targets (n,) as intervals of whitened outputs."""
        bounds = 0, 2**self.config.bits - 1
        return targets.bins(whitening, inputs, target, bounds, self.config.bits)

    # -- the parallel pass

    def log_prob_map(self, x: Tensor) -> Tensor:
        """Log-mass of every value given those before it, nats, float64 (B, C, H, W)."""
        self.check(x)
        return self._map(self.unit(x), x, 0)

    def log_density_map(self, x: Tensor, margin: int = 0) -> Tensor:
        """Log-density of continuous images, nats per value, float64 (B, C, H, W); differentiable.

        Arguments:
            x: Floats in [0, 1], usually (integers + uniform noise) / 2^bits, (B, C, H, W).
            margin: Pixels at the top, left and right that are context only, and 0 in the map.
                From `reach` on, every pixel that counts has a whole neighbourhood.
        """
        self.check_shape(x)
        if not x.is_floating_point():
            raise ValueError(f"a density is one of floats in [0, 1], got {x.dtype}")
        return self._map(x.to(self.whitening[0].mean_x.dtype), x, margin)

    def _map(self, values: Tensor, x: Tensor, margin: int) -> Tensor:
        result = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
        for plane, piece, log_prob in self.log_probs(values, x, margin):
            result[piece.image, plane, piece.y, piece.x] = log_prob.double()
        return result

    def log_probs(
        self, values: Tensor, x: Tensor, margin: int
    ) -> Iterator[tuple[int, Piece, Tensor]]:
        """Log-probabilities of pieces of all pixels: plane, which pixels, nats (n,).

        Arguments:
            values: Floats that contexts are made of, (B, C, H, W).
            x: What is predicted: integers for a mass, the same floats for a density.
            margin: As in `log_density_map`.
        """
        for piece, terms in self.terms(values, x, margin):
            for plane, parts in enumerate(terms):
                log_probs = [part.mixture.log_prob(part.x, part.y) + part.shift for part in parts]
                yield plane, piece, torch.cat(log_probs)

    def total_log_prob(self, values: Tensor, x: Tensor, margin: int) -> Tensor:
        """The sum of `log_probs` over all values, nats, float64; what training differentiates."""
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        for _, terms in self.terms(values, x, margin):
            for part in itertools.chain(*terms):
                total = total + part.mixture.total_log_prob(part.x, part.y)
                total = total + len(part.x) * part.shift
        return total

    def terms(
        self, values: Tensor, x: Tensor, margin: int
    ) -> Iterator[tuple[Piece, list[list[Term]]]]:
        """What the mixtures of each plane are asked about the pixels of each piece, in order."""
        self._check_planes(values.shape[1])
        padded = causal.pad(values, self.reach)
        for piece in self.pieces(padded, values.shape, margin):
            planes = range(self.channels)
            yield piece, [self._terms(padded, x, plane, piece) for plane in planes]

    def pieces(self, padded: Tensor, shape: torch.Size, margin: int) -> Iterator[Piece]:
        """The hidden states of all pixels, diagonal after diagonal; at once with gradients."""
        batch, _, height, width = shape
        if min(batch, height - margin, width - 2 * margin) < 1:
            return
        diagonals = Diagonals(batch, height - margin, width - 2 * margin)
        blocks = diagonals.blocks(CELLS_AT_ONCE)
        if torch.is_grad_enabled():
            blocks = [(0, len(diagonals))]
        states: list[State | None] = [None] * len(self.layers)
        for first, stop in blocks:
            image, y, x = (t.to(padded.device) for t in positions(diagonals, first, stop))
            y, x = y + margin, x + margin
            inputs = self._inputs(padded, 0, image, y, x)
            # Pixel (0, 0) has no context: what was gathered there is itself.
            h = inputs * ((y > 0) | (x > 0))[:, None] if y[0] == 0 and x[0] == 0 else inputs
            for number, layer in enumerate(self.layers):
                if torch.is_grad_enabled():
                    h = layer(h, diagonals)
                else:
                    h, states[number] = layer.advance(h, diagonals, first, stop, states[number])
            yield Piece(image, y, x, inputs, h)

    def _inputs(self, padded: Tensor, plane: int, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Whitened contexts of pixels of a plane, (n, D)."""
        context, whitening = self.contexts[plane], self.whitening[plane]
        return whitening.inputs(causal.gather(padded, self.reach, context, y, x, image))

    def _terms(self, padded: Tensor, x: Tensor, plane: int, piece: Piece) -> list[Term]:
        image, y, column, inputs, hidden = piece
        target, whitening = x[image, plane, y, column], self.whitening[plane]
        if plane > 0:
            inputs = self._inputs(padded, plane, image, y, column)
        own = 0 if self.config.direct else len(self.contexts[0].offsets)
        seen = torch.cat([hidden, inputs[:, own:]], 1)
        # The first pixels of all images, which have no context, come first.
        first = int(((y == 0) & (column == 0)).sum())
        nothing = seen.new_zeros(first, 0)
        parts = (
            (self.first[plane], self.first_whitening[plane], nothing, nothing, target[:first]),
            (self.experts[plane], whitening, seen[first:], inputs[first:], target[first:]),
        )
        return [self._term(*part) for part in parts if len(part[-1])]

    def _term(
        self,
        mixture: FactorizedMCGSM,
        whitening: causal.ConditionalWhitening,
        seen: Tensor,
        inputs: Tensor,
        target: Tensor,
    ) -> Term:
        if not target.is_floating_point():
            bins = self.bins(whitening, inputs, target)
            return Term(mixture, seen, bins, torch.zeros_like(whitening.scale))
        return Term(mixture, seen, whitening.outputs(inputs, target), whitening.log_jacobian)

    # -- the walk

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks in wavefronts; see `imprior.base.ExactModel.conditionals`."""
        self._check_planes(canvas.shape[1])
        bits, planes = self.config.bits, range(self.channels)
        slope = 1 + max(dx for _, _, dx in self.contexts[0].offsets)
        first = [table(*pair, bits) for pair in zip(self.first, self.first_whitening, strict=True)]
        walk = RecurrentWalk(self, canvas, slope)
        for y, x in causal.wavefronts(canvas.shape[-2], canvas.shape[-1], slope):
            for plane in planes:
                where, base = walk.pixels.positions(plane, y, x)
                if plane == 0:
                    walk.advance(y, x, base)
                if y[0] == 0 and x[0] == 0:
                    mixtures = walk.pixels.mixtures(first[plane], plane, y, base)
                else:
                    mixtures = walk.mixtures(plane, y, base)
                positions = torch.from_numpy(where)
                low = torch.zeros_like(positions)
                high = torch.full_like(positions, 2**bits - 1)
                yield Step(positions, BinnedMixture(*mixtures, low, high, precision(bits)))
                walk.pixels.place(plane, where, y, x)
