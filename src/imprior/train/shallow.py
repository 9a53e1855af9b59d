"""Training of an MCGSM: draws pixels, fits the mixture of each plane, saves a model folder."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from imprior import checkpoint
from imprior.data import images
from imprior.data.datasets import checksum
from imprior.data.loading import match
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.provenance import commit, versions
from imprior.train.runs import Run
from imprior.train.samples import Drawing, Samples, Source, draw, whiten
from imprior.train.stages import Data, Fit, Stage
from imprior.transforms.causal import ConditionalWhitening

if TYPE_CHECKING:
    from imprior.presets import Preset

SECONDS_BETWEEN_SAVES = 10.0


def _read(path: Path, preset: Preset) -> Tensor:
    config, data = preset.config, preset.data
    options = {"gray": data.gray, "reduce_bits": data.reduce_bits}
    return match(images.read(path), config.channels, config.bits, **options).pixels


@dataclass(frozen=True)
class Progress:
    """Where training is.

    Attributes:
        stage: What is being done, for people.
        step, total: Steps done and planned in this stage.
        bits: Bits per value on the validation data, as last measured.
    """

    stage: str
    step: int
    total: int
    bits: float


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


def split(sources: Sequence[Source], share: float) -> tuple[list[Source], list[Source]]:
    """Training and validation images; with a single image both are that image."""
    every = max(2, round(1 / share))
    validation = [source for i, source in enumerate(sources) if i % every == every // 2]
    training = [source for i, source in enumerate(sources) if i % every != every // 2]
    return (training, validation) if validation and training else (list(sources), list(sources))


def draw_split(
    model: MCGSM, plane: int, sources: Sequence[Source], training: ShallowTraining, seed: int
) -> tuple[Samples, Samples]:
    """Training and validation samples of a plane, from different images."""
    for_training, for_validation = split(sources, training.validation_share)
    held_out = dataclasses.replace(training.drawing, pixels=training.validation_pixels)
    samples = draw(model, plane, for_training, training.drawing, seed)
    return samples, draw(model, plane, for_validation, held_out, seed + 1)


def _log_jacobian(model: MCGSM, whitening: ConditionalWhitening) -> float:
    """From grey levels, so that bits of a density and of a mass can be compared."""
    return float(whitening.log_jacobian) - model.config.bits * math.log(2)


def fit_first(model: MCGSM, plane: int, samples: Samples) -> None:
    """Fits the mixture of the first pixel: to pixels anywhere, as there are few first ones."""
    some = Samples(*(column[:20_000] for column in samples))
    some = some._replace(inputs=some.inputs[:, :0])
    mixture, whitening = model.first[plane], model.first_whitening[plane]
    whitening.fit(some.inputs, some.outputs)
    points, bins = whiten(model, whitening, some)
    mixture.initialize(points.x, points.y, torch.Generator().manual_seed(0))
    data = Data(points, bins, points, bins, _log_jacobian(model, whitening))
    fit = Fit(mixture, data, (Stage("lbfgs", "mass", steps=60, check_every=20),))
    while not fit.done:
        fit.advance()


def fit_plane(
    model: MCGSM,
    plane: int,
    fit: Fit,
    save: Callable[[], None],
    progress: Callable[[Progress], None],
) -> None:
    """Fits one plane's mixture to the end, saving now and then."""
    saved = time.monotonic()
    while not fit.done:
        stage = fit.stage
        fit.advance()
        name = f"plane {plane + 1}/{model.channels}, {stage.target}, {stage.method}"
        step = fit.step if not fit.done and fit.stage is stage else stage.steps
        progress(Progress(name, step, stage.steps, fit.bits))
        if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
            save()
            saved = time.monotonic()


def fit_model(
    model: MCGSM,
    sources: Sequence[Source],
    training: ShallowTraining,
    seed: int,
    run: Run,
    progress: Callable[[Progress], None],
) -> list[float]:
    """Fits all planes in turn; returns the validation bits per value of each."""
    state = run.load()
    bits: list[float] = []
    if state is not None:
        model.load_state_dict(state["model"])
        bits = list(state["bits"])
    for plane in range(len(bits), model.channels):
        progress(Progress(f"plane {plane + 1}/{model.channels}, drawing pixels", 0, 1, math.nan))
        samples, validation = draw_split(model, plane, sources, training, seed)
        whitening, mixture = model.whitening[plane], model.experts[plane]
        if state is None:
            whitening.fit(samples.inputs, samples.outputs)
            fit_first(model, plane, samples)
        pairs = (*whiten(model, whitening, samples), *whiten(model, whitening, validation))
        data = Data(*pairs, _log_jacobian(model, whitening))
        if state is None:
            mixture.initialize(*data.points, torch.Generator().manual_seed(seed))
        fit = Fit(mixture, data, training.stages)
        if state is not None:
            fit.load_state(state["fit"])
            state = None

        def save(fit: Fit = fit) -> None:
            run.save({"bits": bits, "model": model.state_dict(), "fit": fit.state()})

        fit_plane(model, plane, fit, save, progress)
        bits.append(data.loss(mixture, training.stages[-1]))
    return bits


def train(
    preset: Preset,
    files: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    resume: bool = True,
    progress: Callable[[Progress], None] = lambda _: None,
    data_name: str | None = None,
    licence: str | None = None,
) -> MCGSM:
    """Trains a preset's model on image files and saves it as a model folder.

    Until it is complete, the run's state lies in the folder `OUT.training`. An interrupted run
    that is started again with the same arguments ends with the same weights.

    Arguments:
        preset: Model, training and data settings.
        files: Image files; some are kept for validation.
        out: The model folder to write.
        seed: Of the drawn pixels and the start of the mixtures.
        resume: Whether to go on from an interrupted run's state.
        progress: Called after every few steps.
        data_name, licence: Of the images and of the weights, for the model card.

    Raises:
        ValueError: If there are no files, one cannot be used, or the state does not fit.
    """
    if not files:
        raise ValueError("no images to train on")
    if not isinstance(preset.config, MCGSMConfig):
        raise ValueError(f"this training is for MCGSM, not {type(preset.config).__name__}")
    started = time.monotonic()
    data_checksum = checksum(files)
    settings = {"preset": dataclasses.asdict(preset), "seed": seed, "data": data_checksum}
    run = Run(Path(f"{out}.training"), json.dumps(settings, sort_keys=True), resume=resume)
    model = MCGSM(preset.config)
    sources = [Source.of(partial(_read, path, preset)) for path in files]
    bits = fit_model(model, sources, preset.training, seed, run, progress)
    provenance = {
        "data": data_name or f"{len(files)} images",
        "data_checksum": data_checksum,
        "licence": licence,
        "training": dataclasses.asdict(preset.training),
        "seed": seed,
        "commit": commit(),
        "versions": versions(),
        "figures": {
            "validation_bits_per_value": bits,
            "seconds": round(time.monotonic() - started),
        },
    }
    checkpoint.save(model, out, provenance)
    run.remove()
    return model
