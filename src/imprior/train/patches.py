"""Training of a model of patches: what `fit` takes of a `PatchRIDE`, and where it starts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from imprior.models.ride.patches import PatchRIDE
from imprior.train.finetune import initialize_heads
from imprior.transforms import causal


def as_patches(columns: Tensor, height: int) -> Tensor:
    """Columns of patches, (B, 1, n * height, W), as patches, (B * n, 1, height, W)."""
    return columns.reshape(-1, 1, height, columns.shape[3])


class PatchObjective(nn.Module):
    """What `fit` trains: a patch RIDE, on columns of dequantized patches.

    See `imprior.data.columns.PatchColumns` and `imprior.data.dequantization.Dequantized`.
    """

    def __init__(self, model: PatchRIDE) -> None:
        super().__init__()
        self.model = model

    def loss(self, batch: Tensor) -> Tensor:
        """Nats per scored dimension, of densities told in units of grey levels."""
        config = self.model.config
        x = as_patches(batch, config.height)
        total = self.model.total_log_prob(x)
        return config.ride.bits * math.log(2) - total / (len(x) * config.num_scored)

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        """The loss in bits."""
        return {"bits_per_dim": self.loss(batch) / math.log(2)}


@torch.no_grad()
def initialize(model: PatchRIDE, x: Tensor, generator: torch.Generator) -> None:
    """Fits the whitening to patches (B, 1, H, W), and starts layers and mixture afresh.

    Indicators of what is outside stay as they are: whitened, rare ones would become large, and
    those that always agree would be divided by nothing.
    """
    ride = model.ride
    if model.config.remove_dc:
        x = x - x.mean((2, 3), keepdim=True)
    framed = model.framed(x)
    inputs, targets = _contexts(model, framed)
    whitening, (context,) = ride.whitening[0], ride.contexts
    pixels = sum(plane == 0 for plane, _, _ in context.offsets)
    part = causal.ConditionalWhitening(pixels)
    part.fit(inputs[:, :pixels], targets)
    whitening.load_state_dict(causal.ConditionalWhitening(len(context.offsets)).state_dict())
    whitening.mean_x[:pixels], whitening.predictor[:pixels] = part.mean_x, part.predictor
    whitening.whitener[:pixels, :pixels] = part.whitener
    whitening.mean_y.copy_(part.mean_y)
    whitening.scale.copy_(part.scale)
    for layer in ride.layers:
        layer.initialize(generator)
    initialize_heads(ride, generator)


def _contexts(model: PatchRIDE, framed: Tensor) -> tuple[Tensor, Tensor]:
    """Neighbourhoods and values of all pixels of framed patches, (N, D) and (N,)."""
    reach, (context,) = model.ride.reach, model.ride.contexts
    pixels = (torch.arange(len(framed)), *(torch.arange(n) for n in _size(model)))
    grid = torch.meshgrid(*pixels, indexing="ij")
    image, y, x = (t.flatten() for t in grid)
    y, x = y + reach, x + reach
    padded = causal.pad(framed, reach)
    return causal.gather(padded, reach, context, y, x, image), framed[image, 0, y, x]


def _size(model: PatchRIDE) -> tuple[int, int]:
    return model.config.height, model.config.width
