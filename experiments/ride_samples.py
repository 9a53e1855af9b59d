"""What a RIDE imagines: colour images of 32 x 32 pixels, and grey ones of 256 x 256, as a page.

    python -m experiments.ride_samples

Theis & Bethge (2015) show samples of a RIDE trained on CIFAR-10, which is not at hand: ours learns
from photographs reduced to a quarter (795 of ImageNet at 32 x 32, 200 of BSDS500 at 120 x 80). The
grey images are drawn from the bundled `ride-gray`. All are draws at temperature 1, the first ones,
none chosen.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.bsds300 import data_root
from imprior import checkpoint
from imprior.base import ExactModel, require
from imprior.data.files import replace_file
from imprior.data.images import Image, read, write
from imprior.presets import PRESETS
from imprior.report import figures
from imprior.report.page import Block, Gallery, Page, Picture, Section
from imprior.tasks.sample import sample
from imprior.train.progress import Progress
from imprior.train.training import train

OUT = Path(__file__).parent / "results" / "ride_samples.html"
PRESET = "ride-rgb-32"


def quarter(x: Tensor) -> Tensor:
    """An image reduced to a quarter: means of squares of 4 x 4 pixels, rounded."""
    height, width = (side // 4 * 4 for side in x.shape[1:])
    return torch.nn.functional.avg_pool2d(x[:, :height, :width].double(), 4).round().long()


def small_photographs(folder: Path) -> list[Path]:
    """Writes the training images."""
    paths: list[Path] = []
    for source in ("bsds500/train", "imagenet128/train"):
        for path in sorted((data_root() / source).iterdir()):
            paths.append(folder / f"{len(paths):04d}.png")
            write(paths[-1], Image(quarter(read(path).pixels), 8))
    return paths


def show(progress: Progress) -> None:
    """Prints where the training is."""
    if progress.step % 250 == 0:
        print(
            f"  {progress.stage} {progress.step}/{progress.total} {progress.figure:.4f}", flush=True
        )


def pictures(images: list[Tensor], what: str) -> list[Picture]:
    """Images for a gallery."""
    return [
        Picture(figures.png(figures.to_rgb(x, 8)), f"{what} {number}", pixelated=True)
        for number, x in enumerate(images, 1)
    ]


def page(colour: ExactModel, grey: ExactModel, real: list[Path], seed: int, num: int) -> Page:
    """The samples beside photographs of the kind that was learned from."""
    step = max(1, len(real) // num)
    shown = [read(path).pixels[:, :32, :32] for path in real[-1::-step][:num]]
    drawn = list(sample(colour, (32, 32), num, seed=seed))
    large = list(sample(grey, (256, 256), 4, seed=seed))
    blocks: list[Block] = [
        "Photographs reduced to 32 x 32 pixels, as in training:",
        Gallery(pictures(shown, "Photograph"), columns=8),
        "Drawn from the model, the first ones, none chosen:",
        Gallery(pictures(drawn, "Sample"), columns=8),
    ]
    return Page(
        title="What a RIDE imagines",
        lead="Every pixel is drawn from its distribution given all pixels before it.",
        sections=[
            Section("Colour, 32 x 32 pixels", blocks),
            Section("Grey, 256 x 256 pixels", [Gallery(pictures(large, "Sample"), columns=2)]),
        ],
        colophon=f"experiments/ride_samples.py, preset {PRESET}, bundled ride-gray, seed {seed}",
    )


def main(
    runs: Path = Path("runs"),
    grey: str = "ride-gray",
    seed: int = 0,
    num: int = 24,
    threads: int = 1,
) -> None:
    """Trains the colour model, unless it is there, and writes the page.

    Arguments:
        runs: Where the trained model is kept.
        grey: The grey model: a bundled name or a folder.
        seed: Of training and samples.
        num: Small images to draw.
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    folder = runs / PRESET
    with TemporaryDirectory() as images:
        paths = small_photographs(Path(images))
        if not (folder / checkpoint.CONFIG).exists():
            train(PRESETS[PRESET], paths, folder, seed=seed, progress=show)
        exact = partial(require, ability=ExactModel, task="sampling")
        models = exact(checkpoint.load(folder)), exact(checkpoint.load(grey))
        replace_file(OUT, page(*models, paths, seed, num).html().encode())
    print(OUT)


if __name__ == "__main__":
    auto_cli(main)
