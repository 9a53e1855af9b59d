"""Larger images, drawn from what a model thinks the given ones could be."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from imprior.base import ExactModel, Multiscale, Sampler, require
from imprior.inference.walk import draw
from imprior.tasks.sample import stream


@torch.no_grad()
def upscale(
    model: Multiscale,
    coarse: Tensor,
    factor: int,
    num: int = 1,
    *,
    seed: int = 0,
    temperature: float = 1.0,
) -> Iterator[Tensor]:
    """Draws the detail of ever finer levels for a given image, one result after another.

    `model.split` takes each result back to the image that was given: of a pyramid of pixels, all
    given values are in the result, bit for bit.

    Arguments:
        model: On any device; for a temperature other than 1, its details are exact models.
        coarse: The image, int64 (C, H, W).
        factor: How many times as high and wide the results are: 2, 4, 8, ...
        num: How many, at least 1.
        seed: At least 0. Each result has a random stream of its own: number 3 of seed 0 is the
            same however many are drawn.
        temperature: As in `inference.walk.draw`.

    Yields:
        Images, int64 (C, factor H, factor W), on the CPU.

    Raises:
        ValueError: If an argument is out of range, or the model cannot do it.
    """
    check_arguments(factor, num, seed, temperature)
    model.check(coarse[None])
    start = coarse[None].to(next(model.parameters(), coarse).device)
    *levels, coarsest = range(factor.bit_length() - 1)
    first = model.given(start, coarsest)  # what it finds out of the image serves all samples
    for index in range(num):
        generator = stream(seed, index)
        x = model.join(start, _detail(first, start, generator, temperature))
        for level in reversed(levels):
            x = model.join(x, _detail(model.given(x, level), x, generator, temperature))
        yield x[0].cpu()


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


def _detail(
    model: Sampler, coarse: Tensor, generator: torch.Generator, temperature: float
) -> Tensor:
    size = coarse.shape[2:]
    if temperature == 1 and not isinstance(model, ExactModel):
        return model.sample((1, *size), generator=generator).to(coarse.device)
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
