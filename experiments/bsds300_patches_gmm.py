"""BSDS300, 63 and 64 dimensions: a mixture of 200 full-covariance Gaussians.

    python -m experiments.bsds300_patches_gmm FOLDER

Trains it, saving the state in FOLDER after every pass (a stopped run goes on there), scores the
test patches and appends the figures to results/bsds300.json. README-bsds300.md is the protocol.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.bsds300 import log_density_64, patches, remove_dc
from experiments.records import Record, append
from imprior.models.baselines.gmm import GMM, GMMConfig
from imprior.train.em import EMConfig, EMState, fit

RESULTS = Path(__file__).parent / "results" / "bsds300.json"
PUBLISHED = {"63": 153.7, "64": 3.360}


def train(path: Path, config: EMConfig, num_components: int, num_train: int) -> tuple[GMM, float]:
    """Fits the mixture to patches without DC, going on from `path`; returns it and the seconds."""
    model = GMM(GMMConfig(1, 1, 63, num_components)).double()
    saved = torch.load(path, weights_only=True) if path.exists() else {"seconds": 0.0}
    seconds = saved.pop("seconds")
    began = time.monotonic() - seconds

    def save(state: EMState) -> None:
        nonlocal seconds
        seconds = time.monotonic() - began
        temporary = path.with_suffix(".new")
        torch.save(dataclasses.asdict(state) | {"seconds": seconds}, temporary)
        os.replace(temporary, path)
        score = f"train {state.train:.3f}, validation {state.score:.3f} nat"
        print(f"pass {state.passes:3d}: {score}, {seconds:.0f} s", flush=True)

    data, _, _ = remove_dc(patches("fit", num_train, seed=1))
    validation, _, _ = remove_dc(patches("validation", 50_000, seed=2))
    state = EMState(**saved) if saved else None
    fit(model, data, config, validation=validation, state=state, callback=save)
    return model, seconds


@torch.no_grad()
def scores(model: GMM, x: Tensor) -> tuple[float, float]:
    """Mean log density of 63 dimensions in nats, and of all 64 in bits per pixel."""
    d, dc, _ = remove_dc(x)
    log_density = model.log_density(d)
    bits = log_density_64(log_density, dc).mean().item() / (64 * math.log(2))
    return log_density.mean().item(), bits


def main(
    folder: Path,
    num_components: int = 200,
    num_train: int = 2_000_000,
    num_test: int = 1_000_000,
    passes: int = 20,
    batch_size: int = 50_000,
    threads: int = 1,
) -> None:
    """Trains, scores and records a mixture of Gaussians on BSDS300.

    Arguments:
        folder: Where to save the state of the run, or to find the one to go on from.
        num_components: Number of Gaussians.
        num_train: Training patches.
        num_test: Test patches.
        passes: At most so many passes over the training patches.
        batch_size: Training patches per update.
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    config = EMConfig(passes, batch_size, init="energy", min_count=100)
    model, seconds = train(folder / "em.pt", config, num_components, num_train)
    nats, bits = scores(model, patches("test", num_test, seed=3, dtype=torch.float64))
    protocol = (
        f"README-bsds300.md; {num_train:,} training patches of 180 images, 50,000 validation "
        f"patches of 20; {num_test:,} test patches of 100, seed 3; stepwise EM, {threads} thread"
    )
    model_name = f"gmm-{num_components}"
    published = PUBLISHED if num_components == 200 else {}
    records = [
        Record(f"bsds300/63/{model_name}", nats, "nat", protocol, seconds, published.get("63")),
        Record(f"bsds300/64/{model_name}", bits, "bit/px", protocol, seconds, published.get("64")),
    ]
    print(*records, sep="\n")
    append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main)
