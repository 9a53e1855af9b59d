"""Faces drawn by the published networks from a low-pass image of 40 x 40 pixels.

    python -m experiments.local_faces                 # a page, minutes on one core
    python -m experiments.local_faces --slow true     # also sigma_end 0.01 by the published rule

Networks of 320 x 320 faces; the low-pass image is that of a photograph's face, its details are
drawn scale by scale (Algorithm 2 of Kadkhodaie et al., ICLR 2023) with h0 0.01, beta 0.1, sigma0 1.
"published" stops by the rule of the authors' code, "snr", with sigma_end 0.01, and 0.015 at the
finest scale as in their notebook (0.01 with `--slow`). "default" is ours: it stops when the noise
has fallen to sigma_end. CPU seconds of one thread; the first draws, none chosen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jsonargparse import auto_cli
from torch import Tensor

from experiments.faces import faces, published_local
from experiments.records import Record, append
from imprior.data.files import replace_file
from imprior.data.images import to_int
from imprior.inference.ascent import spawn
from imprior.inference.cascade import Cascade, Scale, cascade
from imprior.inference.schedule import Schedule
from imprior.report import figures
from imprior.report.page import Gallery, Page, Picture, Section
from imprior.report.tables import Table

RESULTS = Path(__file__).parent / "results"
SIDE = 320
PROTOCOL = "320 x 320 given a 40 x 40 low-pass, h0 0.01, beta 0.1, sigma0 1, one thread"


@dataclass(frozen=True)
class Rule:
    """When to stop, and what the authors' code took.

    Attributes:
        name: For people.
        schedules: Of the scales, the coarsest first.
        anchor: Iterations and CPU seconds of the authors' code; None: it has no such rule.
    """

    name: str
    schedules: tuple[Schedule, ...]
    anchor: tuple[tuple[int, ...], float] | None = None


_published = partial(Schedule, rule="snr")
RULES = (
    Rule("default", (Schedule(),) * 3),
    Rule(
        "published, sigma_end 0.015 at scale 0",
        (_published(), _published(), _published(sigma_end=0.015)),
        ((131, 151, 152), 95.0),
    ),
)
SLOW = Rule("published, sigma_end 0.01", (_published(),) * 3, ((131, 151, 469), 286.0))


@torch.no_grad()
def draw(low: Tensor, rule: Rule, seed: int) -> tuple[Cascade, float]:
    """One face for each low-pass image, and CPU seconds."""
    model = published_local(SIDE)
    scales = [
        Scale(model.scale(number).denoise, schedule)
        for number, schedule in zip((2, 1, 0), rule.schedules, strict=True)
    ]
    generators = spawn(torch.Generator().manual_seed(seed), len(low))
    began = time.process_time()
    drawn = cascade(low, scales, model.join, generators=generators)
    return drawn, time.process_time() - began


def low_pass(x: Tensor, count: int = 3) -> Tensor:
    """The low-pass image after `count` scales."""
    model = published_local(SIDE)
    for _ in range(count):
        x, _ = model.split(x)
    return x


def picture(x: Tensor, caption: str) -> Picture:
    """A grey image in [0, 1], (1, H, W), its pixels as they are."""
    pixels = figures.to_rgb(to_int(x.clamp(0, 1), 8), 8)
    return Picture(figures.png(pixels), caption, caption=caption, pixelated=True)


def main(out: Path = RESULTS / "faces.html", seed: int = 0, slow: bool = False) -> None:
    """Writes the page and records the times.

    Arguments:
        out: The page.
        seed: Of all draws.
        slow: Whether to draw with the published rule at sigma_end 0.01, too.
    """
    torch.set_num_threads(1)
    clean = faces(SIDE)
    sections, rows, records = [], [], list[Record]()
    for rule in (*RULES, SLOW)[: len(RULES) + slow]:
        pictures = []
        for number, face in enumerate(clean):
            low = low_pass(face[None])
            drawn, seconds = draw(low, rule, seed)
            steps = tuple(int(ascent.steps[0]) for ascent in drawn.details)
            told = ", ".join(map(str, steps))
            anchor = "" if rule.anchor is None else f"{rule.anchor[0]}, {rule.anchor[1]:.0f} s"
            print(f"{rule.name}, face {number}: {told} iterations, {seconds:.1f} s", flush=True)
            rows.append([rule.name, str(number + 1), told, f"{seconds:.1f}", anchor])
            pictures += [
                picture(low[0], "Given, 40 × 40"),
                picture(drawn.image[0], f"Drawn, {told} iterations, {seconds:.0f} s"),
                picture(face, "The photograph"),
            ]
            name = f"speed/faces-320-{number}/{rule.name.replace(' ', '-')}"
            published = None if rule.anchor is None else rule.anchor[1]
            protocol = f"{PROTOCOL}, CPU time; {told} iterations"
            records.append(Record(name, seconds, "s", protocol, seconds, anchor=published))
        sections.append(Section(f"Stopping rule: {rule.name}", [Gallery(pictures, columns=3)]))
    header = ["rule", "face", "iterations at scales 2, 1, 0", "CPU s", "authors' code"]
    sections.append(Section("Iterations and time", [Table(header, rows)]))
    page = Page(
        title="Faces from 40 × 40 pixels",
        lead="Details are drawn scale by scale, each given the image so far, by networks that see "
        "13 × 13 coefficients.",
        sections=sections,
        colophon=f"experiments/local_faces.py, networks of Kadkhodaie et al. (2023), seed {seed}",
    )
    replace_file(out, page.html().encode())
    append(RESULTS / "faces.json", records)
    print(out)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
