"""What is fitted in closed form or by L-BFGS while the layers of a RIDE rest."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.models.ride.model import RIDE
from imprior.models.ride.pieces import Term
from imprior.train.samples import Whitened
from imprior.train.stages import Data, Fit, Stage
from imprior.transforms import causal

FIRST_PIXELS = 20_000
LOOKED_AT = 10_000  # pixels that mixtures start from


@torch.no_grad()
def prepare(model: RIDE, batch: Tensor, borders: bool) -> None:
    """Fits whitening, and the mixtures of the first pixel, to a batch of patches.

    Arguments:
        batch: Integers, or floats with noise, (B, C, H, W).
        borders: Whether pixels without a whole neighbourhood count.
    """
    values = batch if batch.is_floating_point() else model.unit(batch)
    padded, margin = causal.pad(values, model.reach), 0 if borders else model.reach
    _, _, height, width = batch.shape
    rows, columns = torch.arange(margin, height), torch.arange(margin, width - margin)
    images = torch.arange(len(batch))
    image, y, x = (t.flatten() for t in torch.meshgrid(images, rows, columns, indexing="ij"))
    inside = (y > 0) | (x > 0)
    image, y, x = image[inside], y[inside], x[inside]
    for plane, context in enumerate(model.contexts):
        inputs = causal.gather(padded, model.reach, context, y, x, image)
        model.whitening[plane].fit(inputs, values[image, plane, y, x])
        _fit_first(model, plane, batch[:, plane].flatten()[:FIRST_PIXELS])


def _fit_first(model: RIDE, plane: int, target: Tensor) -> None:
    """Fits the mixture of the first pixel: to pixels anywhere, as there are few first ones."""
    whitening, mixture = model.first_whitening[plane], model.first[plane]
    nothing = target.new_zeros(len(target), 0, dtype=whitening.scale.dtype)
    integers = not target.is_floating_point()
    values = model.unit(target) if integers else target
    whitening.fit(nothing, values)
    points = Whitened(nothing, whitening.outputs(nothing, values))
    bins = Whitened(nothing, model.bins(whitening, nothing, target)) if integers else None
    mixture.initialize(*points, torch.Generator().manual_seed(0))
    data = Data(points, bins, points, bins, float(whitening.log_jacobian))
    _run(mixture, data, Stage("lbfgs", "mass" if integers else "density", 60, check_every=20))


@torch.no_grad()
def initialize_heads(model: RIDE, generator: torch.Generator) -> None:
    """Starts the mixtures while states know nothing: random numbers stand for them."""
    for mixture in model.experts:
        seen = torch.randn(LOOKED_AT, mixture.num_inputs, generator=generator)
        mixture.initialize(seen.to(mixture.eta.dtype), seen[:, 0], generator)
        # Gates that follow states closely before these mean something slow the start down.
        mixture.features.mul_(0.5)


@torch.no_grad()
def initialize_direct(model: RIDE, batch: Tensor, generator: torch.Generator) -> None:
    """Starts mixtures that see neighbourhoods beside states, as an MCGSM starts.

    Arguments:
        batch: Patches whose neighbourhoods are looked at, (B, C, H, W).
        generator: Of what makes components differ.
    """
    values = batch if batch.is_floating_point() else model.unit(batch)
    padded = causal.pad(values, model.reach)
    image, y, x = (_inner(values, model.reach)[:, :LOOKED_AT]).unbind()
    for plane, mixture in enumerate(model.experts):
        inputs = causal.gather(padded, model.reach, model.contexts[plane], y, x, image)
        inputs = model.whitening[plane].inputs(inputs)
        mixture.initialize(inputs, inputs[:, 0], generator, silent=model.config.num_units)


def _inner(values: Tensor, margin: int) -> Tensor:
    """Image, row and column of pixels with whole neighbourhoods, in random order, (3, n)."""
    batch, _, height, width = values.shape
    axes = torch.arange(batch), torch.arange(margin, height), torch.arange(margin, width - margin)
    places = torch.stack([t.flatten() for t in torch.meshgrid(*axes, indexing="ij")])
    order = torch.randperm(places.shape[1], generator=torch.Generator().manual_seed(0))
    return places[:, order]


def finetune(model: RIDE, batch: Tensor, held_out: Tensor, margin: int, steps: int) -> None:
    """Fits the mixtures by L-BFGS given the states, as the published training does.

    Arguments:
        batch, held_out: Patches, integers or floats with noise, (B, C, H, W); the second decide
            when to stop.
        margin: Pixels at the top, left and right that are context only.
        steps: Iterations.
    """
    for plane, mixture in enumerate(model.experts):
        (points, bins), (held_points, held_bins) = (
            _asked(model, some, margin, plane) for some in (batch, held_out)
        )
        target: Literal["density", "mass"] = "mass" if bins else "density"
        data = Data(points, bins, held_points, held_bins, 0.0)
        _run(mixture, data, Stage("lbfgs", target, steps, check_every=10))


@torch.no_grad()
def _asked(
    model: RIDE, batch: Tensor, margin: int, plane: int
) -> tuple[Whitened[Tensor], Whitened[Bins] | None]:
    """All that a plane's mixture is asked about a batch, apart from first pixels.

    Of integers there are bins; nobody looks at the points beside them.
    """
    values = batch if batch.is_floating_point() else model.unit(batch)
    terms: list[Term] = []
    for _, planes in model.terms(values, batch, margin):
        terms += [term for term in planes[plane] if term.mixture is model.experts[plane]]
    x = torch.cat([term.x for term in terms])
    bins = [term.y for term in terms if isinstance(term.y, Bins)]
    if bins:
        joined = Bins(*(torch.cat(parts) for parts in zip(*bins, strict=True)))
        return Whitened(x, torch.full_like(x[:, 0], math.nan)), Whitened(x, joined)
    points = [term.y for term in terms if isinstance(term.y, Tensor)]
    return Whitened(x, torch.cat(points)), None


def _run(mixture: FactorizedMCGSM, data: Data, stage: Stage) -> None:
    with torch.enable_grad():
        fit = Fit(mixture, data, (stage,))
        while not fit.done:
            fit.advance()
