"""The same bits for less arithmetic: our light pyramid and the published layout, at equal CPU time.

    IMPRIOR_DATA=DIR python -m experiments.pyramid_scaled --seconds 3600

- "light" is the preset pyramid-rgb: four networks, of which the last two serve all coarser levels.
- "published" is the layout of Mahajan & Roth (2021) for images of 128 x 128, ten levels with a
  network each, scaled down: U-Nets of 16 channels that hand on 32, two conv-LSTMs of 32, and fine
  parts told as differences. Both have the PixelCNN++ of the preset.
- Data: imagenet128/train, whole images and their mirror images (a tenth chooses the weights);
  bits per value over all 88 of imagenet128/test, in float32.
- Training is that of the preset with batches of 8. All parts of a model have the same number of
  steps, such that the model takes `seconds` of CPU time: the cost of a step of each part is the
  difference of two short fits.
- Arithmetic: multiplications with an addition, of all layers for one pixel of an image of
  128 x 128, half of what torch.utils.flop_counter counts. Anchor: the authors' code, at their
  widths.
- A training is not kept: one that is interrupted starts again.
"""

from __future__ import annotations

import dataclasses
import tempfile
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from experiments import pyramid_levels
from experiments.equal_time import train_within
from experiments.imagenet128 import RESULTS, photographs, show, with_steps
from experiments.records import Record, append
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS
from imprior.train.networks import NetworkTraining, fit_networks
from imprior.train.shallow import split
from imprior.transforms import pairs

PRESET, PUBLISHED = "pyramid-rgb", "pyramid-imagenet-128"
SCALE = {"width": 16, "features": 32, "hidden": 32}
SIDE = 128
ANCHOR = 3.9  # MMAC/px, from 506 GFLOP for an image of 256 x 256
PROTOCOL = (
    "docstring of experiments/pyramid_scaled.py; {steps} steps of each part, {count:,} parameters; "
    "seconds of CPU time of training"
)
Images = tuple[list[Tensor], list[Tensor]]


def configs() -> dict[str, PixelPyramidConfig]:
    """The two models."""
    light, published = PRESETS[PRESET].config, PRESETS[PUBLISHED].config
    levels = tuple(dataclasses.replace(level, **SCALE) for level in published.levels)
    scaled = dataclasses.replace(light, levels=levels, repeat=False, fine="difference")
    return {"light": light, "published": scaled}


def arithmetic(config: PixelPyramidConfig, side: int = SIDE) -> float:
    """Millions of multiplications with an addition for a pixel of square images.

    Networks are called on tensors without values, so widths of any size cost nothing.
    """
    with torch.device("meta"):
        model = PixelPyramid(config).eval()
        x = torch.zeros(1, config.channels, side, side, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for number, axis in enumerate(model.axes(side, side)):
            coarse, fine = pairs.split(x, axis)
            model.level(number).mixture(coarse, fine, axis)
            x = coarse
        model.coarsest.network(model.coarsest.scaled(x))
    return counter.get_total_flops() / 2e6 / side**2


def build(config: PixelPyramidConfig, seed: int) -> PixelPyramid:
    """The model, which always starts with the same weights."""
    torch.manual_seed(seed)
    return PixelPyramid(config)


def fit(model: PixelPyramid, images: Images, training: NetworkTraining, seed: int) -> None:
    """Trains all parts in a folder that does not stay."""
    with tempfile.TemporaryDirectory() as folder:
        fit_networks(model, images, training, Path(folder), seed=seed, progress=show)


def train(
    config: PixelPyramidConfig, images: Images, training: NetworkTraining, seed: int, steps: int
) -> PixelPyramid:
    """A model whose parts were trained so many steps each."""
    model = build(config, seed)
    fit(model, images, with_steps(training, steps), seed)
    return model


def main(
    models: tuple[str, ...] = ("light", "published"),
    seconds: float = 3600.0,
    batch: int = 8,
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Trains, measures and records the models.

    Arguments:
        models: "light", "published" or both.
        seconds: Of CPU time for the training of each.
        batch: Images in a step.
        seed: Of the training.
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    known = configs()
    if unknown := [name for name in models if name not in known]:
        raise ValueError(f"unknown model {unknown[0]!r}: choose from {', '.join(known)}")
    preset = PRESETS[PRESET].training
    config = dataclasses.replace(preset.fit, batch_size=batch)
    training = dataclasses.replace(preset, fit=config, crop=SIDE, validation_size=SIDE)
    images = split(photographs("train"), training.validation_share)
    test = photographs("test")
    for name in models:
        run = partial(train, known[name], images, training, seed)
        model, steps, spent = train_within(seconds, name, run)
        value = round(pyramid_levels.measure(model, test).bits_per_dim, 4)
        count = sum(parameter.numel() for parameter in model.parameters())
        protocol, cost = PROTOCOL.format(steps=steps, count=count), arithmetic(known[name])
        rows = [
            Record(f"imagenet128-test/8bit/scaled-{name}", value, "bit/value", protocol, spent),
            Record(
                f"arithmetic/128x128/{name}", round(cost, 4), "MMAC/px", protocol, 0, None, ANCHOR
            ),
        ]
        print(*rows, sep="\n", flush=True)
        append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
