"""Images before and after their noise was removed, and figures over levels of noise, as pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior.data import floats
from imprior.data.files import replace_file
from imprior.data.images import to_int
from imprior.report import figures
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.tables import MISSING, Table, seconds
from imprior.tasks.denoise import MAX_SIGMA, Quality, add_noise
from imprior.tasks.denoise_files import PAGE, Denoised, Wanted

# A page is to be opened in a browser, however many and large the images are.
MOST_IMAGES, MOST_PIXELS = 8, 384


def write_report(results: Sequence[Denoised], wanted: Wanted, out: Path) -> Path:
    """Writes the page of denoised files.

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


def page(results: Sequence[Denoised], wanted: Wanted) -> Page:
    """The report of denoised files."""
    what = "An image" if len(results) == 1 else f"{len(results)} images"
    noise = "that came noisy" if wanted.sigma is None else "to which noise was added"
    added = [] if wanted.sigma is None else [f"noise {wanted.sigma:g}/255, seed {wanted.seed}"]
    shown, rest = results[:MOST_IMAGES], len(results) - MOST_IMAGES
    return Page(
        title="Images without their noise",
        lead=f"{what} {noise}, before and after. The model was not told how much noise there is.",
        sections=[
            Section("In figures", [_facts(results), _table(results)]),
            *(Section(Path(each.path).name, _image(each, wanted)) for each in shown),
            *([Section("The others", [f"{rest} more images are not shown."])] if rest > 0 else []),
        ],
        colophon=", ".join(["imprior denoise", *added]),
    )


def _facts(results: Sequence[Denoised]) -> Facts:
    facts = [Fact(str(len(results)), "images")]
    gains = [x.clean.psnr - x.noisy.psnr for x in results if x.clean and x.noisy]
    if gains:
        facts.append(Fact(f"{sum(gains) / len(gains):+.2f} dB", "nearer to the clean images"))
    return Facts([*facts, Fact(seconds(sum(each.seconds for each in results)), "in all")])


def _table(results: Sequence[Denoised]) -> Table:
    removed = "Removed: root mean square of the difference, in grey levels of 8 bits."
    names = [Path(each.path).name for each in results]
    if any(each.clean is None for each in results):
        rows = [[name, f"{x.removed:.2f}"] for name, x in zip(names, results, strict=True)]
        return Table(["image", "removed"], rows, caption=removed)
    rows = [
        [name, *_cells(each.noisy), *_cells(each.clean), f"{each.removed:.2f}"]
        for name, each in zip(names, results, strict=True)
    ]
    header = ["image", "noisy, dB", "SSIM", "denoised, dB", "SSIM", "removed"]
    return Table(
        header, rows, caption=f"PSNR and SSIM to the clean image, whose range is 1. {removed}"
    )


def _cells(figures_: Quality | None) -> list[str]:
    if figures_ is None:
        return [MISSING, MISSING]
    return [decibel(figures_.psnr), similarity(figures_.ssim)]


def decibel(value: float | None) -> str:
    """A PSNR for people."""
    return MISSING if value is None else f"{value:.2f}"


def similarity(value: float | None) -> str:
    """A structural similarity for people."""
    return MISSING if value is None else f"{value:.4f}"


def _image(result: Denoised, wanted: Wanted) -> list[Block]:
    image, after = floats.read(result.path), floats.read(result.file).colours
    before, pictures = image.colours, []
    if wanted.sigma is not None:
        pictures = [_picture(before, "The clean image.", "clean")]
        before = add_noise(before, wanted.sigma, wanted.seed)
    pictures.append(_picture(before, "Before, with noise.", _caption("before", result.noisy)))
    pictures.append(_picture(after, "After, denoised.", _caption("after", result.clean)))
    pictures.append(_difference(before - after, result.removed))
    _, height, width = result.shape
    size = f"{height} x {width} pixels"
    if max(height, width) > MOST_PIXELS:
        size += f", of which the middle {MOST_PIXELS} of each side are shown"
    told = [f"{note[0].upper()}{note[1:]}." for note in result.notes]
    return [" ".join([f"{size}.", *told]), Gallery(pictures, columns=2)]


def _caption(what: str, found: Quality | None) -> str:
    return what if found is None else f"{what}: {found.psnr:.2f} dB"


def _difference(removed: Tensor, level: float) -> Picture:
    limit = max(3 * level / MAX_SIGMA, 1 / MAX_SIGMA)
    colours = figures.signed(_middle(removed).mean(0).clamp(-limit, limit), limit)
    alt = "What was removed: red where the image became darker, blue where brighter."
    caption = f"removed: {level:.2f} grey levels, colours to {MAX_SIGMA * limit:.1f}"
    return Picture(figures.png(colours), alt, caption=caption, pixelated=True)


def _picture(x: Tensor, alt: str, caption: str) -> Picture:
    pixels = figures.png(figures.to_rgb(to_int(_middle(x), 8), 8))
    return Picture(pixels, alt, caption=caption, pixelated=True)


def _middle(x: Tensor) -> Tensor:
    for axis in (1, 2):
        shown = min(x.shape[axis], MOST_PIXELS)
        x = x.narrow(axis, (x.shape[axis] - shown) // 2, shown)
    return x


# -- figures over levels of noise


def write_curves(total: Mapping[str, Any], model: str, num: int, out: Path) -> Path:
    """Writes the page of an evaluation.

    Arguments:
        total: See `imprior.tasks.evaluate_denoiser.total`; at least one level.
        model: Its name.
        num: How many images.
        out: The folder for the page, made if it is missing.

    Returns:
        The page.

    Raises:
        OSError: If the file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / PAGE, curves(total, model, num).html().encode())
    return out / PAGE


def curves(total: Mapping[str, Any], model: str, num: int) -> Page:
    """The report of an evaluation."""
    return Page(
        title="Noise removed, level by level",
        lead=f"{num} images with white Gaussian noise, and how close {model} comes to the clean "
        "ones. It is not told the level.",
        sections=[
            Section("PSNR", _curve(total, model, "psnr", "PSNR, dB")),
            Section("SSIM", _curve(total, model, "ssim", "SSIM")),
        ],
        colophon="imprior evaluate; means over images, whose range is 1; no rounding, no clipping",
    )


def _curve(total: Mapping[str, Any], model: str, name: str, label: str) -> list[Block]:
    levels = sorted(total, key=float)
    methods = {"noisy": [total[level]["noisy"][name] for level in levels]}
    methods |= {
        other: [total[level]["against"][other][name] for level in levels]
        for other in total[levels[0]]["against"]
    }
    methods[model] = [total[level][name] for level in levels]
    drawn = {
        method: (
            [float(level) for level in levels],
            [torch.nan if v is None else v for v in values],
        )
        for method, values in methods.items()
    }
    show = decibel if name == "psnr" else similarity
    rows = [[method, *map(show, values)] for method, values in methods.items()]
    svg = figures.lines(drawn, x_label="noise, σ × 255", y_label=label, reference="noisy")
    alt = f"Curves of the mean {label} over the level of noise; the table has their values."
    return [Picture(svg, alt, "svg+xml"), Table(["σ × 255", *levels], rows)]
