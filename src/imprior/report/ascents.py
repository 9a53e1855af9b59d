"""How ascents that filled a hole went, and how close any fillings come, told on their page."""

from __future__ import annotations

from typing import Any

from imprior.report import figures
from imprior.report.before_after import cells, picture
from imprior.report.page import Block, Fact, Facts, Gallery, Picture
from imprior.report.tables import Table, seconds
from imprior.tasks.holes import around
from imprior.tasks.inpaint import MARGIN
from imprior.tasks.inpaint_ascent import Ascended, Ascending
from imprior.tasks.inpaint_files import Inpainted
from imprior.tasks.inpaint_quality import Comparison

METHOD = (
    "Stochastic ascent: from noise in the hole, small steps went where a denoiser sees images, "
    "with a little less new noise than they removed, while the known pixels were held. What a "
    "denoiser removes is the gradient of the log-probability; the probability itself it does not "
    "tell, so no filling is named the likeliest. Source: Kadkhodaie & Simoncelli (2021), "
    "Algorithm 2."
)


def course(result: Inpainted[Ascended]) -> list[Block]:
    """How it went: the noise at each step, the steps, why they ended, and how long they took."""
    traces = [each[each.isfinite()].tolist() for done in result.fillings for each in done.sigmas.T]
    ends = ", ".join(f"{max(done.noise):.3f}" for done in result.fillings)
    chart = figures.traces(traces, x_label="step", y_label="noise left, range 1")
    caption = "The noise before each step, in units of the image's range, a line for each filling."
    rows = [
        [file.name, _joined(done.steps), _joined(done.stopped),
         _joined([f"{sigma:.3f}" for sigma in done.noise]), seconds(done.seconds)]
        for file, done in zip(result.files, result.fillings, strict=True)
    ]  # fmt: skip
    notes = [f"{note[0].upper()}{note[1:]}." for note in result.notes]
    return [
        " ".join([METHOD, *notes]),
        _facts(result),
        Picture(chart, f"Curves of the noise, which end at {ends}.", "svg+xml", caption),
        Table(["filling", "steps", "ended", "noise left", "time"], rows),
    ]


def settings(filling: Ascending) -> str:
    """What was asked for, in words."""
    how = filling.schedule
    return (
        f"h0 {how.h0:g}, beta {how.beta:g}, {how.steps} steps, "
        f"noise from {how.sigma0:g} to {how.sigma_end:g}"
    )


def comparison(result: Inpainted[Any], compared: Comparison) -> list[Block]:
    """How close the fillings come to what the image has in its hole."""
    region = around(result.hole, MARGIN)
    shown = [picture(result.image.pixels[:, *region], result.image.bits, "The image.", "the image")]
    for name, x in compared.images.items():
        alt = f"The hole filled by {name} interpolation."
        shown.append(picture(x, result.image.bits, alt, f"{name} interpolation"))
    return [
        "The image was intact: so close do the fillings come to what stands in the hole.",
        comparison_table(result, compared),
        Gallery(shown),
    ]


def comparison_table(result: Inpainted[Any], compared: Comparison) -> Table:
    """PSNR and SSIM of the fillings, their mean, and of the usual ways beside."""
    rows = [
        [file.name, *cells(each)]
        for file, each in zip(result.files, compared.fillings, strict=True)
    ]
    if compared.mean is not None:
        rows.append([f"mean of {len(rows)}", *cells(compared.mean)])
    rows += [[f"{name} interpolation", *cells(each)] for name, each in compared.usual.items()]
    caption = (
        "Over the pixels of the hole, whose range is 1. Even a perfect draw has twice the "
        "squared error of the mean of many: it does not average over what is possible."
    )
    return Table(["filling", "PSNR, dB", "SSIM"], rows, caption=caption)


def _facts(result: Inpainted[Ascended]) -> Facts:
    spent = sum(done.seconds for done in result.fillings)
    steps = sum(max(done.steps) for done in result.fillings)
    return Facts(
        [
            Fact(f"{int(result.hole.sum()):,}", "pixels were missing"),
            Fact(f"{steps / len(result.fillings):.0f}", "steps a filling"),
            Fact(seconds(spent / steps), "a step"),
            Fact(seconds(spent), "in all"),
        ]
    )


def _joined(values: Any) -> str:
    """Values of the channels that were filled one by one."""
    return ", ".join(map(str, values))
