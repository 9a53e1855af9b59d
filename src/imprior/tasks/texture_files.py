"""Texture synthesis: models learn from one picture, then draw more of its kind."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from imprior import checkpoint
from imprior.base import ExactModel, require
from imprior.data.images import Image, write
from imprior.presets import Preset
from imprior.tasks import codecs
from imprior.tasks.course import Course
from imprior.tasks.evaluate import evaluate_batch
from imprior.tasks.sample import sample
from imprior.tasks.statistics import mean, statistics
from imprior.tasks.texture import PAGE, REGIONS, Synthesis, Texture, Wanted, regions_of
from imprior.train.parts import PartTrainings
from imprior.train.progress import Progress
from imprior.train.training import train

AGAINST = ("png", "jpegls", "jxl")

TOP, SIDE = 64, 32
"""Rows and columns that are drawn and cut off: a model starts there without a past."""


def synthesize(
    image: Image,
    presets: Mapping[str, Preset],
    out: Path,
    wanted: Wanted,
    *,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Texture:
    """Trains a model of each preset on a texture and draws from it.

    A call that was interrupted goes on when it is made again. A model that is complete is used
    again by any call with the same texture, preset and seed.

    Arguments:
        image: The texture, of the channels that the presets have.
        presets: By name; their models get the texture's bit depth.
        out: The folder for models, samples and regions, made if it is missing.
        wanted: What to draw.
        device: Where networks are trained, such as "cuda".
        overwrite: Whether to replace what is there.
        progress: Told now and then what is being done.

    Raises:
        ValueError: If a preset cannot be used, or outputs are there already.
    """
    presets = {name: _fitted(preset, image) for name, preset in presets.items()}
    regions, suffix = regions_of(image), ".png" if len(image.pixels) <= 4 else ".tiff"
    files = [out / f"{name}{suffix}" for name in REGIONS]
    drawn = {
        name: [out / f"{name}-{index:03d}{suffix}" for index in range(wanted.num)]
        for name in presets
    }
    marks = {name: _fingerprint(image, preset, wanted.seed) for name, preset in presets.items()}
    courses = {name: Course.load(out / name, mark) or Course(mark) for name, mark in marks.items()}
    if not overwrite:
        _check_room(out, courses, [*files, *chain(*drawn.values())])
    (out / PAGE).unlink(missing_ok=True)  # it would tell of what is being replaced
    for name, course in courses.items():
        course.save(out / name)
    for file, region in zip(files, regions.values(), strict=True):
        write(file, region)
    syntheses = []
    for name, preset in presets.items():
        tell = _prefixed(name, progress)
        how = {"seed": wanted.seed, "device": device}
        _learn(preset, files[:2], out / name, courses[name], tell, how)
        syntheses.append(_draw(out / name, courses[name], regions, drawn[name], wanted, tell))
    against = codecs.bits_per_dim(AGAINST, regions["held-out"].pixels, image.bits)
    return Texture(image, regions, wanted, against, syntheses)


def _fitted(preset: Preset, image: Image) -> Preset:
    """The preset for the bits of the image, with the second of two regions for validation."""
    training = preset.training
    if isinstance(training, PartTrainings):
        first = replace(training.first, validation_share=0.5)
        training = PartTrainings(first, replace(training.rest, validation_share=0.5))
    else:
        training = replace(training, validation_share=0.5)
    return replace(preset, config=replace(preset.config, bits=image.bits), training=training)


def _fingerprint(image: Image, preset: Preset, seed: int) -> str:
    """All that a model depends on."""
    settings = (type(preset.config).__name__, preset.config, preset.training, seed)
    summary = hashlib.sha256(repr((settings, tuple(image.pixels.shape))).encode())
    summary.update(image.pixels.numpy().tobytes())
    return summary.hexdigest()


def _check_room(out: Path, courses: Mapping[str, Course], targets: list[Path]) -> None:
    """Raises ValueError if something is there that a call like this one has not left unfinished."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: --out names a folder")
    begun = {name for name, course in courses.items() if Course.load(out / name, course.of)}
    models = [
        path
        for name in courses.keys() - begun
        for path in (out / name / checkpoint.CONFIG, Path(f"{out / name}.training"))
    ]
    goes_on = bool(begun) and not (out / PAGE).exists()
    for path in [*models, *([] if goes_on else [out / PAGE, *targets])]:
        if path.exists():
            raise ValueError(f"{path} is there already: choose another --out, or --overwrite")


def _prefixed(name: str, progress: Callable[[Progress], object]) -> Callable[[Progress], object]:
    return lambda at: progress(replace(at, stage=f"{name}: {at.stage}"))


def _learn(
    preset: Preset,
    files: list[Path],
    folder: Path,
    course: Course,
    tell: Callable[[Progress], object],
    how: dict[str, Any],
) -> None:
    """Trains a model, unless that is done; `how` is for `train`."""
    if course.done and (folder / checkpoint.CONFIG).exists():
        return
    # What was left by a training that this is not the course of is to be replaced.
    resume, note = course.seconds > 0, course.follow(folder, tell)
    train(preset, files, folder, resume=resume, progress=note, **how)
    course.done = True
    course.save(folder)


def _draw(
    folder: Path,
    course: Course,
    regions: Mapping[str, Image],
    files: list[Path],
    wanted: Wanted,
    tell: Callable[[Progress], object],
) -> Synthesis:
    """Asks a model what it makes of the held-out region, and draws from it."""
    model = require(checkpoint.load(folder), ExactModel, "texture")
    held_out = regions["held-out"]
    bits_per_dim, _ = evaluate_batch(model, held_out.pixels[None])
    height, width = wanted.size
    canvas, started = (height + TOP, width + 2 * SIDE), time.monotonic()
    samples: list[Tensor] = []
    options: dict[str, Any] = {"seed": wanted.seed, "temperature": wanted.temperature}
    tell(Progress("drawing", 0, wanted.num, math.nan))
    for file, x in zip(files, sample(model, canvas, wanted.num, **options), strict=True):
        x = x[:, TOP:, SIDE : SIDE + width].contiguous()
        write(file, replace(held_out, pixels=x))
        samples.append(x)
        tell(Progress("drawing", len(samples), wanted.num, math.nan))
    return Synthesis(
        name=folder.name,
        folder=folder,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        course=course,
        bits_per_dim=float(bits_per_dim),
        samples=samples,
        files=files,
        sampling_s=time.monotonic() - started,
        statistics=mean([statistics(x, held_out.bits) for x in samples]),
    )
