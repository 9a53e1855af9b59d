"""What happens between the steps of a fit: look at the losses, validate, keep the best, save.

Importing this module imports Lightning, which takes seconds.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from imprior.data.batches import Draws, ImageFiles, loader
from imprior.data.images import Image
from imprior.train.config import BITS_PER_DIM, FitConfig
from imprior.train.learner import Learner
from imprior.train.logs import Logs, Point
from imprior.train.progress import Progress

STEPS_BETWEEN_LOOKS = 20  # at the losses: for each look a GPU has to finish its work


class DivergedError(ValueError):
    """Training ran into numbers that are not finite."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; the last state that was saved is kept. Try a lower learning_rate, "
            "more warmup_steps, a gradient_clip, or precision 32"
        )


class Watch(Callback):
    """Follows a fit and keeps the weights that did best on the validation images.

    All that it remembers is a part of the run's one state file, so that no part of a run can be
    older or newer than the rest.

    Arguments:
        config: How to train.
        validation: What chooses the weights.
        path: Where to save the state.
        open_logs: Opens the logs, given the number of steps done; called in the first process.
        progress: Told now and then, in the first process, where the training is.
        sampler: Draws pictures from the network, in the first process.
    """

    def __init__(
        self,
        config: FitConfig,
        validation: ImageFiles | Draws,
        path: Path,
        *,
        open_logs: Callable[[int], Logs],
        progress: Callable[[Progress], None],
        sampler: Callable[[nn.Module], Sequence[Image]] | None,
    ) -> None:
        self.config, self.validation, self.path = config, validation, path
        self.open_logs, self.progress, self.sampler = open_logs, progress, sampler
        self.logs: Logs | None = None
        self.recent: list[Tensor] = []  # losses that nobody has looked at, still on the device
        self.loss = math.nan  # the last one that was looked at
        self.channels = 1  # of the images
        self.loss_sum, self.loss_count = 0.0, 0  # since the last validation
        self.curve: list[Point] = []
        self.best, self.best_step = math.inf, 0
        self.best_weights: dict[str, Tensor] = {}
        self.seconds = 0.0  # of all parts of the run

    # -- what Lightning calls

    def state_dict(self) -> dict[str, Any]:
        """All that has to be remembered: plain values and tensors."""
        return {
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "curve": [dataclasses.asdict(point) for point in self.curve],
            "best": self.best,
            "best_step": self.best_step,
            "best_weights": self.best_weights,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remembers what `state_dict` gave."""
        for name, value in state_dict.items():
            setattr(self, name, value)
        self.curve = [Point(**point) for point in state_dict["curve"]]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens what needs to know how many processes there are, and which this is."""
        learner = _learner(pl_module)
        step = torch.tensor([trainer.global_step]).double()
        if not torch.equal(learner.across(step.clone(), "mean"), step):
            raise ValueError(
                f"process {trainer.global_rank} would go on from step {trainer.global_step}, "
                "another one would not: the folder must be the same for all; start once more"
            )
        if len(self.validation) < trainer.world_size:
            raise ValueError(
                f"{len(self.validation)} validation images are too few: each of the "
                f"{trainer.world_size} processes needs one"
            )
        together = self.config.validation_batch or self.config.batch_size
        batch = max(1, together // trainer.world_size)
        self.batches = loader(self.validation, batch, shuffle=False)
        if trainer.is_global_zero:
            self.logs = self.open_logs(trainer.global_step)
        self.clock = self.saved = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Does what is due after a step."""
        learner, step = _learner(pl_module), trainer.global_step
        learner.update_average(step - 1)
        assert isinstance(outputs, Mapping)  # as Lightning documents
        self.recent.append(outputs["loss"])
        validates = step == self.config.steps or step % self.config.validate_every == 0
        saves = step == self.config.steps or self._save_is_due(learner, step)
        if not (validates or saves or len(self.recent) >= STEPS_BETWEEN_LOOKS):
            return
        self.channels = batch.shape[1]
        self._look(learner, step)
        if validates:
            self._validate(learner, step)
        if saves:
            self._save(trainer, learner, step)
        if trainer.is_global_zero:
            steps, metric = self.config.steps, self.config.metric
            self.progress(Progress("training", step, steps, self.figure, metric))

    # -- what it does

    @property
    def figure(self) -> float:
        """What is monitored, as last measured."""
        return self.curve[-1].validation[self.config.monitor] if self.curve else math.nan

    def close(self) -> None:
        """Ends the logs."""
        if self.logs is not None:
            self.logs.close()

    def _save_is_due(self, learner: Learner, step: int) -> bool:
        """Whether to save now, if any process finds that it is time."""
        late = time.monotonic() - self.saved >= self.config.checkpoint_seconds
        every = self.config.checkpoint_steps
        return bool(learner.across(torch.tensor([float(late)]), "sum")) or (
            every > 0 and step % every == 0
        )

    def _look(self, learner: Learner, step: int) -> None:
        """Takes note of the losses up to this step, means over all processes."""
        losses = learner.across(torch.stack(self.recent).double(), "mean").tolist()
        self.recent.clear()
        for number, loss in enumerate(losses, step - len(losses) + 1):
            if not math.isfinite(loss):
                raise DivergedError(f"the loss of step {number} is {loss}")
            self.loss_sum += loss
        self.loss_count += len(losses)
        self.loss = losses[-1]

    def _validate(self, learner: Learner, step: int) -> None:
        """Adds a point to the curve; keeps the weights if they are the best so far."""
        figures = learner.validate(self.batches)
        if self.config.monitor not in figures:
            raise ValueError(
                f"the model has no metric {self.config.monitor!r}, which is to be monitored; "
                f"it has {', '.join(figures)}"
            )
        figure = figures[self.config.monitor]
        if not math.isfinite(figure):
            raise DivergedError(f"{self.config.monitor} of the validation is {figure}")
        if figure < self.best:
            self.best, self.best_step = figure, step
            weights = learner.judged.state_dict().items()
            self.best_weights = {name: t.detach().cpu().clone() for name, t in weights}
        loss, rate = self.loss_sum / self.loss_count, self.config.rate(step - 1)
        training = loss / math.log(2) if BITS_PER_DIM in figures else loss
        self.curve.append(Point(step, training, figures, rate, self._elapsed()))
        self.loss_sum, self.loss_count = 0.0, 0
        if self.logs is not None:
            self.logs.curve(self.curve)
            self._draw(learner, step)

    def _draw(self, learner: Learner, step: int) -> None:
        """Draws pictures at the 1st, 2nd, 4th, 8th ... validation and the last."""
        looks = len(self.curve)
        if self.sampler is None or (looks & (looks - 1) and step != self.config.steps):
            return
        assert self.logs is not None
        network = learner.judged
        was_training = network.training
        with torch.no_grad():
            images = self.sampler(network.eval())
        network.train(was_training)
        self.logs.samples(images, step)

    def _save(self, trainer: Trainer, learner: Learner, step: int) -> None:
        """Saves the state, unless the last step has spoilt the weights."""
        finite = [parameter.isfinite().all() for parameter in learner.network.parameters()]
        if not torch.stack(finite).all():
            raise DivergedError(f"the weights after step {step} are not finite")
        self._elapsed()
        trainer.save_checkpoint(self.path)
        self.saved = time.monotonic()

    def _elapsed(self) -> float:
        """Seconds of all parts of the run up to now."""
        now = time.monotonic()
        self.seconds += now - self.clock
        self.clock = now
        return self.seconds


def _learner(module: LightningModule) -> Learner:
    if not isinstance(module, Learner):
        raise TypeError(f"this callback is for a Learner, not {type(module).__name__}")
    return module
