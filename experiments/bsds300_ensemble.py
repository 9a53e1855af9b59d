"""BSDS300 in infinitely many dimensions: ensembles over the 8 symmetries of the square.

    python -m experiments.bsds300_ensemble --model runs/bsds300/mcgsm-64

README-bsds300.md, beside this file, writes the protocol out. Takes any model with
`log_density_map(x)`. On the same pixels it scores the model alone and the ensemble, once with
patches of 64 x 64 pixels as what the ensemble averages over, as published, and once with whole
images. A third figure lets every view count its own pixels, as the authors' script for MCGSMs
does: that is no density.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from experiments import bsds300, records
from imprior import checkpoint
from imprior.inference.symmetry import log_mean_exp, members
from imprior.models.ride.model import RIDE

RESULTS = Path(__file__).parent / "results" / "bsds300.json"
SIDE = 64
SEED = 3
PUBLISHED = {
    "bsds300/inf/mcgsm-128-ensemble": 3.748,
    "bsds300/inf/ride-2-ensemble": 3.899,
}
PROTOCOL = (
    "bits of density per pixel, log-mean-exp over {views} of {cut} of {images} test images; "
    "{pixels}; grey (g + u) / 256, seed {seed}"
)


class DensityModel(Protocol):
    """A model that says how dense each value of a continuous image is, (B, 1, H, W)."""

    reach: int

    def log_density_map(self, x: Tensor) -> Tensor: ...


class Scores(NamedTuple):
    """Bits per pixel of log-density, larger is better.

    Attributes:
        single: The model on upright images.
        views: The mean over the views of what the model alone gives.
        ensemble: All views together.
        own_pixels: All views together, if each counts what has a whole neighbourhood in it. The
            views then differ in *which* rows they leave out, and the mean of their exponentials
            favours those that leave out the unlikely ones.
    """

    single: float
    views: float
    ensemble: float
    own_pixels: float


def tiles(image: Tensor, side: int) -> Tensor:
    """All squares that fit side by side into an image from its upper left corner.

    Arguments:
        image: (1, H, W).

    Returns:
        (n, 1, side, side); the rest at the right and lower border is left out.
    """
    squares = image.unfold(1, side, side).unfold(2, side, side)
    return squares.reshape(1, -1, side, side).transpose(0, 1)


def log_probs(model: DensityModel, x: Tensor, margin: int) -> Tensor:
    """Log-densities of two sets of pixels, nats, (2, B).

    First those at least `margin` from all borders: the same in all symmetries, and given the
    border theirs is a density. Then all those with a whole neighbourhood: the lowest rows too.
    """
    width = x.shape[-1]
    # A RIDE has learned what follows from whole neighbourhoods, so it begins where there are some.
    if isinstance(model, RIDE):
        density = model.log_density_map(x, margin)
    else:
        density = model.log_density_map(x)
    rows = density[..., margin : width - margin].sum((1, 3))[:, margin:]
    return torch.stack([rows[:, : rows.shape[1] - margin].sum(1), rows.sum(1)])


def noisy_images(every: int) -> Iterator[Tensor]:
    """Every `every`-th test image with noise, (1, H, W); its noise is that of the whole set."""
    generator = torch.Generator().manual_seed(SEED)
    for number, image in enumerate(bsds300.images("test")):
        grey = torch.from_numpy(image).long()[None]
        noisy = bsds300.dequantize(grey, generator, torch.float32)
        if number % every == 0:
            yield noisy


@torch.no_grad()
def score(
    model: DensityModel, images: Iterator[Tensor], margin: int, side: int | None = SIDE
) -> Scores:
    """Scores a model and its ensemble on the same pixels.

    Arguments:
        model: What is scored.
        images: Floats in [0, 1], (1, H, W).
        margin: Pixels along every border that do not count.
        side: Of the squares that the ensemble averages over; None for whole images.
    """
    total, counts = torch.zeros(4, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for image in images:
        x = image[None] if side is None else tiles(image, side)
        views = members(lambda view: log_probs(model, view, margin), x)  # (8, 2, B)
        same, own = log_mean_exp(views).sum(1)
        upright = views[:, 0].sum(1)
        total += torch.stack([upright[0], upright.mean(), same, own])
        rows = torch.tensor([x.shape[2] - 2 * margin, x.shape[2] - margin])
        counts += len(x) * rows * (x.shape[3] - 2 * margin)
    return Scores(*(total / counts[[0, 0, 0, 1]] / math.log(2)).tolist())


def run(folder: Path, margin: int | None, every: int, side: int | None) -> list[records.Record]:
    """Scores one model with one kind of cut: the model alone, then the ensemble."""
    model = cast("DensityModel", checkpoint.load(folder))
    margin = model.reach if margin is None else margin
    started = time.process_time()
    scores = score(model, noisy_images(every), margin, side)
    seconds = round(time.process_time() - started)
    print(f"{folder.name}: {scores}, gain {scores.ensemble - scores.single:.4f}", flush=True)
    told = {
        "cut": "whole images" if side is None else f"squares of {side} x {side} side by side",
        "images": "all 100" if every == 1 else f"every {every}th of the 100",
        "seed": SEED,
    }
    same = f"pixels at least {margin} from all borders of these"
    own = f"in each view the pixels at least {margin} from all borders but the lower: no density"
    end = "-whole" if side is None else ""
    return [
        records.Record(
            name := f"bsds300/inf/{folder.name}{kind}{end}",
            round(value, 4),
            "bit/px",
            PROTOCOL.format(views=views, pixels=pixels, **told),
            seconds,
            PUBLISHED.get(name),
        )
        for kind, value, views, pixels in (
            ("" if end else "-patches", scores.single, "1 view", same),
            ("-ensemble", scores.ensemble, "8 symmetries", same),
            ("-ensemble-own-pixels", scores.own_pixels, "8 symmetries", own),
        )
    ]


def main() -> None:
    """Scores and records the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--margin", type=int, help="pixels along borders that do not count")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th image only")
    parser.add_argument("--cut", choices=["patches", "whole", "both"], default="both")
    parser.add_argument("--dry", action="store_true", help="print, but record nothing")
    options = parser.parse_args()
    cuts: dict[str, tuple[int | None, ...]]
    cuts = {"patches": (SIDE,), "whole": (None,), "both": (SIDE, None)}
    for folder in options.model:
        for side in cuts[options.cut]:
            rows = run(folder, options.margin, options.every, side)
            print(*rows, sep="\n", flush=True)
            if not options.dry:
                records.append(RESULTS, rows)


if __name__ == "__main__":
    main()
