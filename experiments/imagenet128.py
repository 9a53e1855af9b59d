"""PixelPyramids on ImageNet's photographs of 128 x 128: bits of a value, level by level.

    IMPRIOR_DATA=DIR python -m experiments.imagenet128 --preset pyramid-rgb --bits 8
    IMPRIOR_DATA=DIR python -m experiments.imagenet128 --model pyramid-rgb

- Data: imagenet128/train (795 photographs, a tenth of which chooses the weights) and
  imagenet128/test (88), a small stand-in for ImageNet: what papers report on all of it does not
  compare. 5 bits are the highest 5 of each value.
- A preset is trained on imagenet128/train alone; a model that is given has its own training, which
  its folder tells.
- Figures are bits per value over all 88 test images, whole, in float32. Of each level: what it adds
  to that, and the bits per value of its own part.
- Codecs, in the same run on the same values, are at their strongest usual lossless settings;
  5-bit values are stored as 8-bit samples. Lengths are of whole files, whose headers count for
  images of this size.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments import pyramid_levels
from experiments.bsds300 import data_root
from experiments.pyramid_levels import LevelBits
from experiments.records import Record, append
from imprior import checkpoint
from imprior.base import ImageModel
from imprior.data.datasets import find_images
from imprior.data.files import replace_file
from imprior.data.images import read
from imprior.data.loading import match
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS, Preset
from imprior.tasks import codecs
from imprior.train.networks import NetworkTraining
from imprior.train.progress import Progress
from imprior.train.training import train

RESULTS = Path(__file__).parent / "results" / "imagenet128.json"
PROTOCOL = (
    "docstring of experiments/imagenet128.py; {what}; seconds of CPU time to evaluate or encode"
)


def files(split: str) -> list[Path]:
    """The photographs of "train" or "test"."""
    return find_images([data_root() / "imagenet128" / split])


def photographs(split: str, channels: int = 3, bits: int = 8) -> list[Tensor]:
    """The same as a model of so many channels and bits sees them, int64 (C, H, W)."""
    return [
        match(read(path), channels, bits, gray=True, reduce_bits=True).pixels
        for path in files(split)
    ]


def with_steps(training: NetworkTraining, steps: int) -> NetworkTraining:
    """The same training with another number of steps, of every part; validated in the end."""
    warmup = min(training.fit.warmup_steps, steps // 4)
    fit = dataclasses.replace(training.fit, steps=steps, warmup_steps=warmup, validate_every=steps)
    return dataclasses.replace(training, fit=fit, budgets=())


def adapted(name: str, bits: int, steps: int | None) -> Preset:
    """A preset of the table for other bits, and trained for other steps.

    Raises:
        ValueError: If it is no pyramid.
    """
    pyramids = [n for n, each in PRESETS.items() if isinstance(each.config, PixelPyramidConfig)]
    if name not in pyramids:
        raise ValueError(f"{name!r} is no preset of a pyramid: choose from {', '.join(pyramids)}")
    preset = PRESETS[name]
    config = dataclasses.replace(preset.config, bits=bits)
    data = dataclasses.replace(preset.data, reduce_bits=bits < 8)
    training = preset.training if steps is None else with_steps(preset.training, steps)
    return dataclasses.replace(preset, config=config, data=data, training=training)


def as_pyramid(model: ImageModel) -> PixelPyramid:
    """The model, if it is a pyramid.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(model, PixelPyramid):
        raise ValueError(f"this experiment is for a PixelPyramid, not {type(model).__name__}")
    return model


def origin(folder: Path) -> str:
    """What a model was trained on, and for how long, as its folder tells."""
    told: dict[str, Any] = checkpoint.read(folder)["provenance"]
    seconds = (told["figures"] or {}).get("seconds", "unknown")
    return f"trained on {told['data']} for {seconds} s"


def records(name: str, what: str, found: LevelBits, seconds: float) -> list[Record]:
    """The figures of a model and of its levels; `name` begins with set and bits."""
    figures = {name: found.bits_per_dim}
    figures |= {f"{name}/{level}": value for level, value in found.shares.items()}
    figures |= {f"{name}/{level}-own": value for level, value in found.own.items()}
    protocol = PROTOCOL.format(what=what)
    return [
        Record(key, round(value, 4), "bit/value", protocol, round(seconds, 1))
        for key, value in figures.items()
    ]


def engineered(name: str, images: list[Tensor], bits: int) -> list[Record]:
    """The figures of the codecs that can hold all of the images, which have one size."""
    rows = []
    for codec, about in codecs.CODECS.items():
        began = time.process_time()
        found = [codecs.bits_per_dim((codec,), x, bits).get(codec) for x in images]
        sizes = [size for size in found if size is not None]
        seconds = round(time.process_time() - began, 1)
        if len(sizes) == len(images):
            value = round(sum(sizes) / len(sizes), 4)
            protocol = PROTOCOL.format(what=about.settings)
            rows.append(Record(f"{name}/{codec}", value, "bit/value", protocol, seconds))
    return rows


def show(progress: Progress) -> None:
    """Prints where the training is."""
    if progress.step % 250 == 0 or progress.step == progress.total:
        at = f"{progress.step}/{progress.total}"
        print(f"  {progress.stage} {at} {progress.figure:.4f}", flush=True)


def main(
    preset: str = "pyramid-rgb",
    bits: int = 8,
    model: str | None = None,
    steps: int | None = None,
    runs: Path = Path("runs"),
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Trains a pyramid unless one is given, measures it, and records and draws the figures.

    Arguments:
        preset: What to train; a training that was interrupted goes on.
        bits: Of the model that is trained; one that is given has its own.
        model: A trained pyramid: a folder or a bundled name.
        steps: Of every part, in place of the preset's.
        runs: Where trained models are kept.
        seed: Of the training.
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    if model is None:
        chosen = adapted(preset, bits, steps)
        name = preset if steps is None else f"{preset}-{steps}-steps"
        folder = runs / f"imagenet128-{bits}bit-{name}"
        if not (folder / checkpoint.CONFIG).exists():
            told: dict[str, Any] = {"data_name": "imagenet128/train", "licence": "research use"}
            train(chosen, files("train"), folder, seed=seed, progress=show, **told)
    else:
        folder = checkpoint.find(model)
        name = folder.name
    pyramid = as_pyramid(checkpoint.load(folder))
    depth = pyramid.config.bits
    images = photographs("test", pyramid.channels, depth)
    data = f"imagenet128-test/{depth}bit"
    began = time.process_time()
    found = pyramid_levels.measure(pyramid, images)
    seconds = time.process_time() - began
    rows = records(f"{data}/{name}", origin(folder), found, seconds)
    rows += engineered(data, images, depth)
    print(*rows, sep="\n")
    append(RESULTS, rows)
    chart = RESULTS.with_name(f"imagenet128_{depth}bit.svg")
    replace_file(chart, pyramid_levels.draw(found))


if __name__ == "__main__":
    auto_cli(main)
