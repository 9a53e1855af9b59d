"""What each piece of a pyramid's level is worth: bits of one octave of photographs, at equal time.

    IMPRIOR_DATA=DIR python -m experiments.pyramid_ablations

- Data: imagenet128/train (795 photographs, every tenth of which chooses the weights), and all 88 of
  imagenet128/test, whole, in float32.
- Figures are bits per value of the octave: all pixels but every fourth, given those; by the finest
  two levels, which have a network each.
- "light" is the level of the preset pyramid-rgb. Every other variant changes one thing about it:
  what is told of a fine pixel ("difference", as published); no U-Net; no conv-LSTM; parts in
  squeeze x squeeze steps, of which one step leaves nothing to the conv-LSTM; the two ways past the
  networks, "neighbours" and "direct", without which only U-Net and conv-LSTM tell what lies around
  a pixel; the last kernel; the components of mixtures.
- "average" has the differences of pairs of lines given their means instead of one line given the
  other: see average_pooling.py. It compares with "difference". Its coarse images are others, and
  smoother, so the octave alone flatters neither: for "light", "difference" and "average" there is
  also the whole image, in bits per value, its coarse image by JPEG XL (effort 7).
- Training is that of the preset, in bfloat16 where it is safe. Both levels have the same number of
  steps, such that a variant takes `seconds` of CPU time (equal_time.py), on one thread. Recorded
  seconds are of training and validation, not of the test.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.average_pooling import AverageOctave
from experiments.equal_time import train_within
from experiments.imagenet128 import photographs, show, with_steps
from experiments.records import Record, append
from imprior.data.files import replace_file
from imprior.models.pyramids.config import LevelConfig, PixelPyramidConfig
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS
from imprior.presets.pyramids import LIGHT
from imprior.report.figures import bars
from imprior.tasks import codecs
from imprior.train.networks import NetworkTraining, fit_networks
from imprior.train.shallow import split

RESULTS = Path(__file__).parent / "results" / "pyramid_ablations.json"
PRESET = "pyramid-rgb"
Octave = PixelPyramid | AverageOctave


def _levels(**changes: object) -> tuple[LevelConfig, ...]:
    return (dataclasses.replace(LIGHT, **changes),) * 2  # type: ignore[arg-type]


_BASE = PixelPyramidConfig(levels=_levels(), coarse_filters=1, coarse_blocks=1)
VARIANTS: dict[str, PixelPyramidConfig] = {
    "light": _BASE,
    "difference": dataclasses.replace(_BASE, fine="difference"),
    "no-unet": dataclasses.replace(_BASE, levels=_levels(context="none")),
    "no-lstm": dataclasses.replace(_BASE, levels=_levels(num_lstms=0, direct=False)),
    "squeeze-1": dataclasses.replace(_BASE, levels=_levels(squeeze=1, num_lstms=0, direct=False)),
    "squeeze-4": dataclasses.replace(_BASE, levels=_levels(squeeze=4)),
    "no-neighbours": dataclasses.replace(_BASE, levels=_levels(neighbours=False)),
    "no-direct": dataclasses.replace(_BASE, levels=_levels(direct=False)),
    "neither": dataclasses.replace(_BASE, levels=_levels(neighbours=False, direct=False)),
    "kernel-1": dataclasses.replace(_BASE, levels=_levels(kernel=1)),
    "components-5": dataclasses.replace(_BASE, levels=_levels(num_components=5)),
    "average": dataclasses.replace(_BASE, fine="difference"),
}
WHOLE = ("light", "difference", "average")  # variants whose coarse images count, too
PROTOCOL = (
    "docstring of experiments/pyramid_ablations.py; {steps} steps of {batch} crops of {crop} for "
    "each level, {count:,} parameters"
)


def build(name: str) -> Octave:
    """The two levels of a variant, which always start with the same weights."""
    torch.manual_seed(0)
    config = VARIANTS[name]
    return AverageOctave(config) if name == "average" else PixelPyramid(config)


def train(
    name: str, photos: list[Tensor], training: NetworkTraining, seed: int, steps: int
) -> Octave:
    """A variant of which both levels were trained so many steps."""
    model, training = build(name), with_steps(training, steps)
    images = split(photos, training.validation_share)
    with tempfile.TemporaryDirectory() as folder:
        for level in ("level-1", "level-2"):
            options: dict[str, Any] = {"seed": seed, "level": level, "progress": show}
            fit_networks(model, images, training, Path(folder), **options)
    return model


@torch.no_grad()
def bits(model: Octave, test: list[Tensor]) -> tuple[float, float]:
    """Bits per value of the octave, and of the whole images with JPEG XL for the coarse ones."""
    octave = coarser = 0.0
    count = sum(x.numel() for x in test)
    for image in test:
        x = image[None]
        if isinstance(model, AverageOctave):
            coarse, nats = model.coarse(x), model.nats(x)
        else:
            coarse, detail = model.split(x)
            nats = -model.given(coarse).log_prob(detail)
        octave += float(nats) / math.log(2)
        coarser += codecs.bits_per_dim(("jxl",), coarse[0], 8)["jxl"] * coarse.numel()
    return octave / (0.75 * count), (octave + coarser) / count


def chart() -> bytes:
    """An SVG of the latest figures that were recorded, with the seconds of each training."""
    rows = [row for row in json.loads(RESULTS.read_text()) if "/octave/" in row["name"]]
    latest = {row["name"].rpartition("/")[2]: row for row in rows}
    latest = {name: row for name, row in latest.items() if name in VARIANTS}
    names = {name: f"{name}, {row['seconds']:.0f} s" for name, row in latest.items()}
    values = {names[name]: row["value"] for name, row in latest.items()}
    highlight = [names["light"]] if "light" in names else []
    return bars(
        values, highlight, label="bits per value of the finest octave; CPU time of training"
    )


def main(
    variants: tuple[str, ...] = tuple(VARIANTS),
    seconds: float = 200.0,
    crop: int = 64,
    batch: int = 16,
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Trains, measures and records each variant, and draws the latest figures of all.

    Arguments:
        variants: Which of the variants.
        seconds: Of CPU time for the training of each variant.
        crop: Side of the crops that are trained on.
        batch: Crops in a step.
        seed: Of the training.
        threads: Threads of PyTorch.
    """
    if unknown := [name for name in variants if name not in VARIANTS]:
        raise ValueError(f"unknown variant {unknown[0]!r}: choose from {', '.join(VARIANTS)}")
    torch.set_num_threads(threads)
    preset = PRESETS[PRESET].training
    fit = dataclasses.replace(preset.fit, batch_size=batch)
    training = dataclasses.replace(preset, fit=fit, crop=crop)
    photos, test = photographs("train"), photographs("test")
    for name in variants:
        run = partial(train, name, photos, training, seed)
        model, steps, spent = train_within(seconds, name, run)
        octave, whole = bits(model, test)
        count = sum(p.numel() for part in model.levels for p in part.parameters())
        protocol = PROTOCOL.format(steps=steps, batch=batch, crop=crop, count=count)
        figures = {"octave": octave} | ({"whole-jxl": whole} if name in WHOLE else {})
        rows = [
            Record(f"imagenet128-test/{what}/{name}", round(value, 4), "bit/value", protocol, spent)
            for what, value in figures.items()
        ]
        print(*rows, sep="\n", flush=True)
        append(RESULTS, rows)
    replace_file(RESULTS.with_suffix(".svg"), chart())


if __name__ == "__main__":
    auto_cli(main)
