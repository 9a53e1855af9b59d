"""What filled a hole, told as a page beside the fillings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior.data.files import replace_file
from imprior.report import ascents, figures
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.tables import Table, seconds
from imprior.tasks.filling import Attempt
from imprior.tasks.holes import Region, around
from imprior.tasks.inpaint import MARGIN, Filling, Inpainting
from imprior.tasks.inpaint_ascent import Ascending
from imprior.tasks.inpaint_files import DEVIATION, PAGE, Inpainted, average
from imprior.tasks.inpaint_quality import Comparison

METHODS = {
    "gibbs": "Metropolis within Gibbs: overlapping patches of the hole were drawn anew, again and "
    "again, and each draw was kept or dropped by how well it fits what is around it.",
    "map": "Gradient ascent to an image that the model finds most probable: smoother than what "
    "could have been there.",
    "draw": "One draw in reading order: each pixel follows from those above it and to its left, "
    "and nothing was done about what comes after the hole.",
}
HOLE = (217, 100, 58)  # the accent of diagrams


def write_report(result: Inpainted[Any], out: Path, compared: Comparison | None = None) -> Path:
    """Writes the page and, of several fillings, a picture of their standard deviation.

    Arguments:
        result: What to tell of.
        out: The folder.
        compared: How close the fillings come, if that was asked for.

    Returns:
        The page.

    Raises:
        OSError: If a file cannot be written.
    """
    spread = deviation(result.fillings)
    if spread is not None:
        everywhere = torch.zeros(result.hole.shape, dtype=torch.float64)
        everywhere[_region(result)] = spread
        picture = figures.heat(everywhere, _limit(result, spread))
        replace_file(out / DEVIATION, figures.png(picture))
    replace_file(out / PAGE, page(result, spread, compared).html().encode())
    return out / PAGE


def deviation(fillings: Sequence[Attempt]) -> Tensor | None:
    """Standard deviation over fillings, mean of channels, in grey levels: float64 (h, w).

    Returns:
        None if there are fewer than two.
    """
    if len(fillings) < 2:
        return None
    return torch.stack([filling.x for filling in fillings]).double().std(0).mean(0)


def page(result: Inpainted[Any], spread: Tensor | None, compared: Comparison | None = None) -> Page:
    """The report; `spread` as `deviation` gives it."""
    num = len(result.fillings)
    what = "Here is a filling" if num == 1 else f"Here are {num} fillings"
    sections = [Section("Before and after", _before_and_after(result))]
    if spread is not None:
        sections.append(Section("Where fillings differ", _differences(result, spread)))
    if compared is not None:
        sections.append(Section("How close they come", ascents.comparison(result, compared)))
    course, settings = _told(result)
    return Page(
        title="A hole in an image, filled",
        lead=f"{int(result.hole.sum()):,} pixels of {Path(result.image.path).name or 'an image'} "
        f"were missing. {what} in keeping with the others, as a model of images "
        "sees it. No known pixel was changed.",
        sections=[*sections, Section("How it went", course)],
        colophon=f"imprior inpaint, method {result.filling.method}, {settings}, seed {result.seed}",
    )


def _told(result: Inpainted[Any]) -> tuple[list[Block], str]:
    """How it went, and what was asked for."""
    filling = result.filling
    if isinstance(filling, Ascending):
        return ascents.course(result), ascents.settings(filling)
    assert isinstance(filling, Filling)  # the only other one
    return _course(result, filling), f"{filling.num_epochs} epochs"


def _region(result: Inpainted[Any]) -> Region:
    return around(result.hole, MARGIN)


def _limit(result: Inpainted[Any], spread: Tensor) -> float:
    """Where the colours of deviations end; what is known deviates nowhere and does not count."""
    return figures.upper_limit(spread[result.hole[_region(result)]])


def _before_and_after(result: Inpainted[Any]) -> list[Block]:
    region, bits = _region(result), result.image.bits
    gap = result.hole[region]
    before = figures.to_rgb(result.image.pixels[:, *region], bits)
    before[gap.numpy()] = HOLE
    mask = figures.to_rgb(gap[None].long(), 1)

    def picture(pixels: figures.RGB, alt: str, caption: str) -> Picture:
        return Picture(figures.png(pixels), alt, caption=caption, pixelated=True)

    after = []
    for number, (file, done) in enumerate(zip(result.files, result.fillings, strict=True), 1):
        alt = f"The same part with the hole filled, filling {number}."
        after.append(picture(figures.to_rgb(done.x, bits), alt, file.name))
    shown = [
        picture(before, "The part around the hole, which is coloured.", "before"),
        picture(mask, "The mask: white where pixels were missing.", "mask"),
    ]
    if result.best is not None:
        _, best = max((done.likeliest for done in result.fillings), key=lambda pair: pair[0])
        caption = f"most probable: {result.best.name}"
        shown.append(picture(figures.to_rgb(best, bits), "The most probable state.", caption))
    if result.mean is not None:
        mean = figures.to_rgb(average(result.fillings), bits)
        shown.append(picture(mean, "The mean of the fillings.", f"mean: {result.mean.name}"))
    return [
        "The part of the image around the hole.",
        Gallery(shown),
        Gallery(after, columns=4 if len(after) > 3 else 3),
    ]


def _differences(result: Inpainted[Any], spread: Tensor) -> list[Block]:
    limit = _limit(result, spread)
    shown = figures.png(figures.heat(spread, limit))
    scale = figures.png(figures.heat(torch.linspace(0, limit, 512).expand(14, -1), limit))
    inside = spread[result.hole[_region(result)]].mean()
    caption = f"{inside:.1f} grey levels on average in the hole"
    alt = "Standard deviation of the fillings: bright where they differ."
    scale_alt = f"Colour scale from black, 0 grey levels, to light yellow, {limit:.0f} and more."
    return [
        "Standard deviation of each pixel over the fillings: dark where what is around the hole "
        "leaves no doubt, bright where much is possible.",
        Gallery([Picture(shown, alt, caption=caption, pixelated=True)], columns=2),
        Picture(scale, scale_alt, caption=f"0 (dark) to {limit:.0f} grey levels or more (bright)"),
    ]


def _course(result: Inpainted[Inpainting], filling: Filling) -> list[Block]:
    fillings = result.fillings
    kind = "log-density" if filling.method == "map" else "log-probability"
    log_probs = [done.log_probs for done in fillings]
    chart = figures.traces(log_probs, x_label="epoch", y_label=f"{kind}, nats")
    last = ", ".join(f"{done.log_probs[0]:.0f} to {done.log_probs[-1]:.0f}" for done in fillings)
    blocks: list[Block] = [METHODS[filling.method], _facts(result)]
    caption = f"The {kind} of the part around the hole, a line for each filling."
    blocks.append(Picture(chart, f"Curves of the {kind}: {last} nats.", "svg+xml", caption))
    if any(done.acceptances for done in fillings):
        rates = [[100 * share for share in done.acceptances] for done in fillings]
        chart = figures.traces(rates, x_label="epoch", y_label="accepted patches, %")
        alt = "Curves of the share of proposed patches that were accepted in each epoch."
        blocks.append(Picture(chart, alt, "svg+xml", caption="Accepted patches in each epoch."))
    rows = [
        [file.name, str(done.num_epochs), f"{done.log_probs[-1]:.1f}", seconds(done.seconds)]
        for file, done in zip(result.files, fillings, strict=True)
    ]
    return [*blocks, Table(["filling", "epochs", f"{kind}, nats", "time"], rows)]


def _facts(result: Inpainted[Inpainting]) -> Facts:
    accepted = [share for done in result.fillings for share in done.acceptances]
    facts = [Fact(f"{int(result.hole.sum()):,}", "pixels were missing")]
    if accepted:
        facts.append(Fact(f"{100 * sum(accepted) / len(accepted):.0f} %", "of patches accepted"))
    spent = sum(done.seconds for done in result.fillings)
    epochs = sum(done.num_epochs for done in result.fillings)
    if epochs:
        facts.append(Fact(seconds(spent / epochs), "an epoch"))
    return Facts([*facts, Fact(seconds(spent), "in all")])
