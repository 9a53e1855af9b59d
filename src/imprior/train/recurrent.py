"""Training of a RIDE: layers greedily, patches that grow, the mixtures fine-tuned in between.

Source: Theis & Bethge (2015), Sec. 3.4 and their code. Ours may use any optimizer of `FitConfig`
in place of their stochastic gradient descent.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imprior.checkpoint import digest
from imprior.data.batches import Draws, Patches
from imprior.data.dequantization import Dequantized
from imprior.models.ride.model import RIDE, RIDEConfig
from imprior.train.config import FitConfig
from imprior.train.finetune import finetune, initialize_direct, initialize_heads, prepare
from imprior.train.fit import fit
from imprior.train.progress import Progress
from imprior.train.runs import Run

Target = Literal["density", "mass"]


@dataclass(frozen=True)
class RecurrentStage:
    """One stage of the training of a RIDE.

    Attributes:
        layers: Layers that the model has by now; new ones come on top of those there are, and
            with them new mixtures.
        patch_size: Side of the patches, neighbourhoods included.
        target: Fit the "density" of dequantized values, or the "mass" of integers.
        fit: How.
        lbfgs_steps: Iterations of L-BFGS on the mixtures alone, afterwards.
    """

    layers: int
    patch_size: int
    target: Target
    fit: FitConfig
    lbfgs_steps: int = 0


@dataclass(frozen=True)
class RecurrentTraining:
    """How a RIDE is trained.

    Attributes:
        stages: Done in turn.
        borders: Whether pixels without a whole neighbourhood count.
        mirrored: Whether every other patch is mirrored left to right, as published.
        validation_share: Every how many images one is kept for validation; 1/10 is 0.1.
        validation_size, validation_patches: Side and number of the patches that decide.
        sampled_patches: Patches that whitening and L-BFGS are estimated from.
    """

    stages: tuple[RecurrentStage, ...]
    borders: bool = False
    mirrored: bool = True
    validation_share: float = 0.1
    validation_size: int = 72
    validation_patches: int = 400
    sampled_patches: int = 400


class Objective(nn.Module):
    """What `fit` trains: a RIDE, and which of its probabilities count.

    Arguments:
        model: The RIDE.
        margin: Pixels at the top, left and right that are context only.
    """

    def __init__(self, model: RIDE, margin: int) -> None:
        super().__init__()
        self.model = model
        self.margin = margin

    def loss(self, batch: Tensor) -> Tensor:
        """Nats per value that count: of integers, or densities told in units of grey levels."""
        batch_size, channels, height, width = batch.shape
        count = batch_size * channels * (height - self.margin) * (width - 2 * self.margin)
        if not batch.is_floating_point():
            return -self.model.total_log_prob(self.model.unit(batch), batch, self.margin) / count
        levels = self.model.config.bits * math.log(2)
        return levels - self.model.total_log_prob(batch, batch, self.margin) / count

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        """The loss in bits."""
        return {"bits_per_dim": self.loss(batch) / math.log(2)}


def patches(
    images: Sequence[Tensor], size: int, target: Target, bits: int, **options: Any
) -> Draws:
    """Patches of images, with noise for a density; `size` shrinks to the smallest image."""
    size = min(size, *(min(image.shape[1:]) for image in images))
    draws = Patches(images, size, **options)
    return draws if target == "mass" else Dequantized(draws, bits, seed=draws.seed)


def fit_recurrent(
    config: RIDEConfig,
    images: tuple[Sequence[Tensor], Sequence[Tensor]],
    training: RecurrentTraining,
    folder: Path,
    *,
    seed: int = 0,
    start: RIDE | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    **options: Any,
) -> tuple[RIDE, float]:
    """Trains a RIDE; goes on from where an interrupted run with the same arguments was.

    Arguments:
        config: The model; its number of layers is that of the last stage.
        images: Those to train on and those that validate, integers (C, H, W).
        training: The stages.
        folder: Of the run; each stage has one in it.
        seed: Of patches and initial weights.
        start: A trained model to go on from, instead of from nothing.
        progress: Told now and then where the training is.
        options: For `fit`: devices, logs, ...

    Returns:
        The model, and the last stage's bits per value on the validation patches.
    """
    begun = "" if start is None else digest(start)
    model, bits = start, math.nan
    for number, stage in enumerate(training.stages):
        lower, model = model, RIDE(dataclasses.replace(config, num_layers=stage.layers))
        # Stages that are still to come may be other ones when the run goes on.
        past = dataclasses.replace(training, stages=training.stages[: number + 1])
        run = Run(folder / f"stage-{number + 1}", _settings(model, past, seed, begun), resume=True)
        state = run.load()
        if state is not None:
            model.load_state_dict(state["model"])
            bits = state["bits"]
            continue
        _start(model, lower, images[0], training, stage, seed)
        bits = _fit_stage(model, images, training, number, folder, seed, progress, options)
        run.save({"model": model.state_dict(), "bits": bits})
    if model is None:
        raise ValueError("a RIDE needs at least one stage of training")
    return model, bits


def _settings(model: RIDE, training: RecurrentTraining, seed: int, begun: str) -> str:
    """What has to be the same when a run goes on."""
    settings = (model.config, training, seed)
    return repr((*settings, begun) if begun else settings)


def _start(
    model: RIDE,
    lower: RIDE | None,
    images: Sequence[Tensor],
    training: RecurrentTraining,
    stage: RecurrentStage,
    seed: int,
) -> None:
    """Takes over what the stage before has learned, and initializes what is new."""
    generator = torch.Generator().manual_seed(seed + len(model.layers))
    kept = {} if lower is None else lower.state_dict()
    grown = lower is None or len(lower.layers) < len(model.layers)
    if grown:
        kept = {name: value for name, value in kept.items() if not name.startswith("experts.")}
    for layer in model.layers:
        layer.initialize(generator)
    model.load_state_dict(kept, strict=False)
    batch = _sample(model, images, training, stage, seed)
    if lower is None:
        prepare(model, batch, training.borders)
    if grown and model.config.direct:
        initialize_direct(model, batch, generator)
    elif grown:
        initialize_heads(model, generator)


def _sample(
    model: RIDE,
    images: Sequence[Tensor],
    training: RecurrentTraining,
    stage: RecurrentStage,
    seed: int,
) -> Tensor:
    options = {"length": training.sampled_patches, "seed": seed + 1}
    draws = patches(images, stage.patch_size, stage.target, model.config.bits, **options)
    return torch.stack([draws[n] for n in range(len(draws))])


def _fit_stage(
    model: RIDE,
    images: tuple[Sequence[Tensor], Sequence[Tensor]],
    training: RecurrentTraining,
    number: int,
    folder: Path,
    seed: int,
    progress: Callable[[Progress], None],
    options: dict[str, Any],
) -> float:
    stage, bits = training.stages[number], model.config.bits
    margin = 0 if training.borders else model.reach
    length = stage.fit.steps * stage.fit.batch_size
    how: dict[str, Any] = {"length": length, "seed": seed, "mirrored": training.mirrored}
    fitted = patches(images[0], stage.patch_size, stage.target, bits, **how)
    how = {"length": training.validation_patches, "seed": seed + 2}
    deciding = patches(images[1], training.validation_size, stage.target, bits, **how)
    name = f"stage {number + 1}/{len(training.stages)}: {stage.layers} layers, {stage.target}"

    def tell(at: Progress) -> None:
        progress(dataclasses.replace(at, stage=name))

    objective = Objective(model, margin)
    own = folder / f"stage-{number + 1}" / "fit"
    result = fit(objective, fitted, deciding, stage.fit, own, seed=seed, progress=tell, **options)
    if stage.lbfgs_steps:
        progress(Progress(f"{name}, fine-tuning mixtures", 0, stage.lbfgs_steps, result.best))
        data = _sample(model, images[0], training, stage, seed + 3)
        held_out = torch.stack([deciding[n] for n in range(min(100, len(deciding)))])
        finetune(model, data, held_out, margin, stage.lbfgs_steps)
    return result.best
