"""How much faster PixelCNN++ samples when it keeps activations.

    python -m benchmarks.pixelcnn
    python -m benchmarks.pixelcnn --filters 160 --blocks 5    # the published network

An untrained model samples 32 x 32 RGB; "naive" runs the whole network for each pixel. Networks
cost the same whatever their weights are. The figures go to results/pixelcnn.json.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from benchmarks.mcgsm import Task, fastest, records
from experiments.records import append
from imprior.models.baselines.pixelcnn import PixelCNN, PixelCNNConfig
from imprior.nn.cached import CachedWalk

RESULTS = Path(__file__).parent / "results" / "pixelcnn.json"


@torch.no_grad()
def naive_sample(model: PixelCNN, canvas: Tensor, pixels: int) -> None:
    """Draws the first pixels of images, (B, C, H, W), each from a pass of its own."""
    generator, width = torch.Generator().manual_seed(0), canvas.shape[3]
    for y, x in (divmod(pixel, width) for pixel in range(pixels)):
        outputs = model.network.evaluate(model.scaled(canvas))
        mixtures = model.mixtures(outputs[:, :, y, x]).walk()
        for channel in range(canvas.shape[1]):
            canvas[:, channel, y, x] = mixtures.binned().sample(generator)
            mixtures.observe(canvas[:, channel, y, x])


@torch.no_grad()
def network_alone(model: PixelCNN, canvas: Tensor) -> None:
    """The walk over images without drawing from mixtures."""
    walk = CachedWalk(model.network, len(canvas), *canvas.shape[2:])
    for values in model.scaled(canvas).flatten(2).unbind(2):
        walk.advance()
        walk.observe(values)


def sampling(model: PixelCNN, batch: int, side: int, pixels: int, runs: int) -> dict[str, float]:
    """CPU seconds for a batch of images, by implementation; naive ones are scaled to all pixels."""
    canvas = torch.zeros(batch, model.channels, side, side, dtype=torch.int64)
    shape, generator = (batch, side, side), torch.Generator().manual_seed(0)
    tasks: dict[str, list[Task]] = {
        "imprior": [partial(model.sample, shape, generator=generator)],
        "imprior-network-alone": [partial(network_alone, model, canvas)],
        "naive": [partial(naive_sample, model, canvas, pixels)],
        "one-pass": [partial(model.log_prob_map, canvas)],
    }
    seconds = fastest(tasks, runs)
    seconds["naive"] *= side * side / pixels
    return seconds


def main(
    filters: int = 64,
    blocks: int = 3,
    batches: tuple[int, ...] = (1, 16),
    side: int = 32,
    naive_pixels: int = 4,
    runs: int = 3,
    record: bool = True,
) -> None:
    """Times sampling and records the medians.

    Arguments:
        filters, blocks: Size of the network.
        batches: Numbers of images that are sampled at once.
        side: Of the images.
        naive_pixels: How many of them are drawn the naive way; its time is scaled to all.
        runs: Of each implementation, after one that warms up.
        record: Whether to append the figures to results/pixelcnn.json.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, rows = PixelCNN(PixelCNNConfig(num_filters=filters, num_blocks=blocks)).eval(), []
    for batch in batches:
        began = time.monotonic()
        seconds = sampling(model, batch, side, naive_pixels, runs)
        protocol = (
            f"{batch} of {side} x {side} RGB, {filters} filters, {blocks} blocks, untrained; naive:"
            f" {naive_pixels} px, scaled; one-pass: masses of known images; one thread, CPU time, "
            f"median of {runs}"
        )
        what, took = f"pixelcnn-sample-{filters}x{blocks}-batch-{batch}", time.monotonic() - began
        rows += records(what, seconds, protocol, None, took, beside="naive")
    if record:
        append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
