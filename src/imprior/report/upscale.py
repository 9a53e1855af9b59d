"""Images before and after they were drawn larger, and where samples differ, told as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from imprior.data.images import read
from imprior.data.loading import match
from imprior.report import figures
from imprior.report.before_after import (
    cells,
    counted,
    facts,
    middle,
    picture,
    sections,
    told,
    write_page,
)
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture
from imprior.report.tables import Table
from imprior.tasks.enlargement import Wanted
from imprior.tasks.shrink import crop
from imprior.tasks.upscale_files import Upscaled, total

MOST_SAMPLES = 3

WAYS = {
    "sample": "one sample",
    "mean": "mean of {num}",
    "expected": "least squares",
    "bicubic": "bicubic",
    "nearest": "nearest",
}
"""How images were made larger, for people."""


def write_report(results: Sequence[Upscaled], wanted: Wanted, out: Path) -> Path:
    """Writes the page of enlarged files; one or more, which are still there. See `write_page`."""
    return write_page(page(results, wanted), out)


def page(results: Sequence[Upscaled], wanted: Wanted) -> Page:
    """The report."""
    drawn = {0: "", 1: ", drawn once"}.get(wanted.num, f", drawn {wanted.num} times")
    source = (
        "What is between the given pixels was drawn from a probability model of images: it could "
        "have been there, and nobody knows whether it was."
        if wanted.num
        else "What is between the given pixels is the mean of what could have been there."
    )
    made = ", made smaller first" * wanted.shrink + ", least squares" * wanted.mean
    return Page(
        title="Images, drawn larger",
        lead=f"{counted(results)}, {wanted.factor} times as high and wide{drawn}. {source}",
        sections=sections([_facts(results), *_table(results, wanted)], results, _image),
        colophon=f"imprior upscale, scale {wanted.factor}, {wanted.num} samples, temperature "
        f"{wanted.temperature:g}, seed {wanted.seed}{made}",
    )


def _facts(results: Sequence[Upscaled]) -> Facts:
    spreads = [each.mean_deviation for each in results if each.mean_deviation is not None]
    if not spreads:
        return facts(results)
    mean = f"{sum(spreads) / len(spreads):.2f}"
    return facts(results, Fact(mean, "grey levels: standard deviation of samples"))


def _table(results: Sequence[Upscaled], wanted: Wanted) -> list[Table]:
    return [quality_table(results, wanted.num)] if wanted.shrink else []


def quality_table(results: Sequence[Upscaled], num: int) -> Table:
    """How close enlarged images come to those that were made smaller; one or more.

    Arguments:
        num: How many samples the mean is of.
    """
    found = [(Path(each.path).name, each.quality) for each in results]
    if len(results) > 1:
        found.append(("mean", total(results)))
    ways = list(results[0].quality)
    names = [WAYS[way].format(num=num) for way in ways]
    best = [1 + 2 * max(range(len(ways)), key=lambda n: of[ways[n]].psnr) for _, of in found]
    return Table(
        ["image", *(cell for name in names for cell in (f"{name}, dB", "SSIM"))],
        [[name, *(cell for way in ways for cell in cells(of[way]))] for name, of in found],
        best,
        "PSNR and SSIM to the images that were made smaller, whose range is 1; all in the depth of "
        "the files. Pointed out is the best PSNR.",
    )


def _image(result: Upscaled) -> list[Block]:
    channels, height, width = result.shape
    # The conversions that were not asked for were not needed either, or this would have failed.
    image = match(read(result.path), channels, result.bits, gray=True, reduce_bits=True)
    small = image.pixels if result.small is None else read(result.small).pixels
    before = middle(small, result.factor)
    pictures = [picture(before, result.bits, "Before, each pixel enlarged.", "before")]
    if result.small is not None:
        clean = middle(crop(image.pixels, result.factor), result.factor, result.factor)
        pictures.insert(0, picture(clean, result.bits, "The image, as it came.", "as it came"))
    samples = list(enumerate(result.files[:MOST_SAMPLES], 1))
    pictures += [_file(path, result, f"Sample {n}.", "sample" * (n == 1)) for n, path in samples]
    scale: list[Block] = []
    if result.expected is not None:
        pictures.append(_file(result.expected, result, "The least-squares answer.", "expected"))
    if result.mean is not None and result.deviation is not None:
        pictures.append(_file(result.mean, result, "Mean of the samples.", "mean"))
        heat, scale = _spread(result, result.deviation)
        pictures.append(heat)
    size = f"{small.shape[1]} x {small.shape[2]} pixels became {height} x {width}"
    return [told(size, result), Gallery(pictures, columns=min(3, len(pictures))), *scale]


def _spread(result: Upscaled, path: str) -> tuple[Picture, list[Block]]:
    """Where samples differ, and the scale of its colours."""
    spread = _middle_of_file(path, result).double().mean(0)
    limit = figures.upper_limit(spread)
    heat = Picture(
        figures.png(figures.heat(spread, limit)),
        "Standard deviation of the samples: bright where they differ.",
        caption=f"{Path(path).name}: {result.mean_deviation:.2f} grey levels on average",
        pixelated=True,
    )
    colours = figures.heat(torch.linspace(0, limit, 512).expand(14, -1), limit)
    alt = f"Colour scale from black, 0 grey levels, to light yellow, {limit:.0f} and more."
    caption = f"Standard deviation: 0 (dark) to {limit:.0f} grey levels or more (bright)"
    return heat, [Picture(figures.png(colours), alt, caption=caption)]


def _file(path: str, result: Upscaled, alt: str, way: str) -> Picture:
    found = result.quality.get(way)
    caption = Path(path).name + ("" if found is None else f": {found.psnr:.2f} dB")
    return picture(_middle_of_file(path, result), result.bits, alt, caption)


def _middle_of_file(path: str, result: Upscaled) -> Tensor:
    return middle(read(path).pixels, result.factor, result.factor)
