"""Dead leaves: what a RIDE gains from a larger causal neighbourhood.

    python -m experiments.dead_leaves_ride

Images, pixels that are scored and the picture are those of `dead_leaves.py`, whose docstring writes
the protocol out. Each RIDE has one layer of 64 units under a mixture of 16 components that sees the
neighbourhood too, and starts as the MCGSM of that neighbourhood: units that say nothing yet. So its
curve shows what states that reach beyond the neighbourhood add to it.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli

from experiments import dead_leaves
from experiments.dead_leaves import MARGIN
from experiments.records import Record, append
from imprior.data.files import replace_file
from imprior.models.ride.mcgsm import MCGSM
from imprior.models.ride.model import RIDE, RIDEConfig
from imprior.train.config import FitConfig
from imprior.train.progress import Progress
from imprior.train.recurrent import RecurrentStage, RecurrentTraining, fit_recurrent

PROTOCOL = (
    "docstrings of experiments/dead_leaves.py and dead_leaves_ride.py; {inputs} inputs; one layer "
    "of 64 units, 16 components; {steps} mini-batches of 16 patches of {side} x {side} after the "
    "MCGSM's {mcgsm_steps}; seconds of CPU time"
)


def training(steps: int, side: int) -> RecurrentTraining:
    """Adam, its rate falling as a cosine, and a moving average of the weights."""
    fit = FitConfig(
        steps,
        16,
        0.003,
        betas=(0.9, 0.99),
        warmup_steps=min(100, steps),
        final_fraction=0.01,
        gradient_clip=1.0,
        weight_average=0.998,
        validate_every=steps,
    )
    return RecurrentTraining((RecurrentStage(1, side, "density", fit),), validation_patches=60)


@torch.no_grad()
def start(mcgsm: MCGSM, seed: int) -> RIDE:
    """A RIDE with the density of an MCGSM: nothing follows from its states yet."""
    config = mcgsm.config
    model = RIDE(
        RIDEConfig(
            bits=config.bits,
            rows=config.rows,
            columns=config.columns,
            num_components=config.num_components,
            num_scales=config.num_scales,
            num_features=config.num_features,
            direct=True,
        )
    )
    model.layers[0].initialize(torch.Generator().manual_seed(seed))
    model.whitening[0].load_state_dict(mcgsm.whitening[0].state_dict())
    old, new, units = mcgsm.experts[0], model.experts[0], model.config.num_units
    for name in ("beta", "eta", "alpha"):
        getattr(new, name).copy_(getattr(old, name))
    for mine, theirs in ((new.features, old.features), (new.predictors.T, old.predictors.T)):
        mine[:units] = 0
        mine[units:] = theirs
    return model


def show(progress: Progress) -> None:
    """Prints where the training is."""
    if progress.step % 500 == 0:
        print(f"  {progress.step}/{progress.total} {progress.figure:.4f}", flush=True)


def main(
    sizes: tuple[int, ...] = (1, 2, 3, 4, 6, 8),
    steps: int = 1500,
    side: int = 48,
    mcgsm_pixels: int = 300_000,
    mcgsm_steps: int = 2500,
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Trains, scores and records a RIDE for each size of neighbourhood, and draws all curves.

    Arguments:
        sizes: Rows above, and columns to each side, of the neighbourhoods; at most 8.
        steps: Mini-batches of 16 patches.
        side: Of the patches, neighbourhoods included.
        mcgsm_pixels: Training pixels of the MCGSMs.
        mcgsm_steps: Mini-batches of 8192 pixels.
        seed: Of images, noise and training.
        threads: Threads of PyTorch.
    """
    sizes = tuple(sorted(set(sizes)))
    if not sizes or sizes[0] < 1 or sizes[-1] > MARGIN:
        raise ValueError(f"sizes are 1 to {MARGIN}, got {sizes}")
    torch.set_num_threads(threads)
    train, test = dead_leaves.images(seed)
    kept, how = len(train) // 10, training(steps, side)
    images, mcgsm = (train[kept:], train[:kept]), None
    for size in sizes:
        began = time.process_time()
        mcgsm = dead_leaves.trained(size, mcgsm, train, mcgsm_pixels, mcgsm_steps, seed)
        model = start(mcgsm, seed)
        with tempfile.TemporaryDirectory() as folder:
            run = partial(fit_recurrent, seed=seed, start=model, progress=show)
            model, _ = run(model.config, images, how, Path(folder))
        seconds = round(time.process_time() - began)
        inputs = 2 * size * (size + 1)
        protocol = PROTOCOL.format(inputs=inputs, steps=steps, side=side, mcgsm_steps=mcgsm_steps)
        value = round(dead_leaves.score(model, test, seed + 1), 4)
        name = f"dead-leaves/inf/ride-16-{inputs}-inputs"
        record = Record(name, value, "bit/px", protocol, seconds)
        print(record, flush=True)
        append(dead_leaves.RESULTS, [record])
    picture = dead_leaves.draw(test[0], dead_leaves.curves())
    replace_file(dead_leaves.RESULTS.with_suffix(".png"), picture)


if __name__ == "__main__":
    auto_cli(main)
