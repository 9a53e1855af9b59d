"""Super-resolution and missing pixels, solved by the ascent of denoisers: tables and pictures.

    python -m experiments.local_inverse                  # an hour on one core
    python -m experiments.local_inverse --count 2 --side 64 --record false

The middle 256 x 256 pixels of each image of Set12. "super-resolution 4": given the means of blocks
of 4 x 4 pixels. "random pixels": given 10 % of the pixels. A flat denoiser solves both
(Kadkhodaie & Simoncelli, 2021); a multi-scale one draws the details of the first (Kadkhodaie et
al., 2023), for which block means are the low-pass image of two scales. One sample, and the mean of
`count`; beside them nearest neighbours, bicubic and linear interpolation. PSNR and structural
similarity, means over the images; measurements are not rounded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from scipy.interpolate import griddata
from torch import Tensor
from torch.nn import functional

from experiments.bsds300 import data_root
from experiments.local_faces import picture
from experiments.records import Record, append
from imprior import checkpoint
from imprior.base import require
from imprior.data import floats
from imprior.data.datasets import find_images
from imprior.data.files import replace_file
from imprior.denoisers import Denoiser, MultiscaleDenoiser
from imprior.inference.cascade import Scale, cascade
from imprior.inference.operators import BlockAverage, Mask, Operator, random_pixels
from imprior.inference.posterior import Samples, draw_samples, solve
from imprior.inference.schedule import Schedule
from imprior.report.page import Block, Gallery, Page, Section
from imprior.report.tables import Table
from imprior.tasks.denoise import Quality, mean_quality, quality
from imprior.tasks.interpolation import bicubic

RESULTS = Path(__file__).parent / "results"
FACTOR, SHARE = 4, 0.1
SHOWN = (4, 7, 8)  # images with pictures, by their numbers from 0: butterfly, Lena, Barbara
DETAILS = Schedule(sigma0=0.25)  # the largest noise that networks of details learnt from

Answers = dict[str, Tensor]
"""By method: floats (1, H, W)."""


@dataclass(frozen=True)
class Problem:
    """What is known of an image, and how it is answered.

    Attributes:
        name: For people.
        given: Draws what is measured as an image (1, H, W), for a picture.
        answers: Of all methods, given the image and a seed.
    """

    name: str
    given: Callable[[Tensor, int], Tensor]
    answers: Callable[[Tensor, int], Answers]


def images(side: int) -> list[Tensor]:
    """The middle of each image of Set12, floats (1, side, side)."""
    parts = []
    for path in find_images([data_root() / "set12"]):
        x = floats.read(path).colours
        top, left = ((length - side) // 2 for length in x.shape[1:])
        parts.append(x[:, top : top + side, left : left + side].contiguous())
    return parts


def several(name: str, drawn: Samples) -> Answers:
    """The first sample and the mean of all."""
    count = len(drawn.images)
    return {f"{name}, sample": drawn.images[0, 0], f"{name}, mean of {count}": drawn.mean[0]}


def solved(
    name: str, model: Denoiser, operator: Operator, measured: Tensor, count: int, seed: int
) -> Answers:
    """What a flat denoiser makes of measurements."""
    generator = torch.Generator().manual_seed(seed)
    return several(name, solve(model.denoise, operator, measured, count=count, generator=generator))


def super_resolution(flat: Denoiser, local: MultiscaleDenoiser, count: int) -> Problem:
    """From the means of blocks."""

    def low(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x[None], FACTOR)

    def answers(x: Tensor, seed: int) -> Answers:
        means, size = low(x), x.shape[1:]
        operator = BlockAverage((1, *size), FACTOR)
        levels = reversed(range(FACTOR.bit_length() - 1))
        scales = [Scale(partial(_details, local, level), DETAILS) for level in levels]
        drawn = draw_samples(
            lambda y, generators: cascade(y, scales, local.join, generators=generators),
            means, count, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        return {
            "nearest": functional.interpolate(means, size)[0],
            "bicubic": bicubic(means[0], FACTOR, ((FACTOR - 1) / 2,) * 2),
            **solved("flat", flat, operator, FACTOR * means, count, seed),
            **several("multi-scale", drawn),
        }

    return Problem(f"super-resolution {FACTOR}", lambda x, seed: low(x)[0], answers)


def _details(local: MultiscaleDenoiser, level: int, low: Tensor, noisy: Tensor) -> Tensor:
    return local.given(low, level).denoise(noisy)


def missing_pixels(flat: Denoiser, count: int) -> Problem:
    """From a random share of the pixels."""

    def known(x: Tensor, seed: int) -> Mask:
        shape = (1, x.shape[1], x.shape[2])
        return random_pixels(shape, SHARE, generator=torch.Generator().manual_seed(seed))

    def answers(x: Tensor, seed: int) -> Answers:
        operator = known(x, seed)
        found = {how: _interpolated(x, operator, how) for how in ("nearest", "linear")}
        return found | solved("flat", flat, operator, operator.apply(x[None]), count, seed)

    def given(x: Tensor, seed: int) -> Tensor:
        return known(x, seed).project(x[None])[0]

    return Problem(f"random pixels {SHARE:.0%}", given, answers)


def _interpolated(x: Tensor, operator: Mask, how: str) -> Tensor:
    """Between known pixels; beyond them all the nearest one."""
    rows, columns = np.divmod(operator.index.numpy(), x.shape[2])
    points, values = np.stack([rows, columns], 1), x.flatten()[operator.index].numpy()
    grid = tuple(np.mgrid[: x.shape[1], : x.shape[2]])
    found = griddata(points, values, grid, how)
    nearest = griddata(points, values, grid, "nearest")
    return torch.from_numpy(np.where(np.isfinite(found), found, nearest)).float()[None]


def means(found: list[Mapping[str, Quality]]) -> dict[str, Quality]:
    """The mean qualities of each method over images."""
    return {name: mean_quality([each[name] for each in found]) for name in found[0]}


def answer(problem: Problem, pictures: list[Tensor], seed: int) -> tuple[Section, list[Record]]:
    """Answers a problem for all images."""
    began, found, shown = time.process_time(), list[Mapping[str, Quality]](), list[Block]()
    for number, x in enumerate(pictures):
        answers = problem.answers(x, seed + number)
        found.append({name: quality(x, y) for name, y in answers.items()})
        told = ", ".join(f"{name} {each.psnr:.2f}" for name, each in found[-1].items())
        print(f"{problem.name}, image {number + 1}: {told}", flush=True)
        if number in SHOWN:
            gallery = [picture(problem.given(x, seed + number), "Given")]
            gallery += [
                picture(y, f"{name}, {found[-1][name].psnr:.2f} dB") for name, y in answers.items()
            ]
            shown.append(Gallery([*gallery, picture(x, "The image")], columns=4))
    total, seconds = means(found), time.process_time() - began
    rows = [[name, f"{each.psnr:.2f}", f"{each.ssim:.4f}"] for name, each in total.items()]
    table = Table(["method", "PSNR, dB", "SSIM"], rows)
    print(table.text(), flush=True)
    protocol = f"{len(pictures)} images of {tuple(pictures[0].shape[1:])}, seed {seed}"
    records = [
        Record(f"set12/{problem.name}/{name}".replace(" ", "-"), each.psnr, "dB",
               f"{protocol}, SSIM {each.ssim:.4f}", seconds)
        for name, each in total.items()
    ]  # fmt: skip
    return Section(problem.name.capitalize(), [table, *shown]), records


def main(
    flat: str = "flat-gray", local: str = "local-gray", count: int = 8, side: int = 256,
    seed: int = 0, threads: int = 1, out: Path = RESULTS / "inverse.html", record: bool = True,
) -> None:  # fmt: skip
    """Writes the page and records the table.

    Arguments:
        flat: A grey denoiser.
        local: A grey multi-scale denoiser, for super-resolution.
        count: Samples of each image.
        side: Of the images.
        seed: Of all draws.
        threads: Threads of PyTorch.
        out: The page.
        record: Whether to append the figures to the results.
    """
    torch.set_num_threads(threads)
    one = require(checkpoint.load(flat), Denoiser, "inverse problems")
    other = require(checkpoint.load(local), MultiscaleDenoiser, "super-resolution by scales")
    parts = images(side)
    found = [
        answer(problem, parts, seed)
        for problem in (super_resolution(one, other, count), missing_pixels(one, count))
    ]
    page = Page(
        title="Images from a part of them",
        lead="Samples of what an image could be, given means of blocks or a tenth of its pixels. "
        "A sample has the sharpness of photographs; the mean of several is closer to the truth.",
        sections=[section for section, _ in found],
        colophon=f"experiments/local_inverse.py, {flat}, {local}, seed {seed}",
    )
    replace_file(out, page.html().encode())
    if record:
        rows = [row for _, each in found for row in each]
        append(RESULTS / "inverse.json", rows)
    print(out)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
