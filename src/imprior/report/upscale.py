"""Images before and after they were drawn larger, and where samples differ, told as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from imprior.data.files import replace_file
from imprior.data.images import read
from imprior.data.loading import match
from imprior.report import figures
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.tables import seconds
from imprior.tasks.upscale_files import PAGE, Upscaled, Wanted

# A page is to be opened in a browser, however many and large the images are.
MOST_IMAGES, MOST_SAMPLES, MOST_PIXELS = 8, 3, 384


def write_report(results: Sequence[Upscaled], wanted: Wanted, out: Path) -> Path:
    """Writes the page.

    Arguments:
        results: One or more, whose files are still there.
        wanted: What was asked for.
        out: The folder for the page, or a file beside which it belongs.

    Returns:
        The page.

    Raises:
        OSError: If the file cannot be written.
    """
    folder = out if out.is_dir() else out.parent
    replace_file(folder / PAGE, page(results, wanted).html().encode())
    return folder / PAGE


def page(results: Sequence[Upscaled], wanted: Wanted) -> Page:
    """The report."""
    what = "An image" if len(results) == 1 else f"{len(results)} images"
    drawn = "drawn once" if wanted.num == 1 else f"drawn {wanted.num} times"
    shown = results[:MOST_IMAGES]
    rest = len(results) - len(shown)
    return Page(
        title="Images, drawn larger",
        lead=f"{what}, {wanted.factor} times as high and wide, {drawn}. What is between the given "
        "pixels was drawn from a probability model of images: it could have been there, and "
        "nobody knows whether it was.",
        sections=[
            Section("In figures", [_facts(results)]),
            *(Section(Path(each.path).name, _image(each)) for each in shown),
            *([Section("The others", [f"{rest} more images are not shown."])] if rest else []),
        ],
        colophon=f"imprior upscale, scale {wanted.factor}, {wanted.num} samples, temperature "
        f"{wanted.temperature:g}, seed {wanted.seed}",
    )


def _facts(results: Sequence[Upscaled]) -> Facts:
    facts = [Fact(str(len(results)), "images")]
    spreads = [each.mean_deviation for each in results if each.mean_deviation is not None]
    if spreads:
        mean = sum(spreads) / len(spreads)
        facts.append(Fact(f"{mean:.2f}", "grey levels: standard deviation of samples"))
    return Facts([*facts, Fact(seconds(sum(each.seconds for each in results)), "in all")])


def _image(result: Upscaled) -> list[Block]:
    channels, height, width = result.shape
    # The conversions that were not asked for were not needed either, or this would have failed.
    image = match(read(result.path), channels, result.bits, gray=True, reduce_bits=True)
    before = _middle(image.pixels, 1, result.factor)
    samples = result.files[:MOST_SAMPLES]
    pictures = [_picture(before, result.bits, "Before, each pixel enlarged.", "before")]
    pictures += [_file(path, result, f"Sample {n}.") for n, path in enumerate(samples, 1)]
    scale: list[Block] = []
    if result.mean is not None and result.deviation is not None:
        pictures.append(_file(result.mean, result, "Mean of the samples."))
        heat, scale = _spread(result, result.deviation)
        pictures.append(heat)
    _, *sides = image.pixels.shape
    size = f"{sides[0]} x {sides[1]} pixels became {height} x {width}"
    part = (
        f"; the middle {MOST_PIXELS} of each side are shown"
        if max(height, width) > MOST_PIXELS
        else ""
    )
    return [f"{size}{part}.", Gallery(pictures, columns=min(3, len(pictures))), *scale]


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


def _file(path: str, result: Upscaled, alt: str) -> Picture:
    return _picture(_middle_of_file(path, result), result.bits, alt, Path(path).name)


def _picture(x: Tensor, bits: int, alt: str, caption: str) -> Picture:
    pixels = figures.png(figures.to_rgb(x, bits))
    return Picture(pixels, alt, caption=caption, pixelated=True)


def _middle_of_file(path: str, result: Upscaled) -> Tensor:
    return _middle(read(path).pixels, result.factor, result.factor)


def _middle(x: Tensor, pixels: int, factor: int) -> Tensor:
    """The middle of an image, the same part before and after.

    Arguments:
        x: (C, H, W).
        pixels: Rows and columns of `x` for one pixel of the image before.
        factor: The same of the images after.
    """
    side = MOST_PIXELS // factor
    for axis in (1, 2):
        length = x.shape[axis] // pixels
        shown = min(length, side)
        x = x.narrow(axis, pixels * ((length - shown) // 2), pixels * shown)
    return x
