"""BSDS300, 63 dimensions: a RIDE of 8 x 8 patches, and the ensemble of its eight views.

    python -m experiments.bsds300_patches_ride FOLDER

Trains, scores the test patches and appends the figures to results/bsds300.json. Training and
scores are saved in FOLDER, where a stopped run goes on. README-bsds300.md is the protocol.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import cast

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.bsds300 import SIDE, Split, images, patches
from experiments.records import Record, append
from imprior import checkpoint
from imprior.data.columns import PatchColumns
from imprior.data.dequantization import Dequantized
from imprior.inference.symmetry import SYMMETRIES, log_mean_exp, members
from imprior.models.ride.config import RIDEConfig
from imprior.models.ride.patches import PatchRIDE, PatchRIDEConfig
from imprior.train.config import FitConfig
from imprior.train.fit import fit
from imprior.train.patches import PatchObjective, as_patches, initialize
from imprior.train.progress import Progress

RESULTS = Path(__file__).parent / "results" / "bsds300.json"
PUBLISHED = {"ride-2": 152.1, "ride-2-ensemble": 154.5}
COLUMN = 64  # patches that are drawn at once: a mini-batch
HELD_OUT = 80  # columns that validate
CHUNK = 20_000  # test patches whose scores are saved at once


def columns(split: Split, count: int, seed: int) -> Dequantized:
    """Columns of noisy patches of a split."""
    pictures = [torch.from_numpy(image)[None] for image in images(split)]
    draws = PatchColumns(pictures, SIDE, SIDE, count=COLUMN, length=count, seed=seed)
    return Dequantized(draws, 8, seed=seed)


def show(at: Progress) -> None:
    """Prints where the training is, with the validation score on the papers' scale."""
    nat = (8 - at.figure) * math.log(2) * (SIDE * SIDE - 1)
    print(f"step {at.step}/{at.total}: {nat:.3f} nat", flush=True)


def train(folder: Path, config: PatchRIDEConfig, training: FitConfig, seed: int) -> PatchRIDE:
    """Trains a model, going on from the folder; or loads it from there."""
    if (folder / "model").exists():
        model = cast(PatchRIDE, checkpoint.load(folder / "model"))
        if model.config != config:
            raise ValueError(f"{folder} holds another model, {model.config}")
        return model
    model = PatchRIDE(config)
    drawn = columns("fit", training.steps * training.batch_size, seed=1)
    some = torch.stack(list(columns("fit", 100, seed=4)))
    initialize(model, as_patches(some, SIDE), torch.Generator().manual_seed(seed))
    held_out = columns("validation", HELD_OUT, seed=2)
    about = {"data": "BSDS300 train, grey", "licence": "research use"}
    result = fit(
        *(PatchObjective(model), drawn, held_out, training, folder / "fit"),
        seed=seed, about=about, progress=show,
    )  # fmt: skip
    checkpoint.save(model, folder / "model", result.provenance)
    return model


@torch.no_grad()
def scores(path: Path, model: PatchRIDE, x: Tensor, views: tuple[int, ...]) -> Tensor:
    """Log-densities of views of patches (n, 64), nats, (views, n): from `path` if saved there."""
    if not path.exists():
        parts = x.view(-1, 1, SIDE, SIDE).split(1000)
        values = torch.cat([members(model.log_prob, part, views) for part in parts], 1)
        torch.save(values, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)
    return torch.load(path, weights_only=True)


def test(
    folder: Path, model: PatchRIDE, num_test: int, num_ensemble: int
) -> tuple[Tensor, Tensor, Tensor]:
    """One view's scores of all test patches, then of those that the ensemble scores, and its."""
    single, same, together = [], [], []
    for number, x in enumerate(patches("test", 1_000_000, seed=3)[:num_test].split(CHUNK)):
        views = SYMMETRIES if number * CHUNK < num_ensemble else SYMMETRIES[:1]
        path = folder / f"scores-{number:02d}-{len(views)}-views.pt"
        values = scores(path, model, x, views)
        single.append(values[0])
        if len(views) > 1:
            same.append(values[0])
            together.append(log_mean_exp(values))
            print(f"{number}: {float(torch.cat(together).mean()):.3f} nat together", flush=True)
        print(f"{number}: {float(torch.cat(single).mean()):.3f} nat", flush=True)
    return torch.cat(single), torch.cat(same), torch.cat(together)


def record(folder: Path, name: str, values: Tensor, remark: str) -> Record:
    """The record of the log-densities of the first test patches; the training is that of FOLDER."""
    provenance = checkpoint.read(folder / "model")["provenance"]
    seen = provenance["training"]["steps"] * provenance["training"]["batch_size"] * COLUMN
    protocol = (
        f"README-bsds300.md; {seen:,} training patches of 180 images, each seen once, weights "
        f"chosen on {HELD_OUT * COLUMN:,} patches of 20; the first {len(values):,} of 1,000,000 "
        f"test patches of 100, seed 3{remark}; trained on a machine that others used too"
    )
    seconds = provenance["figures"]["seconds"]
    value = float(values.mean())
    return Record(f"bsds300/63/{name}", value, "nat", protocol, seconds, PUBLISHED.get(name))


def main(
    folder: Path,
    layers: int = 2,
    direct: bool = False,
    steps: int = 30_000,
    num_test: int = 1_000_000,
    num_ensemble: int = 1_000_000,
    threads: int = 1,
    seed: int = 0,
) -> None:
    """Trains, scores and records the patch model.

    Arguments:
        folder: Where model and scores are saved.
        layers: Layers of 64 spatial LSTM units.
        direct: Whether the mixture sees the neighbourhood too.
        steps: Mini-batches of 64 patches.
        num_test: Test patches: the first so many of 1,000,000.
        num_ensemble: Test patches for the ensemble: the first so many of those, by the 20,000.
        threads: Threads of PyTorch.
        seed: Of the initial weights.
    """
    if not 1 <= num_ensemble <= num_test:
        raise ValueError(f"the ensemble scores 1 to {num_test} patches, got {num_ensemble}")
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    config = PatchRIDEConfig(RIDEConfig(num_layers=layers, direct=direct))
    training = FitConfig(
        steps, 1, 0.004, betas=(0.9, 0.99), warmup_steps=min(200, steps), final_fraction=0.01,
        gradient_clip=1.0, weight_average=0.999, validate_every=1000, validation_batch=4,
    )  # fmt: skip
    model = train(folder, config, training, seed)
    single, same, together = test(folder, model, num_test, num_ensemble)
    name = f"ride-{layers}-direct" if direct else f"ride-{layers}"
    beside = f"; one view scores {float(same.mean()):.3f} on these"
    records = [
        record(folder, name, single, ""),
        record(folder, f"{name}-ensemble", together, beside),
    ]
    print(*records, sep="\n")
    append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main)
