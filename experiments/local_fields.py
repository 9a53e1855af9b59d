"""How much the receptive field matters: small conditional fields against flat denoisers.

    python -m experiments.local_fields                                     # published networks
    python -m experiments.local_fields --models '{"flat 43x43": "runs/flat-43", ...}'

The figure of Kadkhodaie et al. (ICLR 2023): PSNR over the noise, for denoisers that differ in what
they see. "faces": their networks for 160 x 160 pixels on the faces of `experiments/faces.py`.
"photographs": models trained here, on the middle 160 x 160 pixels of each image of Set68, grey.
Noise is drawn once for each image and scaled, not clipped. The first model of each panel is the one
that the others are compared with. The figures go to results/local_fields.json, the pictures beside.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.bsds300 import data_root
from experiments.faces import faces, published_flat, published_local
from experiments.records import Record, append
from imprior import checkpoint
from imprior.base import require
from imprior.data import floats
from imprior.data.datasets import find_images
from imprior.data.files import replace_file
from imprior.denoisers import Denoiser
from imprior.report import figures
from imprior.tasks.denoise import MAX_SIGMA, add_noise

RESULTS = Path(__file__).parent / "results"
SIGMAS = (10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 130.0, 160.0, 200.0)
SIDE = 160


def photographs() -> list[Tensor]:
    """The middle of each image of Set68, floats (1, 160, 160)."""
    parts = []
    for path in find_images([data_root() / "set68"]):
        x = floats.read(path, gray=True).colours
        top, left = ((length - SIDE) // 2 for length in x.shape[1:])
        parts.append(x[:, top : top + SIDE, left : left + SIDE].contiguous())
    return parts


@torch.no_grad()
def psnr(model: Denoiser, images: list[Tensor], sigma: float, seed: int) -> float:
    """The mean over images, in decibel."""
    found = []
    for x in images:
        error = model.denoise(add_noise(x, sigma, seed)[None])[0] - x
        found.append(-10 * error.double().square().mean().log10())
    return float(torch.stack(found).mean())


def compare(
    name: str, models: Mapping[str, Denoiser], images: list[Tensor], seed: int
) -> list[Record]:
    """Draws the curves of some models on some images; returns their points."""
    records, series = [], dict[str, tuple[list[float], list[float]]]()
    for label, model in models.items():
        values = []
        for sigma in SIGMAS:
            began = time.perf_counter()
            values.append(psnr(model, images, sigma, seed))
            protocol = f"{len(images)} images of {SIDE} x {SIDE}, sigma {sigma:g} / {MAX_SIGMA:g}"
            row = f"{name}/sigma-{sigma:g}/{label.replace(' ', '-')}"
            records.append(Record(row, values[-1], "dB", protocol, time.perf_counter() - began))
        series[label] = (list(SIGMAS), values)
        print(name, label, " ".join(f"{value:.2f}" for value in values), flush=True)
    _draw(name, series)
    return records


def _draw(name: str, series: Mapping[str, tuple[list[float], list[float]]]) -> None:
    """Two pictures: PSNR, and how much better it is than that of the first model."""
    labels = {"x_label": f"noise, σ · {MAX_SIGMA:g}"}
    picture = figures.lines(series, y_label="PSNR, dB", **labels)
    replace_file(RESULTS / f"local_fields_{name}.svg", picture)
    reference, (_, base) = next(iter(series.items()))
    gains = {
        label: (x, [a - b for a, b in zip(values, base, strict=True)])
        for label, (x, values) in series.items()
    }
    words = f"dB above {reference}"
    picture = figures.lines(gains, y_label=words, reference=reference, **labels)
    replace_file(RESULTS / f"local_fields_{name}_gain.svg", picture)


def main(
    models: dict[str, str] | None = None, seed: int = 0, threads: int = 1, record: bool = True
) -> None:
    """Draws the figures.

    Arguments:
        models: Trained grey denoisers by what to call them, the one to compare with first; folders
            or bundled names. Without any, the published networks on faces.
        seed: Of the noise.
        threads: Threads of PyTorch.
        record: Whether to append the figures to the results.
    """
    torch.set_num_threads(threads)
    if models is None:
        shown: dict[str, Denoiser] = {
            "flat 43x43": published_flat(43),
            "flat 13x13": published_flat(13),
            "multi-scale 13x13": published_local(SIDE),
        }
        records = compare("faces", shown, list(faces(SIDE)), seed)
    else:
        shown = {
            label: require(checkpoint.load(name), Denoiser, "a comparison of denoisers")
            for label, name in models.items()
        }
        records = compare("photographs", shown, photographs(), seed)
    if record:
        append(RESULTS / "local_fields.json", records)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
