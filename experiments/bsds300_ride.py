"""BSDS300 in infinitely many dimensions: RIDE with one or two layers of spatial LSTM units.

    python -m experiments.bsds300_ride --layers 1 2

README-bsds300.md, beside this file, writes the protocol out. A run that is interrupted goes on
when it is started again;
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import torch
from torch import Tensor

from experiments import records
from experiments.bsds300_mcgsm import grey
from imprior import checkpoint, provenance
from imprior.models.ride.model import RIDE
from imprior.presets import PRESETS
from imprior.train.progress import Progress
from imprior.train.recurrent import fit_recurrent

RESULTS = Path(__file__).parent / "results" / "bsds300.json"
PROTOCOL = (
    "mean log2-density of a pixel given all above and to the left, over all pixels of the 100 "
    "test images with whole neighbourhoods ({reach} pixels from the top, left and right); states "
    "start as 0 there; grey (g + u) / 256; {values:,} pixels passed in training, of 180 of the "
    "200 training images, 20 validate"
)


@torch.no_grad()
def test_score(model: RIDE, images: list[Tensor], seed: int = 3) -> float:
    """Bits per pixel of log-density (larger is better), over all whole neighbourhoods."""
    generator = torch.Generator().manual_seed(seed)
    total, count = 0.0, 0
    for image in images:
        noisy = (image + torch.rand(image.shape, generator=generator)) / 2**model.config.bits
        total += float(model.total_log_prob(noisy[None], noisy[None], model.reach))
        _, height, width = image.shape
        count += (height - model.reach) * (width - 2 * model.reach)
    return total / count / math.log(2)


def training_seconds(folder: Path) -> float:
    """How long the stages of a run took, interruptions and L-BFGS left out, in seconds."""
    total = 0.0
    for path in folder.glob("stage-*/fit/curve.csv"):
        with path.open() as file:
            *_, last = csv.DictReader(file)
        total += float(last["seconds"])
    return total


def show(progress: Progress) -> None:
    """Prints where the training is; bits are of grey levels, 8 minus the papers' figure."""
    print(f"  {progress.stage} {progress.step}/{progress.total} {progress.figure:.4f}", flush=True)


def run(layers: int, folder: Path, seed: int = 0) -> records.Record:
    """Trains and tests one number of layers."""
    name = f"ride-bsds300-{layers}"
    preset = PRESETS[name]
    images = grey("fit"), grey("validation")
    own = folder / f"ride-{layers}.training"
    model, _ = fit_recurrent(preset.config, images, preset.training, own, seed=seed, progress=show)
    seconds = training_seconds(own)
    value = round(test_score(model, grey("test")), 4)
    stages = preset.training.stages
    values = sum(
        stage.fit.steps * stage.fit.batch_size
        * (stage.patch_size - model.reach) * (stage.patch_size - 2 * model.reach)
        for stage in stages
    )  # fmt: skip
    figures = {"bsds300/inf": value, "seconds": round(seconds)}
    checkpoint.save(
        model,
        folder / f"ride-{layers}",
        {
            "data": "BSDS300 train, grey",
            "data_checksum": None,
            "licence": "research use",
            "training": repr(preset.training),
            "seed": seed,
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            "figures": figures,
        },
    )
    protocol = PROTOCOL.format(reach=model.reach, values=values)
    published = preset.published["bsds300/inf"][0]
    what = f"bsds300/inf/ride-{layers}"
    return records.Record(what, value, "bit/px", protocol, round(seconds), published)


def main() -> None:
    """Trains, tests and records each number of layers that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs/bsds300"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for layers in options.layers:
        record = run(layers, options.folder, options.seed)
        print(record)
        records.append(RESULTS, [record])


if __name__ == "__main__":
    main()
