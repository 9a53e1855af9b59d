"""PSNR of grey denoisers on Set12 and Set68, beside the network published for BSD400.

    python -m experiments.local_denoising                          # minutes on one core
    python -m experiments.local_denoising --models '["flat-gray"]' --ensemble true
    python -m experiments.local_denoising --models '["local-gray"]' --sets '["set12"]'

Noise of sigma / 255 is drawn by a seeded generator for each image, not clipped; PSNR of floats, for
a range of 1, the mean over the images. All methods see the same noisy images. Anchors are what the
authors' code gives with its weights.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from jsonargparse import auto_cli

from experiments.bsds300 import data_root
from experiments.faces import published
from experiments.records import Record, append
from imprior import checkpoint
from imprior.base import require
from imprior.denoisers import Denoiser
from imprior.models.local.published import read_flat
from imprior.tasks.evaluate_denoiser import Denoising, evaluate_denoiser, total

RESULTS = Path(__file__).parent / "results" / "local_denoising.json"
PUBLISHED = "published-bsd400"
ANCHORS = {
    "set12": {15.0: 32.57, 25.0: 30.26, 50.0: 27.15},
    "set68": {15.0: 31.50, 25.0: 29.07, 50.0: 26.19},
}


def measure(
    name: str, data: str, sigmas: list[float], seed: int, *, ensemble: bool = False
) -> list[Record]:
    """Denoises a set by one method."""
    if name == PUBLISHED:
        model: Denoiser = read_flat(published("BSD400_gray/flat_BF_CNN"))
    else:
        model = require(checkpoint.load(name), Denoiser, "denoising")
    began, found = time.perf_counter(), []
    results = evaluate_denoiser(
        model, [data_root() / data], sigmas, seed=seed, ensemble=ensemble, gray=True
    )
    for result in results:
        if not isinstance(result, Denoising):
            raise ValueError(f"{result.path}: {result.reason}")
        found.append(result.record())
    seconds, records = time.perf_counter() - began, []
    for sigma, means in total(found).items():
        anchor = ANCHORS.get(data, {}).get(float(sigma)) if name == PUBLISHED else None
        protocol = f"{len(found) // len(sigmas)} images, seed {seed}, SSIM {means['ssim']:.4f}"
        row = f"{data}/sigma-{sigma}/{Path(name).name}" + ensemble * ", 8 views"
        records.append(Record(row, means["psnr"], "dB", protocol, seconds, anchor=anchor))
        print(records[-1], flush=True)
    return records


def main(
    models: tuple[str, ...] = (PUBLISHED, "flat-gray"),
    sets: tuple[str, ...] = ("set12", "set68"),
    sigmas: tuple[float, ...] = (15.0, 25.0, 50.0),
    seed: int = 0,
    ensemble: bool = False,
    threads: int = 1,
    record: bool = True,
) -> None:
    """Measures each model on each set.

    Arguments:
        models: Bundled names, folders, or "published-bsd400".
        sets: Folders of the data.
        sigmas: Levels of noise, in grey levels of 8 bits.
        seed: Of the noise.
        ensemble: Whether to take the mean over all 8 views of each image.
        threads: Threads of PyTorch.
        record: Whether to append the figures to the results.
    """
    torch.set_num_threads(threads)
    for name in models:
        for data in sets:
            records = measure(name, data, list(sigmas), seed, ensemble=ensemble)
            if record:
                append(RESULTS, records)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
