"""BSDS300 in infinitely many dimensions: MCGSMs of 16 to 128 components.

    python -m experiments.bsds300_mcgsm --components 16 32 64 128

README-bsds300.md, beside this file, writes the protocol out. A run that is interrupted goes on
when it is started again.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from experiments import bsds300, records
from imprior import checkpoint, provenance
from imprior.models.ride.mcgsm import MCGSM
from imprior.presets import PRESETS
from imprior.train.progress import Progress
from imprior.train.runs import Run
from imprior.train.samples import Source
from imprior.train.shallow import fit_model
from imprior.transforms import causal

RESULTS = Path(__file__).parent / "results" / "bsds300.json"
PROTOCOL = (
    "mean log2-density of a pixel given 4 rows of 9 above and 4 to the left, over all pixels of "
    "the 100 test images with whole neighbourhoods; grey (g + u) / 256; {pixels} training pixels "
    "from 180 of the 200 training images, 20 validate"
)


def grey(split: bsds300.Split) -> list[Tensor]:
    """The grey images of a split, int64 (1, H, W)."""
    return [torch.from_numpy(image).long()[None] for image in bsds300.images(split)]


@torch.no_grad()
def test_score(model: MCGSM, images: list[Tensor], seed: int = 3) -> float:
    """Bits per pixel of log-density (larger is better), over all whole neighbourhoods."""
    generator = torch.Generator().manual_seed(seed)
    whitening, reach, total, count = model.whitening[0], model.reach, 0.0, 0
    for image in images:
        noisy = (image + torch.rand(image.shape, generator=generator)) / 2**model.config.bits
        _, height, width = image.shape
        y, x = torch.meshgrid(
            torch.arange(reach, height), torch.arange(reach, width - reach), indexing="ij"
        )
        y, x = y.flatten(), x.flatten()
        inputs = causal.gather(causal.pad(noisy, reach), reach, model.contexts[0], y, x)
        inputs = whitening.inputs(inputs)
        outputs = whitening.outputs(inputs, noisy[0, y, x])
        total += float(model.experts[0].log_prob(inputs, outputs).double().sum())
        total += len(y) * float(whitening.log_jacobian)
        count += len(y)
    return total / count / math.log(2)


def show(progress: Progress) -> None:
    """Prints where the training is; bits are of grey levels, 8 minus the papers' figure."""
    print(f"  {progress.stage} {progress.step}/{progress.total} {progress.figure:.4f}", flush=True)


def run(components: int, folder: Path, seed: int = 0, steps: int | None = None) -> records.Record:
    """Trains and tests one size; `steps` mini-batches alone instead of the preset's stages."""
    preset = PRESETS[f"mcgsm-bsds300-{components}"]
    if steps is not None:
        short = (replace(preset.training.stages[0], steps=steps),)
        preset = replace(preset, training=replace(preset.training, stages=short))
    started = time.process_time()
    torch.manual_seed(seed)
    model = MCGSM(preset.config)
    state = Run(folder / f"mcgsm-{components}.training", repr(preset), resume=True)
    sources = [Source(partial(torch.clone, image), image[0].numel()) for image in grey("train")]
    fit_model(model, sources, preset.training, seed, state, show)
    seconds = time.process_time() - started
    value = test_score(model, grey("test"))
    figures = {"bsds300/inf": round(value, 4), "cpu_seconds": round(seconds)}
    checkpoint.save(
        model,
        folder / f"mcgsm-{components}",
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
    protocol = PROTOCOL.format(pixels=f"{preset.training.drawing.pixels:,}")
    if steps is not None:
        protocol += f"; {steps:,} mini-batches instead of the preset's training"
    published = preset.published["bsds300/inf"][0]
    name = f"bsds300/inf/mcgsm-{components}"
    return records.Record(name, round(value, 4), "bit/px", protocol, round(seconds), published)


def main() -> None:
    """Trains, tests and records each size that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--components", type=int, nargs="+", default=[16], metavar="C")
    parser.add_argument("--folder", type=Path, default=Path("runs/bsds300"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="a shorter training: mini-batches of Adam alone")
    options = parser.parse_args()
    for components in options.components:
        record = run(components, options.folder, options.seed, options.steps)
        print(record)
        records.append(RESULTS, [record])


if __name__ == "__main__":
    main()
