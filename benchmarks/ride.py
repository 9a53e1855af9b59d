"""How fast RIDE walks and trains, and what a large image needs; the layer alone is in `slstm`.

    python -m benchmarks.ride                   # one core
    python -m benchmarks.ride --device cuda     # the training step on a GPU

The published size: one layer of 64 units, 32 components; grey, 8 bits. The figures go to
results/ride.json.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks.mcgsm import Task, fastest, plain_draw, records
from benchmarks.slstm import Device, clock_of
from experiments.records import Record, append
from imprior import checkpoint
from imprior.data.batches import Patches
from imprior.data.datasets import bundled
from imprior.data.images import read
from imprior.data.loading import match
from imprior.models.ride.model import RIDE, RIDEConfig
from imprior.train.finetune import initialize_heads, prepare
from imprior.train.recurrent import Objective
from imprior.transforms import causal
from tests.reference import slstm as reference

RESULTS = Path(__file__).parent / "results" / "ride.json"
PATCHES, PATCH_SIZE = 50, 22
ONE_CORE = "one thread, CPU time"


def photographs() -> list[Tensor]:
    """Bundled ones, grey, integers (1, H, W)."""
    return [match(read(photo.path), 1, 8, gray=True).pixels for photo in bundled("train")]


def patches() -> Tensor:
    """Patches of photographs, integers (B, 1, H, W)."""
    draws = Patches(photographs(), PATCH_SIZE, length=PATCHES, seed=0)
    return torch.stack(list(draws))


def untrained() -> RIDE:
    """A model where training starts."""
    model, generator = RIDE(RIDEConfig()), torch.Generator().manual_seed(0)
    prepare(model, patches(), borders=True)
    model.layers[0].initialize(generator)
    initialize_heads(model, generator)
    return model


@torch.no_grad()
def plain_walk(model: RIDE, canvas: Tensor, pixels: int, *, binned: bool) -> None:
    """Draws some pixels of a padded canvas (H', W'), one after another; see `plain_draw`."""
    layer, whitening, levels = model.layers[0], model.whitening[0], 2**model.config.bits
    width = canvas.shape[1]
    offsets = torch.tensor([dy * width + dx for _, dy, dx in model.contexts[0].offsets])
    edges = torch.arange(1, levels) / levels if binned else None
    flat, start = canvas.view(-1), model.reach * (width + 1)
    zeros = torch.zeros(1, layer.num_units)
    states = [(zeros, zeros)] * width
    for pixel in range(start, start + pixels):
        x = whitening.whitener @ (flat[pixel + offsets] - whitening.mean_x)
        left, up = states[-1], states[-width]
        states.append(reference.cell(x[None], left, up, layer.weight, layer.bias, extended=False))
        linear, h = whitening.predictor @ x + whitening.mean_y, states[-1][0][0]
        level = plain_draw(model.experts[0], h, linear, whitening.scale, levels, edges)
        flat[pixel] = (level + 0.5) / levels


def walk(model: RIDE, side: int, pixels: int, runs: int) -> dict[str, float]:
    """CPU seconds for a grey picture; plain PyTorch draws `pixels` of it, the rest is scaled."""
    canvas = causal.pad(model.unit(photographs()[0][0, :side, :side]), model.reach)
    tasks: dict[str, list[Task]] = {
        "imprior": [partial(model.sample, (1, side, side), generator=torch.Generator())],
        "torch": [partial(plain_walk, model, canvas, pixels, binned=True)],
        "torch-unbinned": [partial(plain_walk, model, canvas, pixels, binned=False)],
    }
    scale = side * side / pixels
    return {
        name: seconds * (scale if name.startswith("torch") else 1.0)
        for name, seconds in fastest(tasks, runs).items()
    }


def training_step(model: RIDE, noisy: Tensor) -> None:
    """The loss of patches and its gradient."""
    model.zero_grad()
    Objective(model, model.reach).loss(noisy).backward()


def evaluate(height: int, width: int) -> tuple[float, float]:
    """CPU seconds for the masses of an image, and the peak memory of this process in GiB."""
    torch.set_num_threads(1)
    model, photo = untrained(), photographs()[0]
    image = photo.tile(1, -(-height // photo.shape[1]), -(-width // photo.shape[2]))
    began = time.process_time()
    with torch.no_grad():
        model.log_prob_map(image[None, :, :height, :width])
    seconds = time.process_time() - began
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def large_image_rows(height: int, width: int) -> list[Record]:
    """Time and memory of evaluating an image, in a process of its own."""
    began = time.monotonic()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        seconds, peak = pool.submit(evaluate, height, width).result()
    took, what = time.monotonic() - began, f"ride-evaluate-{width}x{height}"
    protocol = f"masses of all values of a grey image, untrained model; {ONE_CORE}, once"
    rows = records(what, {"imprior": seconds}, protocol, height * width, took)
    protocol = "peak of the process that evaluates the image"
    rows.append(Record(f"memory/{what}/imprior", round(peak, 3), "GiB", protocol, round(took)))
    print(rows[-1])
    return rows


def walk_rows(name: str | None, side: int, pixels: int, runs: int) -> list[Record]:
    """Sampling a picture, beside both plain loops."""
    began = time.monotonic()
    model = untrained() if name is None else checkpoint.load(name)
    if not isinstance(model, RIDE) or model.channels != 1:
        raise ValueError(f"{name} is not a grey RIDE")
    seconds = walk(model, side, pixels, runs)
    protocol = (
        f"{side} x {side} px sampled with {name or 'an untrained model'}; torch: {pixels:,} px, "
        f"scaled, by the masses of all levels or unbinned; {ONE_CORE}, median of {runs}"
    )
    return records("ride-walk", seconds, protocol, side * side, time.monotonic() - began)


def training_rows(device: Device, runs: int) -> list[Record]:
    """The loss of a batch and its gradient."""
    began, (clock, seconds) = time.monotonic(), clock_of(device)
    model, batch = untrained().to(device), patches().to(device)
    noisy = (batch + torch.rand(batch.shape, device=device)) / 2**model.config.bits
    tasks: dict[str, list[Task]] = {"imprior": [partial(training_step, model, noisy)]}
    count = PATCHES * (PATCH_SIZE - model.reach) * (PATCH_SIZE - 2 * model.reach)
    protocol = (
        f"density of {PATCHES} patches of {PATCH_SIZE} x {PATCH_SIZE} px and its gradient; px "
        f"with a whole neighbourhood alone; {seconds}, median of {runs}"
    )
    values = fastest(tasks, runs, clock)
    return records(f"ride-training-{device}", values, protocol, count, time.monotonic() - began)


def main(
    device: Device = "cpu",
    model: str | None = None,
    side: int = 256,
    walk_pixels: int = 1_000,
    large: tuple[int, int] = (3000, 4000),
    runs: int = 5,
    record: bool = True,
) -> None:
    """Times all and records the medians.

    Arguments:
        device: Where the training step runs; the rest is for the CPU alone.
        model: A grey model that walks, bundled or a folder; an untrained one if none is given.
        side: Of the sampled picture.
        walk_pixels: How many of them plain PyTorch draws; its time is scaled to all.
        large: Height and width of the image that is evaluated.
        runs: Of each implementation, after one that warms up.
        record: Whether to append the figures to results/ride.json.
    """
    torch.set_num_threads(1)
    rows = large_image_rows(*large) if device == "cpu" else []
    rows += walk_rows(model, side, walk_pixels, runs) if device == "cpu" else []
    rows += training_rows(device, runs)
    if record:
        append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
