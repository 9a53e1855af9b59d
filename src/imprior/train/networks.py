"""Training of models whose parts are networks: each part by itself, in any process, in any order.

A part is what `ImageModel.parts` lists, such as a level of a pyramid; a model that is one network
is a model with one part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from imprior.base import ImageModel, Part
from imprior.data.batches import Draws
from imprior.models.local.norm import BiasFreeNorm
from imprior.train.config import FitConfig
from imprior.train.crops import DecidingCrops, of_scales, shrunk
from imprior.train.fit import FitResult, fit
from imprior.train.progress import Progress
from imprior.train.streamed import Stream, StreamedCrops
from imprior.train.trainable import Trainable

WHOLE = "model"  # what the only part of a model is called if it has no name


@dataclass(frozen=True)
class Budget:
    """What is different for some parts of a model; None: nothing.

    Attributes:
        parts: Name of a part, or a pattern such as "level [12]" or "level *".
        steps, batch_size, learning_rate: As in `FitConfig`; with fewer steps than those of the
            warm-up, that becomes shorter.
        crop: As in `NetworkTraining`, and the side of the crops that decide.
    """

    parts: str
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    crop: int | None = None

    def __post_init__(self) -> None:
        if self.crop is not None and self.crop < 1:
            raise ValueError(f"crop must be at least 1, got {self.crop}")

    def applied(self, fit: FitConfig) -> FitConfig:
        """The config of the parts, given that of all others."""
        changes = dataclasses.asdict(self)
        del changes["parts"], changes["crop"]
        changes = {name: value for name, value in changes.items() if value is not None}
        warmup = min(fit.warmup_steps, changes.get("steps", fit.steps))
        return dataclasses.replace(fit, warmup_steps=warmup, **changes)


@dataclass(frozen=True)
class NetworkTraining:
    """How a model is trained whose parts are networks.

    Attributes:
        fit: How each part is trained.
        crop: Side of the random crops of images, new ones in every step; an image that is smaller
            is taken whole, but for those that come in a stream, which are passed over.
        budgets: What is different for some parts; the first that fits a part counts.
        mirrored: Whether every other crop is mirrored left to right.
        turned: Whether crops are turned by 0 to 3 right angles.
        scales: Those of the images that are trained on as well, made smaller by these factors, as
            far as they hold a crop. Photographs that were JPEG files lose its traces so.
        finer: Whether parts of coarse scales learn from finer ones as well, as often from each, in
            crops that have as many coefficients there; not of a stream. See `Part`.
        settled: Whether networks keep the deviations by which they normalize, those of a trained
            model that they go on from; see `imprior.models.local.norm`.
        validation_share: Every how many images one is kept for validation; 1/10 is 0.1. Of a
            stream it is the first ones, one for each of the crops that decide.
        validation_size, validation_patches: Side and number of the crops that decide, from all of
            these images in turn; there is at least one of each image.

    Raises:
        ValueError: If a value is out of range.
    """

    fit: FitConfig
    crop: int
    budgets: tuple[Budget, ...] = ()
    mirrored: bool = True
    turned: bool = False
    scales: tuple[float, ...] = ()
    finer: bool = False
    settled: bool = False
    validation_share: float = 0.1
    validation_size: int = 64
    validation_patches: int = 400

    def __post_init__(self) -> None:
        for name in ("crop", "validation_size", "validation_patches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.validation_share <= 0.5:
            raise ValueError(f"validation_share must be in (0, 0.5], got {self.validation_share}")
        for scale in self.scales:
            if not 0 < scale < 1:
                raise ValueError(f"scales must be in (0, 1), got {scale}")
        for budget in self.budgets:
            budget.applied(self.fit)  # complains

    def budget_of(self, name: str) -> Budget:
        """What is different for the part of this name."""
        return next((b for b in self.budgets if fnmatchcase(name, b.parts)), Budget(name))

    def fit_of(self, name: str) -> FitConfig:
        """How the part of this name is trained."""
        return self.budget_of(name).applied(self.fit)

    @property
    def symmetries(self) -> tuple[int, ...]:
        """What crops are drawn with: numbers as of `imprior.data.loading.symmetry`."""
        turns = (0, 3, 5, 6) if self.turned else (0,)
        return tuple(turn ^ mirror for turn in turns for mirror in (0, 1)[: 1 + self.mirrored])


def networks_of(
    model: ImageModel, training: NetworkTraining, level: str | None = None
) -> dict[str, Part]:
    """The parts to train, by name: all of them, or that of one level.

    Raises:
        ValueError: If there is no such level, a budget is for none, or a part is no network.
    """
    parts = {part.name or WHOLE: part for part in model.parts()}
    kind, names = type(model).__name__, ", ".join(parts)
    for name, part in parts.items():
        if not isinstance(part.model, Trainable):
            what = f"{kind}: {name}" if len(parts) > 1 else kind
            raise ValueError(f"{what} cannot be trained as a network: it has no loss and metrics")
    for budget in training.budgets:
        if not any(fnmatchcase(name, budget.parts) for name in parts):
            raise ValueError(f"a budget is for {budget.parts!r}, but {kind} consists of {names}")
    if level is None:
        return parts
    if list(parts) == [WHOLE]:
        raise ValueError(f"{kind} has no levels to train one by one: train it as a whole")
    if level not in parts:
        raise ValueError(f"{kind} has no level {level!r}: it has {names}")
    return {level: parts[level]}


def fit_networks(
    model: ImageModel,
    images: tuple[Sequence[Tensor] | Stream, Sequence[Tensor]],
    training: NetworkTraining,
    folder: Path,
    *,
    seed: int = 0,
    level: str | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] = lambda _: None,
    **options: Any,
) -> dict[str, FitResult]:
    """Trains the parts of a model, and leaves in it the weights that did best on validation.

    Each part has a sub-folder of its name, from which it goes on, or is taken if it is complete.
    So processes that train one level each may share the folder; a call without `level` then joins
    what they have left there. Weights do not depend on which process trained which part, or when,
    if all began with the same `model`.

    Arguments:
        model: What to train, in place; it ends in evaluation mode.
        images: Those to train on, which may come in a stream, and those that validate, integers
            (C, H, W).
        training: How.
        folder: Of the run.
        seed: Of crops, and of what networks draw themselves.
        level: The only part to train.
        resume: Whether to go on from what is in the folder; otherwise those parts start afresh.
        progress: Told now and then where the training is.
        options: For `fit`: devices, logs, ...

    Returns:
        How the training of each part went, by name.

    Raises:
        ValueError: See `networks_of` and `fit`; also if another process is training a part.
    """
    parts = networks_of(model, training, level)
    smaller: list[Tensor] = []
    if not isinstance(images[0], Stream):
        smaller += chain.from_iterable(shrunk(images[0], s, 1) for s in training.scales)
    results = {}
    for name, part in parts.items():

        def tell(at: Progress, name: str = name) -> None:
            progress(dataclasses.replace(at, stage=f"{name}, {at.stage}"))

        how = {"seed": seed, "resume": resume, "progress": tell, **options}
        results[name] = _fit_part(part, (*images, smaller), training, folder / name, name, how)
    model.eval()
    return results


def _fit_part(
    part: Part,
    images: tuple[Sequence[Tensor] | Stream, Sequence[Tensor], Sequence[Tensor]],
    training: NetworkTraining,
    folder: Path,
    name: str,
    how: dict[str, Any],
) -> FitResult:
    to_fit, to_decide, smaller = images
    if training.settled:
        _settle(part.model, name)
    config, seed, crop = training.fit_of(name), how["seed"], training.budget_of(name).crop
    side, options = crop or training.crop, {"batch_size": config.batch_size, "seed": seed}
    fitted: Draws
    if isinstance(to_fit, Stream):
        how_drawn = {"symmetries": training.symmetries, "scales": training.scales, **options}
        fitted = StreamedCrops(to_fit, side, part.images, **how_drawn)
    else:
        views = (part.images, *part.finer) if training.finer else (part.images,)
        fitted = of_scales((to_fit, smaller), side, views, training.symmetries, **options)
    size, count = crop or training.validation_size, training.validation_patches
    deciding = DecidingCrops(to_decide, size, part.images, count=count, seed=seed + 2)
    if len(deciding.groups) > 1:  # crops of several sizes cannot be in one batch
        config = dataclasses.replace(config, validation_batch=1)
    # Convolutions are a tenth (float32) to a third (bfloat16) faster so on a CPU.
    how = {"channels_last": True, **how}
    return fit(part.model, fitted, deciding, config, folder, **how)


def _settle(network: nn.Module, name: str) -> None:
    norms = [module for module in network.modules() if isinstance(module, BiasFreeNorm)]
    if not norms:
        raise ValueError(f"{name} has no normalization that could be settled")
    for norm in norms:
        norm.settled = True
