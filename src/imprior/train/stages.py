"""Training of shallow models: mini-batches to get near, full-batch L-BFGS to arrive."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.train.samples import Whitened

Method = Literal["adam", "lbfgs"]


@dataclass(frozen=True)
class Stage:
    """One stage of a fit.

    Attributes:
        method: "adam" on mini-batches or "lbfgs" on all data.
        target: Fit the "density" of dequantized values, or the "mass" of integers.
        steps: Mini-batches, or L-BFGS iterations.
        batch: Pixels in a mini-batch.
        learning_rate: Of Adam; constant for 30 % of the steps, then falls as a cosine.
        check_every: Steps between looks at the validation data.
        patience: Looks without improvement after which L-BFGS ends.
    """

    method: Method
    target: Literal["density", "mass"]
    steps: int
    batch: int = 8192
    learning_rate: float = 0.01
    check_every: int = 500
    patience: int = 10


@dataclass(frozen=True)
class Data:
    """Training and validation data of one mixture, as points and, for integers, as bins.

    Attributes:
        points, bins: What is fitted.
        validation_points, validation_bins: What decides which weights are kept.
        log_jacobian: Of the values in whose units densities are told to the whitened ones, nats.
    """

    points: Whitened[Tensor]
    bins: Whitened[Bins] | None
    validation_points: Whitened[Tensor]
    validation_bins: Whitened[Bins] | None
    log_jacobian: float

    def training(self, stage: Stage) -> Whitened[Tensor] | Whitened[Bins]:
        """What a stage fits.

        Raises:
            ValueError: If it is to fit a mass and there are no bins.
        """
        return self._chosen(stage, self.points, self.bins)

    def _chosen(
        self, stage: Stage, points: Whitened[Tensor], bins: Whitened[Bins] | None
    ) -> Whitened[Tensor] | Whitened[Bins]:
        chosen = points if stage.target == "density" else bins
        if chosen is None:
            raise ValueError("a stage that fits a mass needs integers: these data are continuous")
        return chosen

    def loss(self, mixture: FactorizedMCGSM, stage: Stage) -> float:
        """Bits per value on the validation data, in the units that `log_jacobian` starts from."""
        density = stage.target == "density"
        x, y = self._chosen(stage, self.validation_points, self.validation_bins)
        with torch.no_grad():
            log_prob = float(mixture.log_prob(x, y).double().mean())
        return -(log_prob + (self.log_jacobian if density else 0.0)) / math.log(2)


class Fit:
    """A fit that can stop after any step and go on later to exactly the same weights.

    Arguments:
        mixture: Fitted in place; ends with the weights that did best on the validation data.
        data: What to fit.
        stages: Done in turn.
    """

    def __init__(self, mixture: FactorizedMCGSM, data: Data, stages: tuple[Stage, ...]) -> None:
        self.mixture, self.data, self.stages = mixture, data, stages
        self.stage_number = 0
        self._start_stage()

    @property
    def stage(self) -> Stage:
        """The stage that the fit is in."""
        return self.stages[self.stage_number]

    @property
    def done(self) -> bool:
        """Whether all stages have ended."""
        return self.stage_number == len(self.stages)

    def _start_stage(self) -> None:
        self.step, self.best_step = 0, 0
        if self.done:
            return
        self.best = copy.deepcopy(self.mixture.state_dict())
        self.bits = self.best_bits = self.data.loss(self.mixture, self.stage)
        parameters = list(self.mixture.parameters())
        self.optimizer: torch.optim.Optimizer
        if self.stage.method == "adam":
            self.optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99), eps=1e-10)
        else:
            self.optimizer = torch.optim.LBFGS(
                parameters, max_iter=self.stage.check_every, history_size=30,
                tolerance_grad=0.0, tolerance_change=0.0, line_search_fn="strong_wolfe",
            )  # fmt: skip

    def advance(self) -> None:
        """Does `check_every` steps, looks at the validation data, and ends the stage if due."""
        count = min(self.stage.check_every, self.stage.steps - self.step)
        if self.stage.method == "adam":
            self._adam_steps(count)
        else:
            self._lbfgs_steps(count)
        self.step += count
        self.bits = self.data.loss(self.mixture, self.stage)
        if self.bits < self.best_bits:
            self.best, self.best_bits = copy.deepcopy(self.mixture.state_dict()), self.bits
            self.best_step = self.step
        if self.step >= self.stage.steps or self._hopeless():
            self.mixture.load_state_dict(self.best)
            self.bits = self.best_bits
            self.stage_number += 1
            self._start_stage()

    def _hopeless(self) -> bool:
        """Whether to stop early. Adam goes on: what it gains, it gains as its rate falls."""
        waited = (self.step - self.best_step) // self.stage.check_every
        impatient = self.stage.method == "lbfgs" and waited >= self.stage.patience
        return impatient or not math.isfinite(self.bits)

    def _adam_steps(self, count: int) -> None:
        stage = self.stage
        for step in range(self.step, self.step + count):
            done = step / stage.steps
            decay = 1.0 if done < 0.3 else 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))
            for group in self.optimizer.param_groups:
                group["lr"] = stage.learning_rate * decay * min(1.0, (step + 1) / 100)
            x, y = self.data.training(stage).batch(step, stage.batch)
            self.mixture.value_and_gradient(x, y)
            self.optimizer.step()

    def _lbfgs_steps(self, count: int) -> None:
        x, y = self.data.training(self.stage)
        self.optimizer.param_groups[0]["max_iter"] = count
        self.optimizer.param_groups[0]["max_eval"] = 2 * count
        self.optimizer.step(lambda: -self.mixture.value_and_gradient(x, y))

    def state(self) -> dict[str, Any]:
        """All that is needed to go on, in *live* tensors: save it before the next `advance`."""
        state = {"stage_number": self.stage_number, "mixture": self.mixture.state_dict()}
        state |= {"bits": self.bits}
        if not self.done:
            state |= {"step": self.step, "best_step": self.best_step}
            state |= {"best": self.best, "best_bits": self.best_bits}
            state |= {"optimizer": self.optimizer.state_dict()}
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes back to where `state` was taken."""
        self.mixture.load_state_dict(state["mixture"])
        self.stage_number = state["stage_number"]
        self._start_stage()
        self.bits = state["bits"]
        if not self.done:
            self.step, self.best_step = state["step"], state["best_step"]
            self.best, self.best_bits = state["best"], state["best_bits"]
            self.optimizer.load_state_dict(state["optimizer"])
