"""Algorithm 2 of the multi-scale models: details are drawn scale by scale, given what is coarser.

Source: Kadkhodaie, Guth, Mallat & Simoncelli (2023), Algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from imprior.inference.ascent import Ascent, Iteration, ascend
from imprior.inference.schedule import Schedule, Stop

Synthesize = Callable[[Tensor, Tensor], Tensor]
"""Low-pass images and their details -> images of twice the size."""


@dataclass(frozen=True)
class Scale:
    """One scale: the prior of details given the low-pass image, and how to draw from it.

    Attributes:
        denoise: Low-pass images (B, C, h, w) and noisy details (B, 3 C, h, w) -> details.
        schedule: Of the ascent.
    """

    denoise: Callable[[Tensor, Tensor], Tensor]
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True)
class Cascade:
    """What a cascade drew.

    Attributes:
        image: The images of the finest scale, (B, C, H, W).
        scales: The images of all scales, the given ones first.
        details: The ascent of each scale's details, the coarsest first.
    """

    image: Tensor
    scales: tuple[Tensor, ...]
    details: tuple[Ascent, ...]

    @property
    def stopped(self) -> tuple[Stop, ...]:
        """Why each image stopped: "converged", or what went wrong at the coarsest such scale."""
        ends = zip(*(ascent.stopped for ascent in self.details), strict=True)
        return tuple(next((end for end in each if end != "converged"), each[0]) for each in ends)


def cascade(
    low: Tensor,
    scales: Sequence[Scale],
    synthesize: Synthesize,
    *,
    generators: Sequence[torch.Generator],
    callback: Callable[[int, Iteration], None] | None = None,
) -> Cascade:
    r"""Algorithm 2: draws the details of one scale after the other.

    .. math:: p(x) = p(x_J) \prod_{j=J}^{1} p(\bar x_j \mid x_j), \quad
        x_{j-1} = \text{synthesize}(x_j, \bar x_j)

    Given an image as `low` that is super-resolution by 2^J; given a draw from the prior of
    low-pass images (`ascend` with the global denoiser) it is synthesis.

    Arguments:
        low: Coarsest images, floats (B, C, h, w), in the range of the model.
        scales: The coarsest first.
        synthesize: One step of the inverse wavelet transform.
        generators: One for each image, see `spawn`; scales draw from it one after the other.
        callback: Is told of every iteration of every scale, counted from 0, the coarsest.

    Raises:
        ValueError: If there are no scales, or shapes do not fit.

    Source: Kadkhodaie et al. (2023), Algorithm 2. Their code rescales a drawn low-pass image to a
    fixed range; a draw of ours stays as it is.
    """
    if not scales or low.dim() != 4:
        raise ValueError(
            "a cascade needs scales and low-pass images (B, C, h, w), "
            f"got {len(scales)} scales and {tuple(low.shape)}"
        )
    images, details = [low], []
    for number, scale in enumerate(scales):
        ascent = _details(images[-1], scale, generators, _named(callback, number))
        details.append(ascent)
        images.append(synthesize(images[-1], ascent.image))
    return Cascade(images[-1], tuple(images), tuple(details))


def _details(
    low: Tensor,
    scale: Scale,
    generators: Sequence[torch.Generator],
    callback: Callable[[Iteration], None] | None,
) -> Ascent:
    batch, channels, height, width = low.shape
    start = low.new_zeros(batch, 3 * channels, height, width)
    return ascend(
        lambda noisy: scale.denoise(low, noisy),
        start,
        scale.schedule,
        generators=generators,
        callback=callback,
    )


def _named(
    callback: Callable[[int, Iteration], None] | None, number: int
) -> Callable[[Iteration], None] | None:
    return None if callback is None else lambda iteration: callback(number, iteration)
