"""BSDS300, 63 and 64 dimensions: a mixture of full-covariance Gaussians.

    python -m experiments.bsds300_patches_gmm --folder FOLDER

trains it (or goes on where it was stopped), measures it on the test patches and appends the
figures to experiments/results/bsds300.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path

import torch

from experiments.bsds300 import patches, remove_dc
from imprior.models.baselines.gmm import GMM, GMMConfig
from imprior.train.em import EMConfig, EMState, fit

STATE = "em-state.pt"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where to save the run")
    parser.add_argument("--components", type=int, default=200)
    parser.add_argument("--train", type=int, default=2_000_000, help="training patches")
    parser.add_argument("--validation", type=int, default=50_000, help="validation patches")
    parser.add_argument("--test", type=int, default=1_000_000, help="test patches")
    parser.add_argument("--passes", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=50_000)
    return parser.parse_args()


def train(options: argparse.Namespace) -> GMM:
    """Fits the mixture to patches without DC; saves the state after every pass."""
    model = GMM(GMMConfig(height=1, width=63, num_components=options.components))
    config = EMConfig(
        max_passes=options.passes, batch_size=options.batch_size, init="energy", min_count=100
    )
    path = options.folder / STATE
    state = None
    if path.exists():
        state = EMState(**torch.load(path, weights_only=True))
    began = time.monotonic()

    def save(state: EMState) -> None:
        temporary = path.with_suffix(".new")
        torch.save(dataclasses.asdict(state), temporary)
        os.replace(temporary, path)
        seconds = time.monotonic() - began
        print(
            f"pass {state.passes:3d}: train {state.train:.3f}, validation {state.score:.3f} nat, "
            f"{seconds:.0f} s ({time.process_time():.0f} s of CPU)",
            flush=True,
        )

    data = remove_dc(patches("fit", options.train, seed=1))[0]
    validation = remove_dc(patches("validation", options.validation, seed=2))[0]
    fit(model, data, config, validation=validation, state=state, callback=save)
    return model


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    model = train(options)
    total = 0.0
    for x in remove_dc(patches("test", options.test, seed=3))[0].split(100_000):
        total += model.log_density(x).detach().sum(dtype=torch.float64).item()
    print(total / options.test)


if __name__ == "__main__":
    main()
