"""A texture beside what models drew after learning from it, told as a page."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from imprior.data.files import replace_file
from imprior.report import figures
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.story import NAMES
from imprior.report.tables import Table, number, seconds
from imprior.tasks.statistics import REACH, Distance, Statistics, distance
from imprior.tasks.texture import PAGE, Synthesis, Texture

TEXTURE = "the texture"
STEPS_OF_HISTOGRAM = 64


def write_report(result: Texture, out: Path) -> Path:
    """Writes the page.

    Returns:
        The page.

    Raises:
        OSError: If the file cannot be written.
    """
    replace_file(out / PAGE, page(result).html().encode())
    return out / PAGE


def page(result: Texture) -> Page:
    """The report."""
    best = min(result.syntheses, key=lambda made: made.bits_per_dim)
    codec = min(result.codecs, key=lambda name: result.codecs[name], default=None)
    beside = f" (the best codec: {number(result.codecs[codec])})" if codec else ""
    num = len(result.syntheses)
    how_many = "one model" if num == 1 else f"{num} models"
    wanted = result.wanted
    return Page(
        title="A texture, learned and drawn again",
        lead=f"{how_many.capitalize()} learned from {Path(result.image.path).name or 'a texture'} "
        "how each pixel follows from those above it and to its left, and then drew more of its "
        f"kind. A part that none of them saw takes {number(best.bits_per_dim)} bits per value "
        f"with {best.name}{beside}.",
        sections=[
            Section("The texture and what the models drew", _side_by_side(result)),
            Section("A part that they have not seen", _held_out(result)),
            Section("What the eye may miss", _statistics(result)),
            Section("How they learned", _course(result)),
            Section("All that was drawn", _everything(result)),
        ],
        colophon=f"imprior texture, {wanted.size[0]} x {wanted.size[1]} pixels, "
        f"temperature {wanted.temperature:g}, seed {wanted.seed}",
    )


def _picture(x: Tensor, bits: int, alt: str, caption: str) -> Picture:
    pixels = figures.png(figures.to_rgb(x, bits))
    return Picture(pixels, alt, caption=caption, pixelated=True)


def _side_by_side(result: Texture) -> list[Block]:
    """Equally large parts, so that all are shown at one scale."""
    first = [result.image.pixels, *(made.samples[0] for made in result.syntheses)]
    height = min(x.shape[1] for x in first)
    width = min(x.shape[2] for x in first)
    names = [TEXTURE, *(made.name for made in result.syntheses)]
    pictures = [
        _picture(_middle(x, height, width), result.image.bits, f"Part of {name}.", name)
        for name, x in zip(names, first, strict=True)
    ]
    return [
        f"Parts of {height} x {width} pixels, all at one scale. Each pixel was drawn from its "
        "distribution given those before; nothing was copied, and nothing chosen.",
        Gallery(pictures, columns=min(len(pictures), 3)),
    ]


def _middle(x: Tensor, height: int, width: int) -> Tensor:
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def _held_out(result: Texture) -> list[Block]:
    models = [made.name for made in result.syntheses]
    values = {NAMES.get(name, name): bits for name, bits in result.bits_per_dim().items()}
    order = ", ".join(f"{name} {number(value)}" for name, value in values.items())
    _, height, width = result.regions["held-out"].pixels.shape
    return [
        f"The lowest {height} rows of the texture, {width} pixels wide, were kept from the models, "
        "and the rows above them chose the weights that were kept. Fewer bits: the model knows "
        "better what comes next.",
        Picture(
            figures.bars(values, models, label="bits per value"),
            f"Bars, shortest first, of bits per value: {order}.",
            "svg+xml",
            "Models in colour. Codecs are at their strongest lossless settings and compress the "
            "same pixels, headers included.",
        ),
    ]


def _statistics(result: Texture) -> list[Block]:
    all_of_them = {TEXTURE: result.statistics}
    all_of_them |= {made.name: made.statistics for made in result.syntheses}
    histograms = {name: _histogram(each) for name, each in all_of_them.items()}
    columns = {name: _lags(each.correlation[REACH, REACH:]) for name, each in all_of_them.items()}
    rows = {name: _lags(each.correlation[REACH:, REACH]) for name, each in all_of_them.items()}
    label = "correlation"
    charts = [
        ("Shares of values.", histograms, "value, grey level", "share, %"),
        ("Correlation of pixels in a row.", columns, "distance across, pixels", label),
        ("Correlation of pixels in a column.", rows, "distance down, pixels", label),
    ]
    drawn = [
        Picture(
            figures.lines(series, x_label=x_label, y_label=y_label, reference=TEXTURE),
            f"{caption} One line each: {', '.join(series)}.",
            "svg+xml",
            caption,
        )
        for caption, series, x_label, y_label in charts
    ]
    return [
        "Two textures of one kind have values in the same shares, and neighbours that are alike "
        "to the same degree at every distance and in every direction.",
        Gallery(drawn, columns=2),
        _correlations(all_of_them),
        "Correlation with the pixel in the middle, up to "
        f"{REACH} pixels away: red is alike, blue is opposite.",
        _distances(result),
    ]


def _histogram(each: Statistics) -> tuple[list[float], list[float]]:
    """Middles of equal steps of the values, and their shares in per cent."""
    steps = min(STEPS_OF_HISTOGRAM, len(each.histogram))
    values = torch.arange(len(each.histogram)).double().view(steps, -1).mean(1)
    return values.tolist(), (100 * each.histogram.view(steps, -1).sum(1)).tolist()


def _lags(correlation: Tensor) -> tuple[list[float], list[float]]:
    return [float(lag) for lag in range(len(correlation))], correlation.tolist()


def _correlations(all_of_them: dict[str, Statistics]) -> Gallery:
    # Colours end where those of the texture do, beyond its nearest neighbours.
    size = 2 * REACH + 1
    far = torch.ones(size, size, dtype=torch.bool)
    far[REACH - 1 : REACH + 2, REACH - 1 : REACH + 2] = False
    limit = max(0.1, float(all_of_them[TEXTURE].correlation[far].abs().max()))
    pictures = [
        Picture(
            figures.png(figures.signed(each.correlation, limit)),
            f"Correlations of {name} at all lags.",
            caption=name,
            pixelated=True,
        )
        for name, each in all_of_them.items()
    ]
    return Gallery(pictures, columns=max(3, len(pictures)))


def _distances(result: Texture) -> Table:
    levels = 2**result.image.bits - 1
    each = {"two halves of the texture": result.own_distance}
    each |= {made.name: distance(result.statistics, made.statistics) for made in result.syntheses}
    header = ["compared with the texture", "values, grey levels", "correlations"]
    caption = (
        f"Distances: how far values of 0 to {levels} have to move to have the same shares, and "
        "the root mean square difference of correlations. The first line is a yardstick."
    )
    return Table(header, [_row(name, away) for name, away in each.items()], caption=caption)


def _row(name: str, away: Distance) -> list[str]:
    return [name, f"{away.levels:.1f}", number(away.correlation)]


def _course(result: Texture) -> list[Block]:
    series = {
        made.name: ([at for at, _ in made.course.points], [bits for _, bits in made.course.points])
        for made in result.syntheses
        if made.course.points
    }
    curve = figures.lines(series, x_label="seconds", y_label="bits per value")
    alt = f"Learning curves of {', '.join(series)}."
    caption = "Bits per value of the rows that choose the weights, over the time of training."
    header = ["model", "parameters", "training", "drawing a sample", "held out, bits per value"]
    rows = [
        [
            made.name,
            f"{made.num_parameters:,}",
            seconds(made.course.seconds),
            seconds(made.sampling_s / len(made.samples)),
            number(made.bits_per_dim),
        ]
        for made in result.syntheses
    ]
    return [_facts(result), Picture(curve, alt, "svg+xml", caption), Table(header, rows)]


def _facts(result: Texture) -> Facts:
    learned = result.regions["training"].pixels
    trained = sum(made.course.seconds for made in result.syntheses)
    drawn = sum(made.sampling_s for made in result.syntheses)
    return Facts(
        [
            Fact(f"{learned[0].numel():,}", "pixels to learn from"),
            Fact(seconds(trained), "of training"),
            Fact(seconds(drawn), "of drawing"),
        ]
    )


def _everything(result: Texture) -> list[Block]:
    whole = result.image.pixels
    alt = "The whole texture."
    pictures = [_picture(whole, result.image.bits, alt, Path(result.image.path).name or TEXTURE)]
    pictures += [picture for made in result.syntheses for picture in _samples(made, result)]
    return [
        "Rows above and columns to both sides were drawn, too, and cut off: there a model has no "
        "past to go on from.",
        Gallery(pictures, columns=2),
    ]


def _samples(made: Synthesis, result: Texture) -> list[Picture]:
    return [
        _picture(x, result.image.bits, f"A sample of {made.name}.", file.name)
        for x, file in zip(made.samples, made.files, strict=True)
    ]
