"""Images drawn from models that are denoisers: at one scale, or coarse to fine.

Source: Kadkhodaie & Simoncelli (2021), Algorithm 1; Kadkhodaie, Guth, Mallat & Simoncelli (2023),
Algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from imprior.denoisers import Denoiser, MultiscaleDenoiser
from imprior.inference import tiled
from imprior.inference.ascent import Ascent, Iteration, ascend
from imprior.inference.cascade import Scale, cascade
from imprior.inference.schedule import OVERFLOW, TROUBLE, Schedule

MIDDLE = 0.5  # where images begin: a bias-free network begun at black ends with next to no contrast


@dataclass(frozen=True)
class Moment:
    """How far the drawing of an image is.

    Attributes:
        scale: That is being drawn: 0 for the finest details; the number of scales of details for
            the image that these begin with.
        iteration: Of its ascent, from 1.
        sigma: The noise that was left before it, in units of the images.
        trouble: What is wrong with how the scale ended; told once, after its last iteration.
    """

    scale: int
    iteration: int
    sigma: float
    trouble: str = ""


Watch = Callable[[Moment], object]


def unwatched(_: Moment) -> None:
    """Is told of moments and does nothing."""


def check_scales(model: MultiscaleDenoiser, count: int) -> None:
    """Raises ValueError unless a model has so many scales of details, at least 1."""
    if not 1 <= count <= model.num_scales:
        raise ValueError(
            f"the model has {model.num_scales} scales of details, which make images up to "
            f"{2**model.num_scales} times as large; got a scale of {2**count}"
        )


def enlarge(
    model: MultiscaleDenoiser,
    low: Tensor,
    count: int,
    *,
    generator: torch.Generator,
    watch: Watch = unwatched,
) -> Tensor:
    """Draws the details of the `count` finest scales, given an image as their low-pass.

    Arguments:
        low: Floats (1, C, h, w), in the range of images.
        count: How many scales, at least 1 and at most all.
        generator: Where the randomness comes from.
        watch: Is told of every iteration.

    Returns:
        An image (1, C, 2^count h, 2^count w), whose low-pass image is `low`.

    Raises:
        ValueError: If the model has fewer scales, shapes do not fit, or a value overflowed.
    """
    check_scales(model, count)
    levels = list(reversed(range(count)))
    scales = [_scale(model, level, low) for level in levels]

    def tell(number: int, at: Iteration) -> None:
        watch(_moment(levels[number], at))

    drawn = cascade(low, scales, model.join, generators=[generator], callback=tell)
    for level, details in zip(levels, drawn.details, strict=True):
        _judge(details, level, watch)
    return drawn.image


def synthesize(
    model: Denoiser,
    size: tuple[int, int],
    *,
    generator: torch.Generator,
    watch: Watch = unwatched,
) -> Tensor:
    """Draws an image of which nothing is known; of a model of scales, the coarsest image first.

    Arguments:
        size: Height and width, at least 1. A model of scales draws whole pixels of its coarsest
            image; what they have too much is cut off.
        generator: Where the randomness comes from.
        watch: Is told of every iteration.

    Returns:
        Floats (1, C, H, W), about in [0, 1].

    Raises:
        ValueError: If a value overflowed.
    """
    if not isinstance(model, MultiscaleDenoiser):
        return _begin(model, size, generator, watch, scale=0)
    count = model.num_scales
    small = -(-size[0] // 2**count), -(-size[1] // 2**count)
    low = _begin(model.low, small, generator, watch, scale=count)
    image = enlarge(model, low, count, generator=generator, watch=watch)
    return image[..., : size[0], : size[1]]


def _begin(
    model: Denoiser, size: tuple[int, int], generator: torch.Generator, watch: Watch, scale: int
) -> Tensor:
    """Draws an image from a denoiser of whole images.

    As published it begins with noise of 1, above what some denoisers learnt from: less than what
    is bright and dark in images would end in blank ones, and bias-free networks know what to do.
    """
    weights = next(model.parameters(), torch.empty(0))
    start = weights.new_full((1, model.channels, *size), MIDDLE)

    def tell(at: Iteration) -> None:
        watch(_moment(scale, at))

    drawn = ascend(
        partial(tiled.denoise, model), start, Schedule(), generators=[generator], callback=tell
    )
    _judge(drawn, scale, watch)
    return drawn.image


def _scale(model: MultiscaleDenoiser, level: int, like: Tensor) -> Scale:
    """A level as an algorithm takes it; `like` is any image of the model."""

    def denoise(low: Tensor, noisy: Tensor) -> Tensor:
        return tiled.denoise(model.given(low, level), noisy)

    return Scale(denoise, Schedule(sigma0=model.given(like, level).largest_noise))


def _moment(scale: int, at: Iteration) -> Moment:
    return Moment(scale, at.number, float(at.sigma[0]))


def _judge(ended: Ascent, scale: int, watch: Watch) -> None:
    """Tells what is wrong with how an image ended; raises ValueError if it is no image."""
    (why,) = ended.stopped
    if why == "not_finite":
        raise ValueError(f"values overflowed at scale {scale}: {OVERFLOW}")
    if why in TROUBLE:
        watch(Moment(scale, int(ended.steps[0]), float(ended.sigmas[-1, 0]), TROUBLE[why]))
