"""How fast PixelPyramids evaluate, sample, learn and code, beside their convolutions alone.

    python -m benchmarks.pyramids                          # one core
    python -m benchmarks.pyramids --side 64 --record false # a quick look

The published layers and widths for CelebA-HQ 256, untrained: networks cost the same whatever their
weights are. "convolutions" are those of one evaluation, with the weights that they have there, one
after another with nothing between them: the floor in single precision; "as-published" in the layout
of the authors' code, channels first, ours are channels last. A picture is coded with a light model,
the bundled one or a preset. The figures go to results/pyramids.json.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.mcgsm import Task, fastest, records
from experiments.bsds300 import data_root
from experiments.records import Record, append
from imprior import checkpoint
from imprior.codec.images import compress, decompress
from imprior.data.datasets import bundled
from imprior.data.images import read
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS

RESULTS = Path(__file__).parent / "results" / "pyramids.json"
PUBLISHED = "pyramid-celeba-256"
CONVOLUTION = torch.ops.aten.convolution.default
ONE_CORE = "one thread, CPU time"
THEIRS = "the authors' code on a machine of this kind:"
BATCH = 2  # of a training step

Call = tuple[torch.Size, tuple[Any, ...]]


def untrained(name: str) -> PixelPyramid:
    """A new model of a preset."""
    torch.manual_seed(0)
    config = PRESETS[name].config
    if not isinstance(config, PixelPyramidConfig):
        raise ValueError(f"{name} is not a pyramid")
    return PixelPyramid(config).eval()


def photographs(model: PixelPyramid, count: int, side: int) -> Tensor:
    """Parts of bundled ones, at the model's bit depth, integers (B, 3, H, W)."""
    images = (read(photo.path).pixels[:, :side, :side] for photo in bundled("train"))
    colour = [image for image in images if image.shape == (3, side, side)]
    return torch.stack(colour[:count]) >> (8 - model.config.bits)


# -- evaluation and sampling


class Convolutions(TorchDispatchMode):
    """Notes the convolutions that are called: shapes of inputs, weights, and the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(
        self, call: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if call is CONVOLUTION:
            self.calls.append((args[0].shape, args[1:]))
        return call(*args, **(kwargs or {}))


@torch.no_grad()
def evaluate(model: PixelPyramid, x: Tensor, *, half: bool = False) -> Tensor:
    """Bits per dimension of images."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        return model.bits_per_dim(x)


@torch.no_grad()
def noted(model: PixelPyramid, x: Tensor) -> tuple[list[Call], float]:
    """The convolutions of one evaluation, and the 10^9 operations of it."""
    with FlopCounterMode(display=False) as counter, Convolutions() as convolutions:
        model.log_prob_map(x)
    return convolutions.calls, counter.get_total_flops() / 1e9


def convolve(calls: list[Call], layout: torch.memory_format) -> Task:
    """What does convolutions, all in one layout."""
    inputs = {shape: torch.randn(shape).contiguous(memory_format=layout) for shape, _ in calls}
    # Steps of a conv-LSTM share their weights, here too.
    weights = {id(w): w.contiguous(memory_format=layout) for _, (w, *_) in calls}

    @torch.no_grad()
    def run() -> None:
        for shape, (weight, *rest) in calls:
            CONVOLUTION(inputs[shape], weights[id(weight)], *rest)

    return run


def evaluation_rows(side: int, runs: int) -> list[Record]:
    """Evaluation in both precisions, and sampling, beside the convolutions alone."""
    began, model = time.monotonic(), untrained(PUBLISHED)
    x, generator = photographs(model, 1, side), torch.Generator().manual_seed(0)
    calls, operations = noted(model, x)
    tasks: dict[str, list[Task]] = {
        "imprior": [partial(evaluate, model, x)],
        "imprior-bfloat16": [partial(evaluate, model, x, half=True)],
        "convolutions": [convolve(calls, torch.channels_last)],
        "convolutions-as-published": [convolve(calls, torch.contiguous_format)],
        "sample": [partial(model.sample, (1, side, side), generator=generator)],
    }
    seconds = fastest(tasks, runs)
    took, timing = time.monotonic() - began, f"{ONE_CORE}, median of {runs}"
    protocol = (
        f"masses of a photograph of {side} x {side}, RGB, layers and widths of {PUBLISHED}, "
        f"untrained, {operations:.0f} GFLOP; {timing}; {THEIRS} 7.1 s for 256 x 256"
    )
    sample = {"imprior": seconds.pop("sample"), "evaluation": seconds["imprior"]}
    rows = records("pyramid-evaluate", seconds, protocol, None, took, beside="convolutions")
    single, half = (float(evaluate(model, x, half=half)) for half in (False, True))
    what = "change by bfloat16 of the bits of the same photograph"
    rows.append(Record("pyramid-evaluate/bfloat16", half - single, "bit/dim", what, round(took)))
    print(rows[-1])
    protocol = f"one image of {side} x {side} of the same model; {timing}; {THEIRS} 7.4 s"
    return rows + records("pyramid-sample", sample, protocol, None, took, beside="evaluation")


# -- a training step


def training_step(side: int, parts: int | None) -> tuple[float, float]:
    """CPU seconds, after a first step, and the peak memory of this process in GiB."""
    torch.set_num_threads(1)
    model = untrained(PUBLISHED).train()
    x = photographs(model, BATCH, side)
    for _ in range(2):
        began = time.process_time()
        for part in model.parts()[:parts]:
            part.model.zero_grad()
            part.model.loss(part.images(x)).backward()  # type: ignore[operator]
        seconds = time.process_time() - began
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def training_rows(side: int) -> list[Record]:
    """Time and memory of a step over all levels in turn, and over the largest alone."""
    rows = []
    for name, parts in (("imprior", None), ("imprior-level-1", 1)):
        began = time.monotonic()
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            seconds, peak = pool.submit(training_step, side, parts).result()
        took = round(time.monotonic() - began)
        which = "level after level" if parts is None else "the finest level alone"
        protocol = (
            f"loss and gradient of {BATCH} photographs of {side} x {side}, {which}, layers and "
            f"widths of {PUBLISHED}; {{}}; {THEIRS} {{}} for all levels at once, 256 x 256"
        )
        timed = protocol.format(f"{ONE_CORE}, the second step", "44.5 s")
        held = protocol.format("peak of the process", "5.8 GiB")
        rows += [
            Record(f"speed/pyramid-training/{name}", seconds, "s", timed, took),
            Record(f"memory/pyramid-training/{name}", round(peak, 3), "GiB", held, took),
        ]
        print(*rows[-2:], sep="\n")
    return rows


# -- coding


def coding_rows(name: str, side: int | None, runs: int) -> list[Record]:
    """Both directions of the codec on the first picture of the Kodak set."""
    began = time.monotonic()
    model = checkpoint.load(name) if name in checkpoint.bundled() else untrained(name)
    if not isinstance(model, PixelPyramid):
        raise ValueError(f"{name} is not a pyramid")
    x = read(data_root() / "kodak" / "kodim01.png").pixels[None, :, :side, :side].contiguous()
    digest = checkpoint.digest(model)
    data = compress(model, x, digest=digest)
    if not torch.equal(decompress(model, data, digest=digest), x):
        raise RuntimeError("the picture does not come back")
    tasks: dict[str, list[Task]] = {
        "encode": [partial(compress, model, x, digest=digest)],
        "decode": [partial(decompress, model, data, digest=digest)],
        "imprior": [partial(evaluate, model, x)],
    }
    seconds, state = fastest(tasks, runs), "bundled" if name in checkpoint.bundled() else "new"
    height, width = x.shape[2:]
    protocol = (
        f"kodim01, {width} x {height}, RGB, with {name} ({state}), {8 * len(data) / x.numel():.3f}"
        f" bit/dim; imprior: its masses alone; {ONE_CORE}, median of {runs}"
    )
    return records("pyramid-coding", seconds, protocol, None, time.monotonic() - began, "decode")


def main(
    side: int = 256,
    light: str = "pyramid-rgb",
    picture: int | None = None,
    runs: int = 3,
    record: bool = True,
) -> None:
    """Times all and records the medians.

    Arguments:
        side: Of the images that the published layers evaluate, draw and learn from.
        light: The model that codes: bundled, or else a preset.
        picture: Side of what is coded of the picture; all of it if none is given.
        runs: Of each implementation, after one that warms up.
        record: Whether to append the figures to results/pyramids.json.
    """
    torch.set_num_threads(1)
    rows = evaluation_rows(side, runs)
    rows += training_rows(side)
    rows += coding_rows(light, picture, runs)
    if record:
        append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
