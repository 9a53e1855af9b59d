"""Training of MCGSMs: draws pixels, fits the mixture of each plane, saves a model folder."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch

from imprior.base import ImageModel, Part
from imprior.models.ride.planes import ConditionalMCGSM
from imprior.train.progress import Progress
from imprior.train.runs import Run
from imprior.train.samples import Drawing, Samples, Source, draw, whiten
from imprior.train.stages import Data, Fit, Stage
from imprior.transforms.causal import ConditionalWhitening

Image = TypeVar("Image")  # of any kind: read already, or to be read
SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True)
class ShallowTraining:
    """How an MCGSM is trained.

    Attributes:
        drawing: Which pixels it is trained on.
        validation_pixels: Drawn from the validation images in the same way.
        validation_share: Every how many images one is kept for validation; 1/10 is 0.1.
        stages: Done in turn for each plane.
    """

    drawing: Drawing
    stages: tuple[Stage, ...]
    validation_pixels: int = 100_000
    validation_share: float = 0.1


def split(images: Sequence[Image], share: float) -> tuple[list[Image], list[Image]]:
    """Training and validation images; with a single image both are that image."""
    every = max(2, round(1 / share))
    validation = [image for i, image in enumerate(images) if i % every == every // 2]
    training = [image for i, image in enumerate(images) if i % every != every // 2]
    return (training, validation) if validation and training else (list(images), list(images))


def draw_split(
    model: ConditionalMCGSM,
    plane: int,
    sources: Sequence[Source],
    training: ShallowTraining,
    seed: int,
) -> tuple[Samples, Samples]:
    """Training and validation samples of a plane, from different images."""
    for_training, for_validation = split(sources, training.validation_share)
    held_out = dataclasses.replace(training.drawing, pixels=training.validation_pixels)
    samples = draw(model, plane, for_training, training.drawing, seed)
    return samples, draw(model, plane, for_validation, held_out, seed + 1)


def _log_jacobian(model: ConditionalMCGSM, whitening: ConditionalWhitening) -> float:
    """From grey levels, so that bits of a density and of a mass can be compared."""
    return float(whitening.log_jacobian) - model.config.bits * math.log(2)


def fit_first(model: ConditionalMCGSM, number: int, samples: Samples) -> None:
    """Fits the mixture of the first pixel: to pixels anywhere, as there are few first ones."""
    some = Samples(*(column[:20_000] for column in samples))
    some = some._replace(inputs=some.inputs[:, :0])
    mixture, whitening = model.first[number], model.first_whitening[number]
    whitening.fit(some.inputs, some.outputs)
    points, bins = whiten(model, whitening, some)
    mixture.initialize(points.x, points.y, torch.Generator().manual_seed(0))
    data = Data(points, bins, points, bins, _log_jacobian(model, whitening))
    fit = Fit(mixture, data, (Stage("lbfgs", "mass", steps=60, check_every=20),))
    while not fit.done:
        fit.advance()


def fit_plane(
    name: str,
    fit: Fit,
    save: Callable[[], None],
    progress: Callable[[Progress], None],
) -> None:
    """Fits one plane's mixture to the end, saving now and then."""
    saved = time.monotonic()
    while not fit.done:
        stage = fit.stage
        fit.advance()
        step = fit.step if not fit.done and fit.stage is stage else stage.steps
        doing = f"{name}, {stage.target}, {stage.method}"
        progress(Progress(doing, step, stage.steps, fit.bits))
        if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            save()
            saved = time.monotonic()


def planes_of(parts: Sequence[Part]) -> list[tuple[str, Part, int]]:
    """All planes that mixtures model, in the order in which they are fitted: name, part, number.

    Raises:
        ValueError: If a part has no mixtures of planes.
    """
    planes = []
    for part in parts:
        if not isinstance(part.model, ConditionalMCGSM):
            raise ValueError(f"this training is for MCGSM, not {type(part.model).__name__}")
        total = len(part.model.modelled)
        names = (f"{part.name} plane {number + 1}/{total}".strip() for number in range(total))
        planes += [(name, part, number) for number, name in enumerate(names)]
    return planes


def fit_model(
    model: ImageModel,
    sources: Sequence[Source],
    training: ShallowTraining,
    seed: int,
    run: Run,
    progress: Callable[[Progress], None],
    parts: Sequence[Part] | None = None,
) -> list[float]:
    """Fits all planes of `parts`, or of all parts, in turn.

    Returns:
        The validation bits per value of each plane.
    """
    state = run.load()
    bits: list[float] = []
    if state is not None:
        model.load_state_dict(state["model"])
        bits = list(state["bits"])
    for name, part, number in planes_of(model.parts() if parts is None else parts)[len(bits) :]:
        progress(Progress(f"{name}, drawing pixels", 0, 1, math.nan))
        mixtures = cast("ConditionalMCGSM", part.model)
        seen = [source.seen_as(part.images) for source in sources]
        plane = mixtures.modelled[number]
        samples, validation = draw_split(mixtures, plane, seen, training, seed)
        whitening, mixture = mixtures.whitening[number], mixtures.experts[number]
        if state is None:
            whitening.fit(samples.inputs, samples.outputs)
            fit_first(mixtures, number, samples)
        pairs = (*whiten(mixtures, whitening, samples), *whiten(mixtures, whitening, validation))
        data = Data(*pairs, _log_jacobian(mixtures, whitening))
        if state is None:
            mixture.initialize(*data.points, torch.Generator().manual_seed(seed))
        fit = Fit(mixture, data, training.stages)
        if state is not None:
            fit.load_state(state["fit"])
            state = None

        def save(fit: Fit = fit) -> None:
            run.save({"bits": bits, "model": model.state_dict(), "fit": fit.state()})

        fit_plane(name, fit, save, progress)
        bits.append(data.loss(mixture, training.stages[-1]))
    return bits
