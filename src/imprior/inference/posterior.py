"""Draws from a prior that a denoiser knows, also given linear measurements; mean and spread.

Source: Kadkhodaie & Simoncelli (2021), Algorithm 2 for the measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from imprior.inference.ascent import Denoise, Iteration, ascend, spawn
from imprior.inference.operators import Operator, Shape, check_adjoint
from imprior.inference.schedule import Schedule, Stop

PATIENT = Schedule(beta=0.01)
"""The published schedule of inverse problems: more noise is put back, so that measurements have the
time to tell. Given a tenth of an image's pixels at random, draws are 2 dB closer to it than with a
beta of 0.1, in about twice as many steps."""


class Drawn(Protocol):
    """What an algorithm drew: images, and why each stopped; an `Ascent`, a `Cascade`."""

    @property
    def image(self) -> Tensor:
        """Images (B, ...)."""
        ...

    @property
    def stopped(self) -> tuple[Stop, ...]:
        """Why each image stopped."""
        ...


Draw = Callable[[Tensor, Sequence[torch.Generator]], Drawn]
"""Draws one image for each of what is given, (B, ...), each from its own generator."""


@dataclass(frozen=True)
class Samples:
    """Several draws of each image.

    Attributes:
        images: (S, B, C, H, W), S draws of each of B images.
        stopped: Why each of them stopped, S tuples of B.
    """

    images: Tensor
    stopped: tuple[tuple[Stop, ...], ...]

    @property
    def mean(self) -> Tensor:
        """The mean of the draws, (B, C, H, W): of a posterior, the least-squares estimate."""
        return self.images.mean(0)

    @property
    def std(self) -> Tensor:
        """Standard deviation of the draws, value by value, (B, C, H, W).

        Raises:
            ValueError: If there is one draw only.
        """
        if len(self.images) < 2:
            raise ValueError("the spread of samples needs at least 2 of them, got 1")
        return self.images.std(0)


def draw_samples(
    draw: Draw,
    given: Tensor,
    count: int,
    *,
    generator: torch.Generator,
    batch_size: int = 8,
) -> Samples:
    """Draws several images for each of what is given: measurements, low-pass images, starts.

    Arguments:
        draw: One image for each given; `ascend` or `cascade` with the rest filled in.
        given: (B, ...).
        count: Draws of each, at least 1. More of them begin with the same ones.
        generator: Where the randomness comes from; every image gets a generator of its own.
        batch_size: Images at a time; it changes nothing but memory and speed.

    Raises:
        ValueError: If `count` or `batch_size` is less than 1, or nothing is given.
    """
    if count < 1 or batch_size < 1 or not len(given):
        raise ValueError(
            "samples need a count, a batch size and something given, at least 1 of each, "
            f"got {count}, {batch_size} and {len(given)}"
        )
    generators = spawn(generator, count * len(given))
    rows = torch.arange(len(given), device=given.device).repeat(count)
    images: list[Tensor] = []
    stopped: list[Stop] = []
    for first in range(0, len(rows), batch_size):
        part = slice(first, first + batch_size)
        drawn = draw(given[rows[part]], generators[part])
        images.append(drawn.image)
        stopped += drawn.stopped
    ends = zip(*[iter(stopped)] * len(given), strict=True)
    return Samples(torch.cat(images).unflatten(0, (count, len(given))), tuple(ends))


def sample_prior(
    denoise: Denoise,
    shape: Shape,
    schedule: Schedule | None = None,
    *,
    count: int = 1,
    center: float = 0.5,
    generator: torch.Generator,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
    callback: Callable[[Iteration], None] | None = None,
) -> Samples:
    """Draws images of which nothing is known.

    Arguments:
        shape: (C, H, W) of an image.
        center: Mean of the first iterate. Denoisers without biases scale with their input: begun
            at 0, as published, an image ends with next to no contrast and must be stretched.
        device: Where the images are, and the denoiser.
        denoise, count, generator, batch_size, callback: As in `solve`.
        schedule: Of the ascent.

    Returns:
        `Samples` with images of shape (count, 1, C, H, W), float32.

    Raises:
        ValueError: If `count` or `batch_size` is less than 1, or shapes do not fit.
    """

    def draw(start: Tensor, generators: Sequence[torch.Generator]) -> Drawn:
        return ascend(denoise, start, schedule, generators=generators, callback=callback)

    start = torch.full((1, *shape), center, device=device)
    return draw_samples(draw, start, count, generator=generator, batch_size=batch_size)


def constrained(denoise: Denoise, operator: Operator, measured: Tensor) -> Denoise:
    r"""The denoiser that knows measurements: denoised images, moved to those that have them.

    With residual :math:`f(y) = \hat x(y) - y` its step is that of the paper,

    .. math:: \hat x(y) + A^T (m - A \hat x(y)) - y = (I - A^T A) f(y) + A^T (m - A y),

    uphill in what is not measured and straight towards the measurement in what is.
    """
    return lambda y: operator.enforce(denoise(y), measured)


def solve(
    denoise: Denoise,
    operator: Operator,
    measured: Tensor,
    schedule: Schedule | None = None,
    *,
    count: int = 1,
    center: float = 0.5,
    generator: torch.Generator,
    batch_size: int = 8,
    callback: Callable[[Iteration], None] | None = None,
) -> Samples:
    r"""Draws images that have given measurements and are probable: a linear inverse problem.

    The ascent starts at :math:`A^T m + (I - A^T A) c` with noise, and all images that did not
    overflow have the measurement when it ends, up to rounding.

    Arguments:
        denoise: Blind denoiser of images (B, C, H, W).
        operator: What is measured; it is checked first (`check_adjoint`).
        measured: Measurements m without noise, floats (B, ...), as `operator.apply` gives them.
        schedule: Of the ascent; `PATIENT` by default.
        count: How many draws for each measurement.
        center: c, where unmeasured values start; the middle of their range.
        generator: Where the randomness comes from.
        batch_size: Images at a time.
        callback: Is told of every iteration of every batch.

    Raises:
        ValueError: If the operator is not a measurement with orthonormal rows, or the
            measurements are not of its shape or not finite.

    Source: Kadkhodaie & Simoncelli (2021), Algorithm 2, Sec. 4. The published code denoises the
    last iterate without the measurement; ours with it.
    """
    _check(operator, measured)

    def draw(m: Tensor, generators: Sequence[torch.Generator]) -> Drawn:
        middle = torch.full((len(m), *operator.shape), center, dtype=_real(m), device=m.device)
        knowing, start = constrained(denoise, operator, m), operator.enforce(middle, m)
        how = schedule or PATIENT
        return ascend(knowing, start, how, generators=generators, callback=callback)

    return draw_samples(draw, measured, count, generator=generator, batch_size=batch_size)


def _real(measured: Tensor) -> torch.dtype:
    return measured.real.dtype


def _check(operator: Operator, measured: Tensor) -> None:
    if not (measured.is_floating_point() or measured.is_complex()) or not measured.isfinite().all():
        raise ValueError(f"measurements are finite floats, got {measured.dtype} or NaN or infinity")
    check_adjoint(operator, dtype=_real(measured), device=measured.device)
    image = torch.zeros(1, *operator.shape, dtype=_real(measured), device=measured.device)
    expected = operator.apply(image).shape[1:]
    if measured.shape[1:] != expected:
        raise ValueError(
            f"{operator!r} gives measurements (B, {', '.join(map(str, expected))}), "
            f"got {tuple(measured.shape)}"
        )
