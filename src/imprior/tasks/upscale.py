"""Larger images, drawn from what a model thinks the given ones could be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from imprior.base import ExactModel, ImageModel, Multiscale, Sampler, require
from imprior.denoisers import MultiscaleDenoiser
from imprior.inference.expectation import expect_enlarged
from imprior.inference.synthesis import Watch, check_scales, enlarge, unwatched
from imprior.inference.walk import draw
from imprior.tasks.sample import check_temperature, stream
from imprior.tasks.values import to_pixels, to_values


@torch.no_grad()
def upscale(
    model: Multiscale,
    coarse: Tensor,
    factor: int,
    num: int = 1,
    *,
    bits: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    watch: Watch = unwatched,
) -> Iterator[Tensor]:
    """Draws the detail of ever finer levels for a given image, one result after another.

    `model.split` takes each result back to the image that was given: of a pyramid of pixels, all
    given values are in the result, bit for bit; of a model of floats, up to rounding.

    Arguments:
        model: On any device; for a temperature other than 1, its details are exact models.
        coarse: The image, int64 (C, H, W).
        factor: How many times as high and wide the results are: 2, 4, 8, ...
        num: How many, at least 1.
        bits: Depth of the image; a model of integers knows it.
        seed: At least 0. Each result has a random stream of its own: number 3 of seed 0 is the
            same however many are drawn.
        temperature: As in `inference.walk.draw`.
        watch: Is told of every iteration where details are drawn by ascent.

    Yields:
        Images, int64 (C, factor H, factor W), on the CPU.

    Raises:
        ValueError: If an argument is out of range, or the model cannot do it.
    """
    check_arguments(factor, num, seed, temperature)
    check_model(model, factor, temperature)
    start, depth = _start(model, coarse, bits)
    count = factor.bit_length() - 1
    draws = (
        _ascending(model, start, count, watch)
        if isinstance(model, MultiscaleDenoiser)
        else _sampling(model, start, count, temperature)
    )
    for index in range(num):
        yield to_pixels(model, draws(stream(seed, index)), depth)


@torch.no_grad()
def expected(
    model: Multiscale, coarse: Tensor, factor: int, *, bits: int | None = None, seed: int = 0
) -> Tensor:
    """The larger image with the least expected squared error: smooth where nobody can know.

    Arguments:
        model, coarse, factor, bits: As in `upscale`.
        seed: Of noise that hardly matters, see `inference.expectation.expect`.

    Returns:
        int64 (C, factor H, factor W), on the CPU.

    Raises:
        ValueError: If an argument is out of range, or the model is no denoiser.
    """
    check_arguments(factor, 1, seed, 1.0)
    denoiser = check_mean(model)
    check_model(model, factor, 1.0)
    start, depth = _start(model, coarse, bits)
    count = factor.bit_length() - 1
    x = expect_enlarged(denoiser, start, count, generator=stream(seed, 0))
    return to_pixels(model, x, depth)


def check_arguments(factor: int, num: int, seed: int, temperature: float) -> None:
    """Raises ValueError unless these are what `upscale` takes."""
    if factor < 2 or factor.bit_count() != 1:
        raise ValueError(f"the scale is a power of 2, such as 2, 4 or 8; got {factor}")
    if num < 1:
        raise ValueError(f"the number of samples must be at least 1, got {num}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be at least 0 and finite, got {temperature}")


def check_model(model: ImageModel, factor: int, temperature: float) -> None:
    """Raises ValueError if a denoiser has too few scales, or is asked for a temperature."""
    if isinstance(model, MultiscaleDenoiser):
        check_scales(model, factor.bit_length() - 1)
        check_temperature(temperature)


def check_mean(model: ImageModel) -> MultiscaleDenoiser:
    """The model, if it has a least-squares answer; else raises ValueError."""
    if isinstance(model, MultiscaleDenoiser):
        return model
    raise ValueError(
        f"{type(model).__name__} draws details and does not tell their mean: without --mean, "
        "--samples 8 writes the mean of several draws"
    )


def _start(model: Multiscale, coarse: Tensor, bits: int | None) -> tuple[Tensor, int]:
    """The given image as the model takes it, and its depth."""
    depth = bits if model.bits is None else model.bits
    if depth is None:
        raise ValueError(f"{type(model).__name__} takes floats: say the depth of the image, bits")
    start = to_values(model, coarse, depth)
    model.check(start)
    return start, depth


Draw = Callable[[torch.Generator], Tensor]


def _ascending(model: MultiscaleDenoiser, start: Tensor, count: int, watch: Watch) -> Draw:
    return lambda generator: enlarge(model, start, count, generator=generator, watch=watch)


def _sampling(model: Multiscale, start: Tensor, count: int, temperature: float) -> Draw:
    *levels, coarsest = range(count)
    first = model.given(start, coarsest)  # what it finds out of the image serves all samples

    def of(generator: torch.Generator) -> Tensor:
        x = model.join(start, _detail(first, start, generator, temperature))
        for level in reversed(levels):
            x = model.join(x, _detail(model.given(x, level), x, generator, temperature))
        return x

    return of


def _detail(
    model: ImageModel, coarse: Tensor, generator: torch.Generator, temperature: float
) -> Tensor:
    size = coarse.shape[2:]
    if temperature == 1 and not isinstance(model, ExactModel):
        sampler = require(model, Sampler, "up-scaling")
        return sampler.sample((1, *size), generator=generator).to(coarse.device)
    exact = require(model, ExactModel, "up-scaling at a temperature")
    canvas = coarse.new_zeros(1, model.channels, *size)
    known = torch.zeros(1, *size, dtype=torch.bool, device=coarse.device)
    return draw(exact, canvas, known, generator=generator, temperature=temperature)


class Spread:
    """Mean and standard deviation of samples, of which none is kept.

    Sums are integers: nothing is rounded, whatever the order of the samples.
    """

    def __init__(self) -> None:
        self.num = 0
        self._sum = self._squares = torch.zeros((), dtype=torch.int64)

    def add(self, x: Tensor) -> None:
        """Takes account of a sample, int64, of the same shape as the others."""
        self.num += 1
        self._sum = self._sum + x
        self._squares = self._squares + x.square()

    @property
    def mean(self) -> Tensor:
        """The mean of each value, float64."""
        return self._sum.double() / self.num

    @property
    def deviation(self) -> Tensor:
        r"""The standard deviation of each value in grey levels, float64.

        .. math:: \sqrt{\frac{n \sum x^2 - (\sum x)^2}{n (n - 1)}}

        Raises:
            ValueError: If there are fewer than 2 samples.
        """
        if self.num < 2:
            raise ValueError(f"a standard deviation takes at least 2 samples, got {self.num}")
        scaled = self.num * self._squares - self._sum.square()
        return (scaled.double() / (self.num * (self.num - 1))).sqrt()
