"""Bits per value of the bundled models and of engineered codecs, on pictures they never saw.

    python -m experiments.compression

BSDS300's 100 test images in grey, and the Kodak and McMaster sets in colour, whole images, every
pixel counted. The codecs run in the same process on the same pixels (`imprior.tasks.codecs` lists
their settings); for the codecs, `value` is what was measured here. The figures go to
results/compression.json.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import auto_cli

from experiments.bsds300 import data_root
from experiments.records import Record, append
from imprior import checkpoint
from imprior.base import LikelihoodModel, require
from imprior.tasks.evaluate import Evaluation, evaluate, total
from imprior.tasks.files import Failure

RESULTS = Path(__file__).parent / "results" / "compression.json"
CODECS = ("png", "webp", "jpegls", "jpeg2000", "jxl", "jxl9")


@dataclass(frozen=True)
class Set:
    """A set of test pictures.

    Attributes:
        name: As it begins the names of the figures.
        folder: Below the folder of the data sets.
        model: The bundled model for it.
        gray: Whether it is made grey.
    """

    name: str
    folder: str
    model: str
    gray: bool


SETS = (
    Set("bsds300-test/gray", "bsds500/val", "mcgsm-gray", True),
    Set("kodak/8bit", "kodak", "mcgsm-rgb", False),
    Set("mcmaster/8bit", "mcmaster", "mcgsm-rgb", False),
    Set("bsds300-test/gray", "bsds500/val", "ride-gray", True),
    Set("kodak/8bit", "kodak", "pyramid-rgb", False),
    Set("mcmaster/8bit", "mcmaster", "pyramid-rgb", False),
)


def measure(pictures: Set, against: tuple[str, ...]) -> list[Record]:
    """The figures of one set: the model's, then the codecs'."""
    model = require(checkpoint.load(pictures.model), LikelihoodModel, "this experiment")
    began = time.process_time()
    files = [data_root() / pictures.folder]
    results: list[Evaluation] = []
    for result in evaluate(model, files, gray=pictures.gray, against=against):
        if isinstance(result, Failure):
            raise ValueError(f"{result.path}: {result.reason}")
        results.append(result)
        print(f"  {result.name}: {result.bits_per_dim:.3f}", flush=True)
    seconds = round(time.process_time() - began)
    figures = total([result.record() for result in results])
    values = {pictures.model: figures["bits_per_dim"], **figures["codecs"]}
    protocol = f"bits per value, whole images, all {len(results)} pictures; seconds for all rows"
    return [
        Record(f"{pictures.name}/{name}", round(value, 4), "bit/value", protocol, seconds)
        for name, value in values.items()
    ]


def main(codecs: bool = True, models: tuple[str, ...] = ()) -> None:
    """Measures all sets and records the figures.

    Arguments:
        codecs: Whether to run the engineered codecs as well.
        models: Those to measure; all if none is named.
    """
    for pictures in SETS:
        if models and pictures.model not in models:
            continue
        records = measure(pictures, CODECS if codecs else ())
        print(*records, sep="\n")
        append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main)
