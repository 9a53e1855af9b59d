"""A fit goes on exactly where it stopped, keeps what validation liked best, and knows its end."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.train.samples import Whitened
from imprior.train.stages import Data, Fit, Stage
from tests.models.mixtures import bins, toy

ADAM = Stage("adam", "density", steps=9, batch=64, learning_rate=0.05, check_every=2, patience=99)
LBFGS = Stage("lbfgs", "density", steps=9, check_every=2, patience=99)
ADAM_MASS = Stage("adam", "mass", steps=4, batch=50, learning_rate=0.02, check_every=3)
LBFGS_MASS = Stage("lbfgs", "mass", steps=4, check_every=2)
PLANS = [
    pytest.param((ADAM,), id="adam"),
    pytest.param((LBFGS,), id="lbfgs"),
    pytest.param((ADAM, LBFGS, ADAM_MASS), id="three"),
    pytest.param((LBFGS_MASS, ADAM_MASS), id="mass"),
]


def dataset(training: int = 300, validation: int = 200) -> Data:
    """A Gaussian scale mixture whose contexts say how wide the output is."""
    spread = torch.tensor([0.2, 1.5])[torch.randint(2, (training + validation,))]
    z = spread[:, None] * torch.randn(len(spread), 6)
    x, y = z[:, 1:], z[:, 0] + 0.5 * z[:, 1]

    def part(rows: slice) -> tuple[Whitened[Tensor], Whitened[Bins]]:
        return Whitened(x[rows], y[rows]), Whitened(x[rows], bins(y[rows]))

    return Data(*part(slice(training)), *part(slice(training, None)), log_jacobian=0.7)


def start(seed: int = 0) -> FactorizedMCGSM:
    torch.manual_seed(seed)
    return toy((5, 3, 2, 4, True)).float()


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return dict(torch.load(file, weights_only=True))


def weights(fit: Fit) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in fit.mixture.state_dict().items()}


def finish(fit: Fit) -> Fit:
    while not fit.done:
        fit.advance()
    return fit


# -- going on


@pytest.mark.parametrize("stages", PLANS)
def test_resumed_fit_ends_with_the_same_weights(stages: tuple[Stage, ...]) -> None:
    data = dataset()
    fit = Fit(start(), data, stages)
    states = [copied(fit.state())]
    while not fit.done:
        fit.advance()
        states.append(copied(fit.state()))
    assert len(states) > 3
    for state in states:
        resumed = Fit(start(seed=99), data, stages)
        resumed.load_state(state)
        assert (resumed.stage_number, resumed.bits) == (state["stage_number"], state["bits"])
        finish(resumed)
        assert resumed.bits == fit.bits
        for name, expected in weights(fit).items():
            assert torch.equal(resumed.mixture.state_dict()[name], expected), name


def test_fit_is_the_same_when_repeated_and_moves_every_parameter() -> None:
    data = dataset()
    first, again = (weights(finish(Fit(start(), data, (ADAM, LBFGS)))) for _ in range(2))
    for name, value in start().state_dict().items():
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], value), name


# -- what is kept


@pytest.mark.parametrize("stage", [ADAM, LBFGS, ADAM_MASS, LBFGS_MASS])
def test_fit_improves(stage: Stage) -> None:
    data = dataset()
    mixture = start()
    before = data.loss(mixture, stage)
    fit = finish(Fit(mixture, data, (replace(stage, steps=150, check_every=50),)))
    assert data.loss(mixture, stage) == fit.bits < before - 0.3


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_weights_that_did_best_on_validation_are_kept(method: Any) -> None:
    data = dataset(training=12)  # so few that the fit soon gets worse elsewhere
    stage = Stage(method, "density", 60, batch=12, learning_rate=0.1, check_every=3, patience=99)
    fit = Fit(start(), data, (stage,))
    seen = [(fit.bits, weights(fit))]
    while fit.step + 3 < stage.steps:
        fit.advance()
        seen.append((fit.bits, weights(fit)))
    last = fit.bits
    finish(fit)
    best_bits, best = min(seen, key=lambda pair: pair[0])
    assert best_bits < last
    assert fit.bits == best_bits == data.loss(fit.mixture, stage)
    assert all(torch.equal(value, best[name]) for name, value in weights(fit).items())


def test_broken_numbers_end_a_stage_with_the_best_weights() -> None:
    data = dataset()
    fit = Fit(start(), data, (LBFGS, ADAM))
    fit.advance()
    best = fit.best_bits
    with torch.no_grad():
        fit.mixture.alpha.fill_(math.nan)
    fit.advance()
    assert fit.stage is ADAM
    assert data.loss(fit.mixture, ADAM) == fit.bits == best


# -- when it ends


def test_stage_ends_after_its_steps() -> None:
    for stage in (ADAM, LBFGS):
        fit = Fit(start(), dataset(), (stage,))
        steps = []
        while not fit.done:
            fit.advance()
            steps.append(fit.step)
        assert steps == [2, 4, 6, 8, 0]  # the ninth step ends it


def test_lbfgs_ends_when_patience_does() -> None:
    stage = Stage("lbfgs", "density", steps=1000, check_every=2, patience=3)
    fit = Fit(start(), dataset(training=12), (stage, ADAM))
    bits = [fit.bits]
    while fit.stage is stage:
        fit.advance()
        bits.append(fit.bits)
    assert len(bits) - 1 == bits.index(min(bits)) + 3 < 100


def test_adam_ends_with_its_schedule_alone() -> None:
    stage = Stage("adam", "density", steps=12, learning_rate=0.0, check_every=2, patience=1)
    fit = Fit(start(), dataset(), (stage,))
    for _ in range(5):
        fit.advance()
        assert not fit.done
    fit.advance()
    assert fit.done


def test_learning_rate_rises_stays_and_falls() -> None:
    stage = Stage("adam", "density", steps=1000, learning_rate=0.5, check_every=1, patience=9999)
    fit = Fit(start(), dataset(20, 20), (stage,))
    rates = []
    for step in (0, 49, 99, 299, 650, 998):
        fit.step = step
        fit.advance()
        rates.append(fit.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.005, 0.25, 0.5, 0.5, 0.25, 0.0], abs=1e-4)


def test_loss_is_bits_per_value() -> None:
    data, mixture = dataset(), start()
    points, bins = data.validation_points, data.validation_bins
    assert bins is not None
    with torch.no_grad():
        nats = mixture.log_prob(*points).double().mean().item()
        mass = mixture.log_prob(*bins).double().mean().item()
    assert data.loss(mixture, ADAM) == pytest.approx(-(nats + 0.7) / math.log(2), abs=1e-12)
    assert data.loss(mixture, ADAM_MASS) == pytest.approx(-mass / math.log(2), abs=1e-12)


def test_a_mass_needs_bins() -> None:
    data = replace(dataset(), bins=None, validation_bins=None)
    assert math.isfinite(data.loss(start(), ADAM))
    with pytest.raises(ValueError, match="needs integers"):
        data.training(ADAM_MASS)
