"""Which order of colours, and which colour transform, an MCGSM should use.

    python -m experiments.colour_order

A model of 16 components for each choice, trained for about a minute on 600,000 pixels of the
bundled models' photographs; bits per value of 100,000 pixels each of the Kodak and McMaster sets.
"planes": one colour after the other, each sees all of the earlier ones. "pixels": all colours of a
pixel, then the next pixel. The figures go to results/colour_order.json.
"""

from __future__ import annotations

import math
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.bsds300 import data_root
from experiments.records import Record, append
from imprior.data import images
from imprior.data.datasets import find_images
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.train.runs import Run
from imprior.train.samples import Drawing, Source, draw, whiten
from imprior.train.shallow import ShallowTraining, fit_model
from imprior.train.stages import Stage

RESULTS = Path(__file__).parent / "results" / "colour_order.json"
CHOICES = {
    "rgb-planes": MCGSMConfig(channels=3, radius=5.0, cross_radius=2.3, order="planes"),
    "rgb-pixels": MCGSMConfig(channels=3, radius=5.0, cross_radius=2.3, order="pixels"),
    "ycocg-planes": MCGSMConfig(3, radius=5.0, cross_radius=2.3, order="planes", colour="ycocg"),
    "ycocg-pixels": MCGSMConfig(3, radius=5.0, cross_radius=2.3, order="pixels", colour="ycocg"),
}
TRAINING = ShallowTraining(
    Drawing(600_000),
    (
        Stage("adam", "density", 1_500, learning_rate=0.01),
        Stage("adam", "mass", 600, learning_rate=0.003, check_every=200),
    ),
)


def sources(*folders: str) -> list[Source]:
    """The pictures of folders of the data sets."""
    return [
        Source.of(partial(_pixels, path))
        for path in find_images([data_root() / folder for folder in folders])
    ]


def _pixels(path: Path) -> Tensor:
    return images.read(path).pixels


@torch.no_grad()
def bits(model: MCGSM, pictures: list[Source]) -> float:
    """Bits per value of pixels drawn from pictures."""
    total = 0.0
    for plane in range(model.channels):
        samples = draw(model, plane, pictures, Drawing(100_000), seed=1)
        x, y = whiten(model, model.whitening[plane], samples)[1]
        total -= float(model.experts[plane].log_prob(x, y).double().mean()) / math.log(2)
    return total / model.channels


def main(threads: int = 1) -> None:
    """Trains and measures every choice, and records the figures.

    Arguments:
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    training = sources("bsds500/train", "imagenet128/train")
    sets = {"kodak": sources("kodak"), "mcmaster": sources("mcmaster")}
    for choice, config in CHOICES.items():
        began, model = time.process_time(), MCGSM(config)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder) / "run", choice, resume=False)
            fit_model(model, training, TRAINING, 0, run, lambda _: None)
        protocol = "100,000 pixels drawn; 16 components, 600,000 training pixels, 2,100 batches"
        records = [
            Record(
                f"{name}/8bit/mcgsm-16-{choice}",
                round(bits(model, pictures), 4),
                "bit/value",
                protocol,
                round(time.process_time() - began),
            )
            for name, pictures in sets.items()
        ]
        print(*records, sep="\n", flush=True)
        append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main)
