"""Images before and after their noise was removed, and figures over levels of noise, as pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior.data import floats
from imprior.data.images import to_int
from imprior.report import figures
from imprior.report.before_after import (
    cells,
    counted,
    decibel,
    facts,
    middle,
    picture,
    sections,
    similarity,
    told,
    write_page,
)
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.tables import Table
from imprior.tasks.denoise import MAX_SIGMA, Quality, add_noise
from imprior.tasks.denoise_files import Denoised, Wanted


def write_report(results: Sequence[Denoised], wanted: Wanted, out: Path) -> Path:
    """Writes the page of denoised files; one or more, which are still there. See `write_page`."""
    return write_page(page(results, wanted), out)


def page(results: Sequence[Denoised], wanted: Wanted) -> Page:
    """The report of denoised files."""
    noise = "that came noisy" if wanted.sigma is None else "to which noise was added"
    added = [] if wanted.sigma is None else [f"noise {wanted.sigma:g}/255, seed {wanted.seed}"]
    return Page(
        title="Images without their noise",
        lead=f"{counted(results)} {noise}, before and after. The model was not told how much noise "
        "there is.",
        sections=sections(
            [_facts(results), _table(results)], results, partial(_image, wanted=wanted)
        ),
        colophon=", ".join(["imprior denoise", *added]),
    )


def _facts(results: Sequence[Denoised]) -> Facts:
    gains = [x.clean.psnr - x.noisy.psnr for x in results if x.clean and x.noisy]
    if not gains:
        return facts(results)
    return facts(results, Fact(f"{sum(gains) / len(gains):+.2f} dB", "nearer to the clean images"))


def _table(results: Sequence[Denoised]) -> Table:
    removed = "Removed: root mean square of the difference, in grey levels of 8 bits."
    names = [Path(each.path).name for each in results]
    if any(each.clean is None for each in results):
        rows = [[name, f"{x.removed:.2f}"] for name, x in zip(names, results, strict=True)]
        return Table(["image", "removed"], rows, caption=removed)
    rows = [
        [name, *cells(each.noisy), *cells(each.clean), f"{each.removed:.2f}"]
        for name, each in zip(names, results, strict=True)
    ]
    header = ["image", "noisy, dB", "SSIM", "denoised, dB", "SSIM", "removed"]
    return Table(
        header, rows, caption=f"PSNR and SSIM to the clean image, whose range is 1. {removed}"
    )


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
    return [told(f"{height} x {width} pixels", result), Gallery(pictures, columns=2)]


def _caption(what: str, found: Quality | None) -> str:
    return what if found is None else f"{what}: {found.psnr:.2f} dB"


def _difference(removed: Tensor, level: float) -> Picture:
    limit = max(3 * level / MAX_SIGMA, 1 / MAX_SIGMA)
    colours = figures.signed(middle(removed).mean(0).clamp(-limit, limit), limit)
    alt = "What was removed: red where the image became darker, blue where brighter."
    caption = f"removed: {level:.2f} grey levels, colours to {MAX_SIGMA * limit:.1f}"
    return Picture(figures.png(colours), alt, caption=caption, pixelated=True)


def _picture(x: Tensor, alt: str, caption: str) -> Picture:
    return picture(to_int(middle(x), 8), 8, alt, caption)


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
    return write_page(curves(total, model, num), out)


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
