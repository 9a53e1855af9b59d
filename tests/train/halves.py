"""A model of two small convolutional networks, and its training in a process of its own."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, pad

from imprior import checkpoint, models
from imprior.base import ImageModel, Part
from imprior.data.images import Image, write
from imprior.presets import ImageData, Preset
from imprior.train.config import FitConfig
from imprior.train.networks import NetworkTraining
from imprior.train.progress import Progress
from imprior.train.training import train
from tests.models.mcgsms import smooth


@dataclass(frozen=True)
class HalfConfig:
    channels: int = 1
    bits: int = 3
    width: int = 6


class Diary(list[Any]):
    """A list that a model shares with its copies."""

    def __deepcopy__(self, memo: Any) -> Diary:
        return self


class Half(ImageModel):
    """Logits of the odd columns given the even ones, or of even columns given those to the left.

    It draws noise in training, so that it matters where random numbers come from.
    """

    config_class = HalfConfig

    def __init__(self, config: HalfConfig, given: bool) -> None:
        super().__init__(config)
        self.given = given
        self.first = nn.Conv2d(2, config.width, 3, padding=1)
        self.last = nn.Conv2d(config.width, 2**config.bits, 1)
        self.seen = Diary()

    def logits(self, batch: Tensor) -> Tensor:
        unit = batch[:, :1] / 2.0 ** (self.config.bits - 1) - 1
        known = unit if self.given else pad(unit, (2, 0))[..., :-2]
        hidden = self.first(torch.cat([known, known.square()], 1)).relu()
        self.seen.append((tuple(batch.shape), hidden.dtype, self.training))
        return self.last(dropout(hidden, 0.1, self.training))

    def loss(self, batch: Tensor) -> Tensor:
        return cross_entropy(self.logits(batch).float(), batch[:, -1])

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        return {"bits_per_dim": self.loss(batch) / math.log(2)}


class Halves(ImageModel):
    """Images of one channel as their even columns, and their odd columns given those."""

    config_class = HalfConfig

    def __init__(self, config: HalfConfig) -> None:
        super().__init__(config)
        self.detail, self.coarse = Half(config, given=True), Half(config, given=False)

    def parts(self) -> list[Part]:
        return [
            Part("detail 1", self.detail, lambda x: torch.cat([x[..., :-1:2], x[..., 1::2]], 1)),
            Part("coarse", self.coarse, lambda x: x[..., ::2], (lambda x: x,)),
        ]


@dataclass(frozen=True)
class OneConfig(HalfConfig):
    pass


class One(Half):
    """A model that is one network."""

    config_class = OneConfig

    def __init__(self, config: OneConfig) -> None:
        super().__init__(config, given=False)


FIT = FitConfig(
    12,
    4,
    0.02,
    warmup_steps=2,
    gradient_clip=1.0,
    weight_average=0.9,
    validate_every=4,
    checkpoint_steps=2,
)
TRAINING = NetworkTraining(FIT, crop=8, validation_size=10, validation_patches=5)
PARTS = ["detail 1", "coarse"]
PRESET = Preset(HalfConfig(), TRAINING, ImageData(reduce_bits=True), {}, "for tests")


def pictures(count: int = 9, side: int = 16, bits: int = 3) -> list[Tensor]:
    torch.manual_seed(3)
    return [smooth(bits, 1, side, side)[0] for _ in range(count)]


def write_pictures(folder: Path) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(9)]
    for path, image in zip(paths, pictures(bits=8), strict=True):
        write(path, Image(image, 8))
    return paths


@contextmanager
def offered() -> Iterator[None]:
    """Makes these models ones that can be built and loaded."""
    known = (Halves, One, *models.MODELS)
    with mock.patch.object(models, "MODELS", known), mock.patch.object(checkpoint, "MODELS", known):
        yield


def main() -> None:
    """Trains `PRESET` as the JSON on the command line says; dies at the step `kill`."""
    options = json.loads(sys.argv[1])
    kill, files = options.pop("kill", None), [Path(path) for path in options.pop("files")]

    def progress(now: Progress) -> None:
        if now.step == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    with offered():
        train(PRESET, files, Path(options.pop("out")), progress=progress, **options)


if __name__ == "__main__":
    main()
