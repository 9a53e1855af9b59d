"""BSDS300, 63 and 64 dimensions: one factorized MCGSM per pixel of a patch.

    python -m experiments.bsds300_patches_mcgsm FOLDER

Pixel i of a patch without DC conditions on the i pixels before it; the first is a mixture of GSMs.
Each finished pixel is saved in FOLDER, where a stopped run goes on. README-bsds300.md is the
protocol; the figures go to results/bsds300.json.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.bsds300 import log_density_64, patches, remove_dc
from experiments.records import Record, append
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.train.samples import Whitened
from imprior.train.stages import Data, Fit, Stage
from imprior.transforms.causal import ConditionalWhitening

RESULTS = Path(__file__).parent / "results" / "bsds300.json"
PUBLISHED = {16: (155.1, 3.413), 32: (155.8, 3.430), 64: (156.2, 3.439), 128: (156.4, 3.443)}


class Conditional(torch.nn.Module):
    """p(d_i | d_1, ..., d_{i-1}): a whitened factorized MCGSM."""

    def __init__(self, num_inputs: int, num_components: int, num_features: int) -> None:
        super().__init__()
        first = num_inputs == 0
        self.whitening = ConditionalWhitening(num_inputs)
        self.mixture = FactorizedMCGSM(
            num_inputs, num_components, 4, 0 if first else num_features, means=first
        )

    def whitened(self, d: Tensor) -> Whitened[Tensor]:
        """Patches without DC (n, 63) as this pixel's inputs and outputs."""
        i = self.mixture.num_inputs
        x = self.whitening.inputs(d[:, :i])
        return Whitened(x, self.whitening.outputs(x, d[:, i]))

    def fit(self, d: Tensor, validation: Tensor, stages: tuple[Stage, ...], seed: int) -> None:
        """Fits whitening and mixture."""
        i = self.mixture.num_inputs
        self.whitening.fit(d[:, :i], d[:, i])
        points, held_out = self.whitened(d), self.whitened(validation)
        self.mixture.initialize(points.x, points.y, torch.Generator().manual_seed(seed))
        log_jacobian = float(self.whitening.log_jacobian)
        fit = Fit(self.mixture, Data(points, None, held_out, None, log_jacobian), stages)
        while not fit.done:
            fit.advance()

    @torch.no_grad()
    def log_density(self, d: Tensor) -> Tensor:
        """Log p(d_i | d_<i) in nats, float64 (n,)."""
        parts = [self.whitened(rows) for rows in d.split(1 << 16)]
        values = torch.cat([self.mixture.log_prob(*part) for part in parts]).double()
        return values + self.whitening.log_jacobian.double()


def trained(
    path: Path, model: Conditional, d: Tensor, validation: Tensor, stages: tuple[Stage, ...]
) -> Conditional:
    """The pixel's model: from `path` if it was fitted before, else fitted and saved there."""
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model
    model.fit(d, validation, stages, seed=0)
    torch.save(model.state_dict(), path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)
    return model


def main(
    folder: Path,
    num_components: int = 16,
    num_features: int = 48,
    num_train: int = 1_500_000,
    num_test: int = 1_000_000,
    steps: int = 4_000,
    threads: int = 1,
) -> None:
    """Trains, scores and records the patch model.

    Arguments:
        folder: Where the pixels' models are saved.
        num_components: Components of each mixture.
        num_features: Features of each mixture.
        num_train: Training patches.
        num_test: Test patches.
        steps: Mini-batches of 8192 patches, for each pixel.
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    stages = (Stage("adam", "density", steps, check_every=500),)
    d, _, _ = remove_dc(patches("fit", num_train, seed=1))
    validation, _, _ = remove_dc(patches("validation", 50_000, seed=2))
    test, dc, _ = remove_dc(patches("test", num_test, seed=3))
    total, began = torch.zeros(num_test, dtype=torch.float64), time.process_time()
    for i in range(d.shape[1]):
        model = Conditional(i, num_components, num_features)
        model = trained(folder / f"pixel-{i:02d}.pt", model, d, validation, stages)
        total += model.log_density(test)
        print(f"pixel {i:2d}: {float(total.mean()):8.3f} nat so far", flush=True)
    seconds = time.process_time() - began
    bits = float(log_density_64(total, dc).mean()) / (64 * math.log(2))
    protocol = (
        f"README-bsds300.md; {num_train:,} training patches of 180 images, 50,000 validation "
        f"patches of 20; {num_test:,} test patches of 100, seed 3; {steps} mini-batches of 8192 a "
        f"pixel, seconds of CPU time of one thread"
    )
    name = f"mcgsm-{num_components}"
    nat, bit = PUBLISHED.get(num_components, (None, None))
    records = [
        Record(f"bsds300/63/{name}", float(total.mean()), "nat", protocol, seconds, nat),
        Record(f"bsds300/64/{name}", bits, "bit/px", protocol, seconds, bit),
    ]
    print(*records, sep="\n")
    append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main)
