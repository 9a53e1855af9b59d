r"""Stochastic ascent: images drawn from the prior that is implicit in a denoiser.

A denoiser that is blind to the noise level knows the way uphill (Miyasawa, Tweedie),

.. math:: \hat x(y) - y = \sigma^2 \nabla \log p_\sigma(y),

and how far there is to go: the length of that step measures :math:`\sigma`, the noise left in y.
Small steps uphill, with a little less new noise than they remove, lead from noise to an image.

Source: Kadkhodaie & Simoncelli (2021), Algorithm 1; Kadkhodaie, Guth, Mallat & Simoncelli (2023),
Algorithm 1, and the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imprior.inference.memory import enough_memory
from imprior.inference.schedule import Schedule, Stop

Denoise = Callable[[Tensor], Tensor]
"""The estimate of the clean images from noisy ones, (B, ...) -> (B, ...), each by itself."""


@dataclass(frozen=True)
class Iteration:
    """What a callback is told after every step.

    Attributes:
        number: t, from 1.
        y: The noisy images after the step, (B, ...).
        sigma: Their noise before the step, (B,).
        moving: Which of them took the step: those that have not stopped before, bool (B,).
    """

    number: int
    y: Tensor
    sigma: Tensor
    moving: Tensor


@dataclass(frozen=True)
class Ascent:
    """Where an ascent ended.

    Attributes:
        image: The denoised last iterate, (B, ...). Of an image that overflowed, its last finite
            iterate as it was.
        steps: How many steps each image took, int64 (B,).
        sigmas: Noise before each step, (T, B), T the most steps; NaN once an image had stopped.
        stopped: Why each image stopped.
    """

    image: Tensor
    steps: Tensor
    sigmas: Tensor
    stopped: tuple[Stop, ...]


def spawn(generator: torch.Generator, count: int) -> list[torch.Generator]:
    """A generator for each of `count` images, so that their draws do not depend on each other.

    Asking for one twice is the same as asking for two.
    """
    seeds = [int(torch.randint(2**62, (), generator=generator)) for _ in range(count)]
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@torch.no_grad()
def ascend(
    denoise: Denoise,
    start: Tensor,
    schedule: Schedule | None = None,
    *,
    generators: Sequence[torch.Generator],
    callback: Callable[[Iteration], None] | None = None,
) -> Ascent:
    r"""Algorithm 1: draws images by ascending the log-likelihood that a denoiser knows.

    .. math::
        d_t = \hat x(y_{t-1}) - y_{t-1}, \quad \sigma_t^2 = \|d_t\|^2 / N, \quad
        y_t = y_{t-1} + h_t d_t + \gamma_t z_t, \quad
        \gamma_t^2 = \left((1 - \beta h_t)^2 - (1 - h_t)^2\right) \sigma_t^2

    Every image of the batch has its own noise level and stops by itself; it then rests while the
    others go on, so `denoise` always gets the whole batch. What it closes over may differ from
    image to image: `lambda details: conditional(low, details)` draws wavelet details given low.

    Arguments:
        denoise: Blind denoiser of the state, of any shape, for which batches are only batches.
        start: Mean of the first iterate, floats (B, ...); 0 as published, which suits details
            but not images, see `sample_prior`.
        schedule: Step sizes, noise levels and stopping rule; as published by default.
        generators: One for each image, see `spawn`; on the CPU its draws are the same for every
            device that the images are on.
        callback: Is told of every iteration.

    Raises:
        ValueError: If start, generators and what `denoise` returns do not fit together.
        MemoryError: If the denoiser runs out of memory.

    Source: Kadkhodaie & Simoncelli (2021); Kadkhodaie et al. (2023), whose code has the rule
    "snr". Ours is batched.
    """
    schedule = schedule or Schedule()
    _check(start, generators)
    stopped: list[Stop | None] = [None] * len(start)
    sigmas: list[Tensor] = []
    steps = torch.zeros(len(start), dtype=torch.int64)
    moving = torch.ones(len(start), dtype=torch.bool)
    y = start + schedule.sigma0 * _noise(start, generators, moving)
    while moving.any() and len(sigmas) < schedule.max_steps:
        t = len(sigmas) + 1
        d = _denoised(denoise, y) - y
        sigma = d.flatten(1).square().mean(1).sqrt()
        noise = _noise(y, generators, moving) * _column(sigma, y)
        ahead = y + schedule.step_size(t) * d + schedule.noise_gain(t) * noise
        reasons = schedule.stop(ahead, sigma)
        goes = moving & torch.tensor([reason != "not_finite" for reason in reasons])
        y, steps = torch.where(_column(goes.to(y.device), y), ahead, y), steps + goes
        sigmas.append(torch.where(moving, sigma.cpu(), torch.nan))
        if callback is not None:
            callback(Iteration(t, y, sigmas[-1], moving))
        stopped = [old or new for old, new in zip(stopped, reasons, strict=True)]
        moving = torch.tensor([reason is None for reason in stopped])
    trace = torch.stack(sigmas) if sigmas else torch.empty(0, len(y))
    ends = tuple(reason or "max_steps" for reason in stopped)
    return Ascent(_last(denoise, y, ends), steps, trace, ends)


def _last(denoise: Denoise, y: Tensor, stopped: Sequence[Stop]) -> Tensor:
    overflowed = torch.tensor([reason == "not_finite" for reason in stopped], device=y.device)
    return torch.where(_column(overflowed, y), y, _denoised(denoise, y))


def _check(start: Tensor, generators: Sequence[torch.Generator]) -> None:
    if not start.is_floating_point() or start.dim() < 2 or not start.isfinite().all():
        raise ValueError(
            "an ascent starts from finite floats of shape (B, ...), "
            f"got {start.dtype} of shape {tuple(start.shape)}, or values that are not finite"
        )
    if len(generators) != len(start):
        raise ValueError(f"{len(start)} images need as many generators, got {len(generators)}")


def _denoised(denoise: Denoise, y: Tensor) -> Tensor:
    with enough_memory(f"draw images of {' x '.join(map(str, y.shape[2:]))} at once"):
        x = denoise(y)
    if x.shape != y.shape:
        raise ValueError(f"the denoiser made {tuple(x.shape)} of a state of {tuple(y.shape)}")
    return x


def _noise(like: Tensor, generators: Sequence[torch.Generator], moving: Tensor) -> Tensor:
    """White noise, each image's from its own generator; those that rest draw none."""
    noise = torch.zeros(like.shape, dtype=like.dtype)
    for image, generator, moves in zip(noise, generators, moving.tolist(), strict=True):
        if moves:
            shape, device = like.shape[1:], generator.device
            image.copy_(torch.randn(shape, generator=generator, dtype=like.dtype, device=device))
    return noise.to(like.device)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """One value for each image, (B,) -> (B, 1, ...)."""
    return values.view(-1, *[1] * (like.dim() - 1))
