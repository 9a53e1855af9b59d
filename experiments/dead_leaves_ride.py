"""Dead leaves: what a RIDE gains from a larger causal neighbourhood.

    python -m experiments.dead_leaves_ride

Images, pixels that are scored and the picture are those of `dead_leaves.py`, whose docstring writes
the protocol out. The RIDEs have one layer of 64 units and 16 components; the mixture sees the units
alone. Their states reach further than any neighbourhood, so if only the access to more pixels
mattered, larger neighbourhoods would change nothing; and if only the neighbourhood did, they would
not do better than MCGSMs.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from jsonargparse import auto_cli

from experiments import dead_leaves
from experiments.dead_leaves import BITS, MARGIN
from experiments.records import Record, append
from imprior.data.files import replace_file
from imprior.models.ride.model import RIDEConfig
from imprior.train.config import FitConfig
from imprior.train.progress import Progress
from imprior.train.recurrent import RecurrentStage, RecurrentTraining, fit_recurrent

PROTOCOL = (
    "docstring of experiments/dead_leaves.py; {inputs} inputs; one layer of 64 units, 16 "
    "components; {steps} mini-batches of 16 patches of {side} x {side}; seconds of CPU time"
)


def training(steps: int, side: int) -> RecurrentTraining:
    """Adam, its rate falling as a cosine, and a moving average of the weights."""
    fit = FitConfig(
        steps,
        16,
        0.005,
        betas=(0.9, 0.99),
        warmup_steps=min(100, steps),
        final_fraction=0.01,
        gradient_clip=1.0,
        weight_average=0.998,
        validate_every=steps,
    )
    return RecurrentTraining((RecurrentStage(1, side, "density", fit),), validation_patches=60)


def show(progress: Progress) -> None:
    """Prints where the training is."""
    if progress.step % 500 == 0:
        print(f"  {progress.step}/{progress.total} {progress.bits:.4f}", flush=True)


def main(
    sizes: tuple[int, ...] = (1, 2, 4, 8),
    steps: int = 1500,
    side: int = 48,
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Trains, scores and records a RIDE for each size of neighbourhood, and draws all curves.

    Arguments:
        sizes: Rows above, and columns to each side, of the neighbourhoods; at most 8.
        steps: Mini-batches of 16 patches.
        side: Of the patches, neighbourhoods included.
        seed: Of images, noise and training.
        threads: Threads of PyTorch.
    """
    if not sizes or min(sizes) < 1 or max(sizes) > MARGIN:
        raise ValueError(f"sizes are 1 to {MARGIN}, got {sizes}")
    torch.set_num_threads(threads)
    train, test = dead_leaves.images(seed)
    kept = len(train) // 10
    images = train[kept:], train[:kept]
    for size in sizes:
        began = time.process_time()
        config = RIDEConfig(bits=BITS, rows=size, columns=size, num_components=16, direct=True)
        with tempfile.TemporaryDirectory() as folder:
            how = training(steps, side)
            model, _ = fit_recurrent(config, images, how, Path(folder), seed=seed, progress=show)
        seconds = round(time.process_time() - began)
        inputs = 2 * size * (size + 1)
        protocol = PROTOCOL.format(inputs=inputs, steps=steps, side=side)
        value = round(dead_leaves.score(model, test, seed + 1), 4)
        name = f"dead-leaves/inf/ride-16-{inputs}-inputs"
        record = Record(name, value, "bit/px", protocol, seconds)
        print(record, flush=True)
        append(dead_leaves.RESULTS, [record])
    picture = dead_leaves.draw(test[0], dead_leaves.curves())
    replace_file(dead_leaves.RESULTS.with_suffix(".png"), picture)


if __name__ == "__main__":
    auto_cli(main)
