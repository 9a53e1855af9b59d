"""A PixelPyramid, shown: a photograph taken apart, bits of each level, samples, larger pictures.

    python -m experiments.pyramid_page --model pyramid-rgb

The photographs are those of scikit-image's wheel that nothing here is trained on. All draws are at
temperature 1, the first ones, none chosen; a fine part is shown as its difference from the coarse
image, grey where there is none.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments import pyramid_levels
from experiments.imagenet128 import as_pyramid, origin
from imprior import checkpoint
from imprior.data.datasets import bundled
from imprior.data.files import replace_file
from imprior.data.images import read
from imprior.data.loading import match
from imprior.models.pyramids.model import PixelPyramid
from imprior.report import figures
from imprior.report.page import Block, Gallery, Page, Picture, Section
from imprior.tasks.sample import sample
from imprior.tasks.upscale import upscale
from imprior.transforms import pairs

OUT = Path(__file__).parent / "results" / "pyramid.html"
SPLITS = 6  # that are shown of the photograph
CROP = 128  # side of the parts of photographs that are reduced and drawn larger
NAMES = {pairs.ROWS: "rows", pairs.COLUMNS: "columns"}


def photographs(model: PixelPyramid) -> list[Tensor]:
    """Photographs as the model sees them, int64 (C, H, W)."""
    shown = [each for each in bundled("test") if each.channels >= model.channels]
    options = {"gray": True, "reduce_bits": True}
    return [
        match(read(each.path), model.channels, model.config.bits, **options).pixels
        for each in shown
    ]


def picture(x: Tensor, bits: int, alt: str) -> Picture:
    """An image for a gallery, its pixels as they are."""
    return Picture(figures.png(figures.to_rgb(x, bits)), alt, caption=alt, pixelated=True)


def taken_apart(photograph: Tensor, bits: int) -> list[Block]:
    """The coarse images and fine parts of a photograph."""
    pictures, coarse = [], photograph[None]
    _, height, width = photograph.shape
    for number, axis in enumerate(pairs.axes(height, width, 1, SPLITS), 1):
        coarse, fine = pairs.split(coarse, axis)
        told = pairs.difference(fine, coarse, axis, bits)
        size = f"{coarse.shape[3]} × {coarse.shape[2]}"
        words = f"level {number}, {NAMES[axis]}"
        pictures.append(picture(coarse[0], bits, f"{words}: coarse image, {size}"))
        pictures.append(picture(told[0], bits, f"{words}: fine part"))
    return [
        "Every other row is the coarse image, then every other column, and so on. The rows between "
        "are the fine part, shown as the difference from the row below, or the column to the "
        "right: together they are the photograph, bit for bit, and no larger.",
        Gallery(pictures, columns=4),
    ]


def spent(model: PixelPyramid, photos: list[Tensor]) -> list[Block]:
    """Bits of each level, for all photographs together."""
    found = pyramid_levels.measure(model, photos)
    told = ", ".join(f"{name} {value:.3f}" for name, value in found.shares.items())
    return [
        f"{len(photos)} photographs take {found.bits_per_dim:.3f} bits per value. The finest "
        "levels have the most values, the coarse ones the most bits for each.",
        Picture(pyramid_levels.draw(found), f"Bits per value of the image: {told}.", "svg+xml"),
    ]


def imagined(model: PixelPyramid, seed: int, num: int) -> list[Block]:
    """Samples of two sizes."""
    bits, blocks = model.config.bits, list[Block]()
    for side, count, columns in ((64, num, 6), (128, max(1, num // 2), 3)):
        drawn = sample(model, (side, side), count, seed=seed)
        shown = [
            picture(x, bits, f"Sample {number}, {side} × {side}")
            for number, x in enumerate(drawn, 1)
        ]
        blocks.append(Gallery(shown, columns=columns))
    return blocks


def enlarged(model: PixelPyramid, photos: list[Tensor], factor: int, seed: int) -> list[Block]:
    """The middle of each photograph, reduced to every few pixels and drawn larger again."""
    bits, pictures = model.config.bits, []
    for photo in photos:
        top, left = ((side - CROP) // 2 for side in photo.shape[1:])
        x = photo[:, top : top + CROP, left : left + CROP]
        coarse = x[:, factor - 1 :: factor, factor - 1 :: factor]
        pictures.append(picture(coarse, bits, f"Given: every {factor}th pixel of both sides"))
        for number, drawn in enumerate(upscale(model, coarse, factor, 2, seed=seed), 1):
            pictures.append(
                picture(drawn, bits, f"Drawn, {factor} times as large: sample {number}")
            )
        pictures.append(picture(x, bits, "The photograph"))
    return [Gallery(pictures, columns=4)]


def page(model: PixelPyramid, name: str, about: str, seed: int, num: int) -> Page:
    """The page of a model."""
    photos = photographs(model)
    return Page(
        title="A pyramid of pixels",
        lead="A probability model of images, coarse to fine: the coarsest image first, then the "
        "pixels between, level by level.",
        sections=[
            Section("A photograph, taken apart", taken_apart(photos[0], model.config.bits)),
            Section("Where the bits go", spent(model, photos)),
            Section("What the model imagines", imagined(model, seed, num)),
            Section("Small pictures, drawn larger", enlarged(model, photos, 4, seed)),
        ],
        colophon=f"experiments/pyramid_page.py, {name}, {about}, temperature 1, seed {seed}",
    )


def main(
    model: str = "pyramid-rgb", out: Path = OUT, seed: int = 0, num: int = 12, threads: int = 1
) -> None:
    """Writes the page.

    Arguments:
        model: A trained pyramid: a folder or a bundled name.
        out: The page.
        seed: Of all draws.
        num: Samples of 64 x 64 pixels; half as many of 128 x 128.
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    folder = checkpoint.find(model)
    pyramid = as_pyramid(checkpoint.load(folder))
    made = page(pyramid, folder.name, origin(folder), seed, num)
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, made.html().encode())
    print(out)


if __name__ == "__main__":
    auto_cli(main)
