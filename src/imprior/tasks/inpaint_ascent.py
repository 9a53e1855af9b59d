"""Holes in images, filled by the stochastic ascent of a denoiser.

Source: Kadkhodaie & Simoncelli (2021), Algorithm 2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from imprior.base import ImageModel, require
from imprior.data.images import Image, to_float, to_int
from imprior.denoisers import Denoiser
from imprior.inference import tiled
from imprior.inference.ascent import Iteration
from imprior.inference.operators import Mask
from imprior.inference.posterior import PATIENT, solve
from imprior.inference.schedule import OVERFLOW, TROUBLE, Schedule, Stop
from imprior.tasks.denoise import takes_each_channel
from imprior.tasks.filling import Stage, check_hole
from imprior.tasks.holes import around
from imprior.tasks.inpaint import MARGIN
from imprior.tasks.sample import stream

MOST_MARGIN = 96
"""Known pixels around the hole that denoisers see at most, however large their fields are."""


@dataclass(frozen=True)
class Ascending:
    """How a denoiser fills a hole: it draws from its prior given the known pixels.

    Attributes:
        schedule: Of the ascent. By default it begins with noise as strong as images are, as
            published, also where the denoiser learnt from less: one without biases scales, and
            the weaker the noise, the more of the empty hole shows through.
    """

    schedule: Schedule = PATIENT
    method: ClassVar[str] = "ascent"

    @property
    def attempt(self) -> type[Ascended]:
        """What its fillings are."""
        return Ascended

    def attempts(
        self,
        model: ImageModel,
        image: Image,
        hole: Tensor,
        *,
        seed: int,
        index: int,
        going_on: Ascended | None,
        tell: Callable[[Stage], object],
    ) -> Iterator[Ascended]:
        """A single one, for a model on any device; see `Method`."""
        denoiser = require(model, Denoiser, "inpainting by the method 'ascent'")
        options = {"seed": seed, "index": index}
        done = going_on or ascend_into(
            denoiser, image, hole, self.schedule, watch=partial(self._watch, tell), **options
        )
        yield done
        told = f"{max(done.steps)} steps, noise {max(done.noise):.3f}: {', '.join(done.stopped)}"
        tell(Stage(1.0, told))

    def _watch(self, tell: Callable[[Stage], object], at: Iteration) -> None:
        sigma, schedule = float(at.sigma[at.moving].amax()), self.schedule
        share = 0.0
        if 0 < sigma < math.inf:
            whole = math.log(schedule.sigma0 / schedule.sigma_end)
            share = math.log(schedule.sigma0 / sigma) / whole
        text = f"step {at.number}: noise {sigma:.3f}"
        tell(Stage(min(max(share, 0.0), 1.0), text, notable=False))

    def notes(self, model: ImageModel, image: Image, done: Ascended) -> list[str]:
        """Whether channels were filled one by one, and what went wrong."""
        each = takes_each_channel(require(model, Denoiser, "ascent"), len(_colours(image)))
        told = ["a model of grey images: each channel was filled by itself"] if each else []
        return told + [TROUBLE[why] for why in dict.fromkeys(done.stopped) if why in TROUBLE]

    def record(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return {"method": self.method, "schedule": asdict(self.schedule)}


@dataclass(frozen=True, eq=False)
class Ascended:
    """One filling by ascent; there are N of it where a model takes channel by channel, else 1.

    Attributes:
        x: The part of the image around the hole (`around`, `MARGIN`), int64 (C, h, w).
        sigmas: Noise before each step, (T, N); NaN once a channel had stopped.
        stopped: Why each of them stopped.
        seconds: How long it took.
    """

    x: Tensor
    sigmas: Tensor
    stopped: tuple[Stop, ...]
    seconds: float

    likeliest: ClassVar[None] = None
    """A denoiser tells no probability."""

    @property
    def steps(self) -> list[int]:
        """How many each took."""
        return [int(count) for count in self.sigmas.isfinite().sum(0)]

    @property
    def noise(self) -> list[float]:
        """What was left before the last step, in units of the range of images."""
        return [float(self.sigmas[count - 1, n]) for n, count in enumerate(self.steps)]

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        ends = {"steps": self.steps, "stopped": list(self.stopped), "sigma": self.noise}
        return ends | {"seconds": self.seconds}


def ascend_into(
    model: Denoiser,
    image: Image,
    hole: Tensor,
    schedule: Schedule,
    *,
    seed: int = 0,
    index: int = 0,
    watch: Callable[[Iteration], None] = lambda _: None,
) -> Ascended:
    """Fills a hole with what a denoiser draws given the known pixels; opacity stays.

    Arguments:
        model: Of the colours of the image, or of one channel: then each is filled by itself.
        image: What is in the hole is not looked at; of any depth.
        hole: Which pixels are missing, bool (H, W): some, not all.
        schedule: Of the ascent.
        seed, index: Filling 3 of seed 0 is the same however many are made.
        watch: Is told of every iteration.

    Raises:
        ValueError: If model, image and hole do not fit together, or values overflowed.
    """
    check_hole(image, hole)
    started = time.perf_counter()
    each = takes_each_channel(model, len(_colours(image)))
    region = around(hole, margin_of(model))
    weights = next(model.parameters(), torch.empty(0))
    values = to_float(_colours(image)[:, *region], image.bits, weights.dtype)
    images = values[:, None] if each else values[None]
    known = Mask((~hole[region]).expand(images.shape[1:]))
    sigmas: list[Tensor] = []

    def note(at: Iteration) -> None:
        sigmas.append(at.sigma)
        watch(at)

    solved = solve(
        partial(tiled.denoise, model), known, known.apply(images), schedule,
        generator=stream(seed, index), batch_size=len(images), callback=note,
    )  # fmt: skip
    (stopped,) = solved.stopped
    if "not_finite" in stopped:
        raise ValueError(f"values overflowed: {OVERFLOW}")
    drawn = to_int(solved.images[0].reshape(values.shape), image.bits)
    part = around(hole, MARGIN)
    x = image.pixels[:, *part].clone()
    x[: len(drawn), hole[part]] = drawn[:, hole[region]]
    return Ascended(x, torch.stack(sigmas), stopped, time.perf_counter() - started)


def margin_of(model: Denoiser) -> int:
    """Known pixels around the hole that a denoiser sees."""
    return min(max(MARGIN, model.halo), MOST_MARGIN)


def _colours(image: Image) -> Tensor:
    return image.pixels[: len(image.pixels) - image.alpha]
