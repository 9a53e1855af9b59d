"""How fast the MCGSM is beside the same formulas in plain PyTorch: density, gradient, walk.

    python -m benchmarks.mcgsm

One process, one thread, CPU time, medians of runs that take turns. The mixture has the published
size, 16 components, 4 scales and 48 features of 40 inputs, and sees the bundled photographs; the
walk samples a grey picture with the bundled model. The figures go to results/mcgsm.json.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.records import Record, append
from imprior import checkpoint
from imprior.data.datasets import bundled
from imprior.data.images import read
from imprior.data.loading import match
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.train.samples import Drawing, Source, draw
from imprior.transforms import causal

RESULTS = Path(__file__).parent / "results" / "mcgsm.json"
SIZE = "16 components, 4 scales, 48 features, 40 inputs; one thread, CPU time, median"
PIECES = (2_000, 10_000)  # pixels at once in plain PyTorch: the faster one counts
Task = Callable[[], object]
Clock = Callable[[], float]


# -- the obvious implementations


def plain_log_prob(m: FactorizedMCGSM, x: Tensor, y: Tensor) -> Tensor:
    """Log p(y | x) as one would write it down."""
    energy = (x @ m.features).square() @ m.beta.square().T
    gates = m.eta - 0.5 * m.alpha.exp() * energy[:, :, None]
    residual = (y[:, None] - x @ m.predictors.T)[:, :, None]
    experts = 0.5 * (m.alpha - m.alpha.exp() * residual.square() - math.log(2 * math.pi))
    return (gates + experts).logsumexp((1, 2)) - gates.logsumexp((1, 2))


@torch.no_grad()
def plain_density(m: FactorizedMCGSM, x: Tensor, y: Tensor, piece: int) -> Tensor:
    """Log-densities, a piece at a time."""
    pairs = zip(x.split(piece), y.split(piece), strict=True)
    return torch.cat([plain_log_prob(m, *pair) for pair in pairs])


def plain_gradient(m: FactorizedMCGSM, x: Tensor, y: Tensor, piece: int) -> float:
    """Mean negative log-density, with its gradient in `.grad`, a piece at a time."""
    m.zero_grad()
    total = 0.0
    for rows, targets in zip(x.split(piece), y.split(piece), strict=True):
        loss = -plain_log_prob(m, rows, targets).sum() / len(x)
        loss.backward()
        total += float(loss.detach())
    return total


def plain_draw(
    m: FactorizedMCGSM, x: Tensor, linear: Tensor, scale: Tensor, levels: int, edges: Tensor | None
) -> Tensor:
    """Draws a grey level given the x that the mixture sees and what else predicts the pixel.

    With `edges`, those between levels, it goes through the masses of all levels, which is what a
    codec needs; otherwise a Gaussian is drawn and rounded down.
    """
    energy = m.beta.square() @ (m.features.T @ x).square()
    gates = (m.eta - 0.5 * m.alpha.exp() * energy[:, None]).flatten().softmax(0)
    if edges is not None:
        distance = (edges - linear)[:, None] * scale - m.predictors @ x
        z = distance[:, :, None] * (0.5 * m.alpha).exp()
        cdf = torch.special.ndtr(z).flatten(1) @ gates
        pmf = torch.cat([cdf, torch.ones(1)]) - torch.cat([torch.zeros(1), cdf])
        return torch.multinomial(pmf.clamp(min=2**-24), 1)
    c, s = divmod(int(torch.multinomial(gates, 1)), m.eta.shape[1])
    residual = m.predictors[c] @ x + torch.exp(-0.5 * m.alpha[c, s]) * torch.randn(())
    return ((residual / scale + linear) * levels).floor().clamp(0, levels - 1)


@torch.no_grad()
def plain_walk(model: MCGSM, canvas: Tensor, pixels: int, *, binned: bool) -> None:
    """Draws some pixels of a padded canvas (H', W'), one after another."""
    m, whitening, levels = model.experts[0], model.whitening[0], 2**model.config.bits
    width = canvas.shape[1]
    steps = torch.tensor([dy * width + dx for _, dy, dx in model.contexts[0].offsets])
    edges = torch.arange(1, levels) / levels if binned else None
    flat, start = canvas.view(-1), model.reach * (width + 1)
    for pixel in range(start, start + pixels):
        x = whitening.whitener @ (flat[pixel + steps] - whitening.mean_x)
        linear = whitening.predictor @ x + whitening.mean_y
        level = plain_draw(m, x, linear, whitening.scale, levels, edges)
        flat[pixel] = (level + 0.5) / levels


# -- ours beside them


def fastest(
    tasks: dict[str, list[Task]], runs: int, clock: Clock = time.process_time
) -> dict[str, float]:
    """Seconds of the fastest variant of each task; all take turns, the first turn warms up."""
    seconds: dict[str, list[list[float]]] = {name: [[] for _ in tasks[name]] for name in tasks}
    for _ in range(runs + 1):
        for name, variants in tasks.items():
            for task, times in zip(variants, seconds[name], strict=True):
                began = clock()
                task()
                times.append(clock() - began)
    return {
        name: min(statistics.median(times[1:]) for times in variants)
        for name, variants in seconds.items()
    }


def published_size(pixels: int) -> tuple[MCGSM, Tensor, Tensor]:
    """A model near where training starts, and contexts and targets of photographs."""
    torch.manual_seed(0)
    model = MCGSM(MCGSMConfig())
    photographs = [read(photograph.path) for photograph in bundled("train")]
    sources = [Source.of(match(image, 1, 8, gray=True).pixels.clone) for image in photographs]
    samples = draw(model, 0, sources, Drawing(pixels + 1000, "all", interior=True), seed=0)
    x, y = samples.inputs[:pixels], samples.outputs[:pixels]
    whitening = model.whitening[0]
    whitening.fit(x, y)
    inputs = whitening.inputs(x)
    model.experts[0].initialize(inputs, whitening.outputs(inputs, y), torch.Generator())
    return model, x, y


def density_and_gradient(pixels: int, runs: int) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds for `pixels`, by implementation: of the density, and of its gradient."""
    model, raw_x, raw_y = published_size(pixels)
    m, whitening = model.experts[0], model.whitening[0]
    x = whitening.inputs(raw_x)
    y = whitening.outputs(x, raw_y)
    double, x64, y64 = FactorizedMCGSM(40, 16, 4, 48).double(), x.double(), y.double()
    double.load_state_dict(m.state_dict())

    @torch.no_grad()
    def whitened() -> Tensor:
        inputs = whitening.inputs(raw_x)
        return m.log_prob(inputs, whitening.outputs(inputs, raw_y))

    density: dict[str, list[Task]] = {
        "imprior": [torch.no_grad()(partial(m.log_prob, x, y))],
        "imprior-with-whitening": [whitened],
        "torch": [partial(plain_density, m, x, y, piece) for piece in PIECES],
        "torch-float64": [partial(plain_density, double, x64, y64, piece) for piece in PIECES],
    }
    gradient: dict[str, list[Task]] = {
        "imprior": [partial(m.value_and_gradient, x, y)],
        "torch": [partial(plain_gradient, m, x, y, piece) for piece in PIECES],
    }
    ours, plain = (density[name][0]() for name in ("imprior", "torch"))
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    return fastest(density, runs), fastest(gradient, runs)


def walk(name: str, side: int, pixels: int, runs: int) -> dict[str, float]:
    """CPU seconds for a grey picture; plain PyTorch draws `pixels` of it, the rest is scaled."""
    model = checkpoint.load(name)
    if not isinstance(model, MCGSM) or model.channels != 1:
        raise ValueError(f"{name} is not a grey MCGSM")
    grey = match(read(bundled("test")[0].path), 1, 8, gray=True).pixels[:, :side, :side]
    canvas = causal.pad(model.unit(grey), model.reach)[0]
    tasks: dict[str, list[Task]] = {
        "imprior": [partial(model.sample, (1, side, side), generator=torch.Generator())],
        "torch": [partial(plain_walk, model, canvas, pixels, binned=True)],
        "torch-unbinned": [partial(plain_walk, model, canvas, pixels, binned=False)],
    }
    seconds = fastest(tasks, runs)
    scale = side * side / pixels
    return {name: t * (scale if name.startswith("torch") else 1.0) for name, t in seconds.items()}


def records(
    what: str,
    seconds: dict[str, float],
    protocol: str,
    pixels: int | None,
    took: float,
    beside: str = "torch",
) -> list[Record]:
    """A row each: pixels a second if `pixels` is given; `beside` is the anchor of ours."""
    values = {name: pixels / value if pixels else value for name, value in seconds.items()}
    unit = "px/s" if pixels else "s"
    rows = []
    for name, value in values.items():
        ours = name.startswith("imprior")
        anchor = values.get(beside) if ours else None
        row = Record(f"speed/{what}/{name}", value, unit, protocol, round(took), anchor=anchor)
        print(row, f"   {seconds[beside] / seconds[name]:.2f} x" if anchor else "")
        rows.append(row)
    return rows


def main(
    pixels: int = 100_000,
    side: int = 256,
    walk_pixels: int = 1_000,
    runs: int = 7,
    model: str = "mcgsm-gray",
) -> None:
    """Times all three and records the medians.

    Arguments:
        pixels: Of the density and the gradient.
        side: Of the sampled picture.
        walk_pixels: How many of them plain PyTorch draws; its time is scaled to all.
        runs: Of each implementation, after one that warms up.
        model: A grey model that walks: bundled or a folder.
    """
    torch.set_num_threads(1)
    began = time.monotonic()
    density, gradient = density_and_gradient(pixels, runs)
    seconds = walk(model, side, walk_pixels, runs)
    took = time.monotonic() - began
    theirs = "the authors' C++ on one core of a machine of this kind:"
    protocols = (
        f"{SIZE} of {runs}, {pixels:,} px; float32 but where named; {theirs} 167,000 px/s",
        f"value and gradient of {pixels:,} px; {SIZE} of {runs}; {theirs} 1.2 to 1.4 s",
        f"{side} x {side} px sampled with {model}; torch: {walk_pixels:,} px, scaled, by "
        f"the masses of all levels or unbinned; one thread, CPU time, median of {runs}",
    )
    rows = records("mcgsm-density", density, protocols[0], pixels, took)
    rows += records("mcgsm-gradient", gradient, protocols[1], None, took)
    rows += records("mcgsm-walk", seconds, protocols[2], None, took)
    append(RESULTS, rows)


if __name__ == "__main__":
    auto_cli(main)
