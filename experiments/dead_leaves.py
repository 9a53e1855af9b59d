"""Dead leaves: what an MCGSM gains from a larger causal neighbourhood, and where that ends.

    python -m experiments.dead_leaves

The question is that of Theis & Bethge (2015), whose curve saturates: a mixture cannot use what far
pixels tell of a disc's curvature, or of what goes on behind it. Their images are not at hand, so
the shape of the curve compares with theirs, its height does not. Ours:

- 80 images of 256 x 256, `DeadLeaves` with radii of density r^-3 between 2 and 128 pixels and
  uniform intensities; 60 train (6 of them validate), 20 test; seed 0, one stream for all.
- Leaves have 8-bit grey values g. Density is that of (g + u) / 256 with u uniform in [0, 1),
  independent for each pixel: a pixel whose leaf is known is worth at most 8 bits.
- Figures are mean log2-densities of a pixel given its neighbourhood of n rows of 2 n + 1 pixels
  above and n pixels to the left, n = 1, 2, 3, 4, 6, 8: 2 n (n + 1) inputs. All test pixels at
  least 8 from the border count, so that every size is scored on the same pixels.
- 16 components, 4 scales, 48 features, 300,000 training pixels, 2500 mini-batches of 8192, Adam.
- Each size but the first starts as what the size before it has learned (`grow`). Trained from
  scratch for as long, the wide neighbourhoods end below the narrow ones: that would show how hard
  they are to search, not what they can express. So larger sizes have had more steps in all; if the
  curve errs, it flatters them.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from jsonargparse import auto_cli
from matplotlib.figure import Figure
from torch import Tensor

from experiments.records import Record, append
from imprior.data.dead_leaves import DeadLeaves
from imprior.data.files import replace_file
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.models.ride.model import RIDE
from imprior.report.figures import ACCENT, INK, to_rgb
from imprior.train.samples import Drawing, Source, whiten
from imprior.train.shallow import ShallowTraining, draw_split
from imprior.train.stages import Data, Fit, Stage

RESULTS = Path(__file__).parent / "results" / "dead_leaves.json"
SIDE, R_MIN, R_MAX, BITS = 256, 2.0, 128.0, 8
NUM_TRAIN, NUM_TEST = 60, 20
MARGIN = 8
PROTOCOL = (
    "docstring of experiments/dead_leaves.py; {inputs} inputs; {pixels:,} training pixels, "
    "{steps} mini-batches of 8192{start}; seconds of CPU time of this size"
)


def images(seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Training and test images, int64 (1, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (NUM_TRAIN + NUM_TEST, SIDE, SIDE)
    drawn = list(DeadLeaves(R_MIN, R_MAX).sample(shape, generator=generator, bits=BITS))
    return drawn[:NUM_TRAIN], drawn[NUM_TRAIN:]


@torch.no_grad()
def score(model: MCGSM | RIDE, test: Sequence[Tensor], seed: int) -> float:
    """Mean log2-density of a pixel given its neighbourhood; larger is better."""
    generator = torch.Generator().manual_seed(seed)
    inner = slice(MARGIN, SIDE - MARGIN)
    # A RIDE has learned what follows from whole neighbourhoods, so it begins where there are some.
    options = {"margin": model.reach} if isinstance(model, RIDE) else {}
    means = []
    for image in test:
        noisy = (image + torch.rand(image.shape, generator=generator)) / 2**BITS
        density = model.log_density_map(noisy[None], **options)
        means.append(density[..., inner, inner].mean())
    return float(torch.stack(means).mean()) / math.log(2)


@torch.no_grad()
def grow(smaller: MCGSM, larger: MCGSM) -> None:
    r"""Makes `larger`, whose whitening is fitted, the same density as `smaller`.

    A direction b of inputs that are whitened by W acts on the pixels as :math:`W^\top b`; the same
    with zeros for the new pixels, seen through the new whitening, is :math:`W'^{-\top}` of that.
    Experts predict outputs in units of 1 / s, on top of the linear predictor w of the whitening.
    The means of the pixels are taken to be the same.
    """
    old, new = smaller.experts[0], larger.experts[0]
    before, after = smaller.whitening[0], larger.whitening[0]
    offsets = larger.contexts[0].offsets
    shared = [offsets.index(offset) for offset in smaller.contexts[0].offsets]

    def carried(rows: Tensor) -> Tensor:
        pixels = rows.new_zeros(len(rows), len(offsets), dtype=torch.float64)
        pixels[:, shared] = rows.double() @ before.whitener.double()
        return torch.linalg.solve(after.whitener.double(), pixels, left=False)

    new.features.copy_(carried(old.features.T).T)
    linear = carried(before.predictor + old.predictors / before.scale)
    new.predictors.copy_(after.scale * (linear - after.predictor))
    ratio = after.scale / before.scale
    new.alpha.copy_(old.alpha - 2 * ratio.log())
    new.beta.copy_(old.beta * ratio)
    new.eta.copy_(old.eta)


def trained(
    size: int,
    smaller: MCGSM | None,
    train: Sequence[Tensor],
    num_pixels: int,
    steps: int,
    seed: int,
) -> MCGSM:
    """An MCGSM with `size` rows above and `size` columns to each side."""
    rate = 0.01 if smaller is None else 0.003  # a fit that goes on needs smaller steps
    stages = (Stage("adam", "density", steps, learning_rate=rate, check_every=500),)
    drawing = Drawing(num_pixels, noise="all", interior=True)
    training = ShallowTraining(drawing, stages, validation_pixels=num_pixels // 6)
    model = MCGSM(MCGSMConfig(bits=BITS, rows=size, columns=size))
    whitening, mixture = model.whitening[0], model.experts[0]
    sources = [Source.of(image.clone) for image in train]
    samples, held_out = draw_split(model, 0, sources, training, seed)
    whitening.fit(samples.inputs, samples.outputs)
    points, validation = (whiten(model, whitening, part)[0] for part in (samples, held_out))
    if smaller is None:
        mixture.initialize(*points, torch.Generator().manual_seed(seed))
    else:
        grow(smaller, model)
    data = Data(points, None, validation, None, float(whitening.log_jacobian))
    fit = Fit(mixture, data, stages)
    while not fit.done:
        print(f"  {size} rows, step {fit.step}: {-fit.bits:.4f} bit/px", flush=True)
        fit.advance()
    return model


Curve = dict[int, float]
"""Number of inputs -> bits per pixel."""


def curves() -> dict[str, Curve]:
    """The latest figures that were recorded: name of a model -> its curve."""
    rows = json.loads(RESULTS.read_text())
    found: dict[str, Curve] = {"RIDE": {}, "MCGSM": {}}
    for row in rows:
        model, _, rest = row["name"].rpartition("/")[2].partition("-")
        inputs = int(rest.removesuffix("-inputs").rpartition("-")[2])
        found[model.upper()][inputs] = row["value"]
    return {name: dict(sorted(curve.items())) for name, curve in found.items() if curve}


def draw(image: Tensor, found: dict[str, Curve]) -> bytes:
    """A PNG: a test image, and bits per pixel against the number of inputs."""
    figure = Figure(figsize=(9.0, 3.7), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    left.imshow(to_rgb(image, BITS), interpolation="nearest")
    left.set_title(f"a test image, {SIDE} × {SIDE}", fontsize=10)
    left.set_axis_off()
    styles = ((ACCENT, 8), (INK, -16))  # labels of the upper curve above it, the other's below
    for (name, curve), (colour, offset) in zip(found.items(), styles, strict=False):
        x, y = list(curve), list(curve.values())
        right.plot(x, y, color=colour, linewidth=2, marker="o", label=name)
        for place, value in curve.items():
            at = (place, value)
            label = {"textcoords": "offset points", "ha": "center"}
            right.annotate(f"{value:.2f}", at, (0, offset), **label)
    ticks = sorted({inputs for curve in found.values() for inputs in curve})
    values = [value for curve in found.values() for value in curve.values()]
    right.set_ylim(min(values) - 0.06, max(values) + 0.06)
    right.set_xscale("log")
    right.set_xticks(ticks, [str(n) for n in ticks])
    right.minorticks_off()
    right.margins(x=0.08)
    right.set_xlabel("pixels in the causal neighbourhood")
    right.set_ylabel("log-density, bits per pixel\n(more is better)")
    right.set_title("dead leaves", fontsize=10)
    right.legend(frameon=False, loc="lower right")
    right.grid(color=INK, alpha=0.25, linewidth=0.6)
    right.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def main(
    sizes: tuple[int, ...] = (1, 2, 3, 4, 6, 8),
    num_pixels: int = 300_000,
    steps: int = 2500,
    seed: int = 0,
    threads: int = 1,
) -> None:
    """Trains, scores and records a model of each size, and draws the curve.

    Arguments:
        sizes: Rows above, and columns to each side, of the neighbourhoods; at most 8.
        num_pixels: Training pixels.
        steps: Mini-batches of 8192 pixels.
        seed: Of images, noise and training.
        threads: Threads of PyTorch.
    """
    sizes = tuple(sorted(set(sizes)))
    if not sizes or sizes[0] < 1 or sizes[-1] > MARGIN:
        raise ValueError(f"sizes are 1 to {MARGIN}, got {sizes}")
    torch.set_num_threads(threads)
    train, test = images(seed)
    records, inputs = [], [2 * size * (size + 1) for size in sizes]
    model, start = None, ""
    for size, count in zip(sizes, inputs, strict=True):
        began = time.process_time()
        model = trained(size, model, train, num_pixels, steps, seed)
        seconds = time.process_time() - began
        protocol = PROTOCOL.format(inputs=count, pixels=num_pixels, steps=steps, start=start)
        start = f" from the fit with {count} inputs on"
        value = round(score(model, test, seed + 1), 4)
        name = f"dead-leaves/inf/mcgsm-16-{count}-inputs"
        records.append(Record(name, value, "bit/px", protocol, round(seconds)))
        print(records[-1], flush=True)
    append(RESULTS, records)
    replace_file(RESULTS.with_suffix(".png"), draw(test[0], curves()))


if __name__ == "__main__":
    auto_cli(main)
