"""Training of a patch RIDE: what counts, and where it starts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from imprior.data.columns import PatchColumns
from imprior.data.dequantization import Dequantized
from imprior.models.ride.patches import PatchRIDE, PatchRIDEConfig
from imprior.models.ride.pieces import Piece
from imprior.train.config import FitConfig
from imprior.train.fit import fit
from imprior.train.patches import PatchObjective, as_patches, initialize
from tests.models.mcgsms import assert_close, smooth
from tests.models.rides import CONFIG

HEIGHT, WIDTH = 4, 3
DRAWN = {"count": 6, "length": 40}


def columns(**options: int) -> Dequantized:
    images = [smooth(8, 1, 24, 24)[0] for _ in range(3)]
    return Dequantized(PatchColumns(images, HEIGHT, WIDTH, **DRAWN | options), 8)


def started(batch: Tensor, *, remove_dc: bool = True) -> PatchRIDE:
    torch.manual_seed(0)
    model = PatchRIDE(PatchRIDEConfig(replace(CONFIG, bits=8), HEIGHT, WIDTH, remove_dc))
    initialize(model, as_patches(batch, HEIGHT), torch.Generator().manual_seed(1))
    return model


def test_columns_are_patches_below_one_another() -> None:
    x = torch.rand(5, 1, HEIGHT, WIDTH)
    stacked = torch.stack([torch.cat(list(x[:3]), 1), torch.cat([x[3], x[4], x[0]], 1)])
    assert torch.equal(as_patches(stacked, HEIGHT), torch.cat([x, x[:1]]))


def test_loss_is_nats_per_scored_dimension_in_grey_levels() -> None:
    batch = torch.stack(list(columns()))
    for remove_dc in (True, False):
        model = started(batch, remove_dc=remove_dc)
        objective, x = PatchObjective(model), as_patches(batch, HEIGHT)
        bits = model.bits_per_dim(x).mean() + 8
        assert_close(objective.metrics(batch)["bits_per_dim"], bits, 1e-5)
        assert_close(objective.loss(batch), bits * math.log(2), 1e-5)


def test_pixels_start_white_and_indicators_as_they_are() -> None:
    batch = torch.stack(list(columns()))
    model, x = started(batch), as_patches(batch, HEIGHT)
    x = x - x.mean((2, 3), keepdim=True)
    with torch.no_grad():
        pieces: list[tuple[Piece, Tensor]] = [(p, targets) for p, _, _, targets in model.pieces(x)]
    inputs = torch.cat([piece.inputs for piece, _ in pieces])
    targets = torch.cat([targets for _, targets in pieces])
    pixels, indicators = inputs.chunk(2, 1)
    covariance = torch.cov(pixels.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(len(covariance)), rtol=0, atol=1e-3)
    assert set(indicators.unique().tolist()) == {0, 1}
    assert abs(targets.mean()) < 1e-3 and abs(targets.square().mean() - 1) < 1e-3
    assert (pixels.T @ targets / len(targets)).abs().max() < 1e-3


def test_fit_takes_it(tmp_path: Path) -> None:
    drawn = columns(length=200)
    model = started(torch.stack(list(columns())))
    before = PatchObjective(model).metrics(torch.stack(list(columns())))["bits_per_dim"].item()
    config = FitConfig(60, 2, 0.02, weight_average=0.9, validate_every=30, validation_batch=20)
    result = fit(PatchObjective(model), drawn, columns(), config, tmp_path / "run")
    assert result.best < before - 0.1
