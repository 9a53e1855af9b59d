"""Integers as what mixtures see and predict: values in [0, 1], and intervals of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from imprior.distributions.frequencies import precision
from imprior.models.ride.kernels import Bins
from imprior.transforms.causal import ConditionalWhitening

Module = TypeVar("Module", bound=nn.Module)


def unit(integers: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    """The middles of the intervals [k, k + 1] / 2^bits that integers k stand for."""
    return (integers.to(dtype) + 0.5) / 2**bits


def bins(
    whitening: ConditionalWhitening,
    inputs: Tensor,
    target: Tensor,
    bounds: tuple[Tensor | int, Tensor | int],
    bits: int,
) -> Bins:
    """Integer targets as intervals of whitened outputs; the first and last take the open tails.

    Arguments:
        whitening: Of the outputs, given whitened `inputs`, (n, D).
        target: Integers, (n,).
        bounds: Smallest and largest value of each, inclusive.
        bits: Depth of the images.
    """
    low, high = bounds
    centre = whitening.outputs(inputs, unit(target, bits, inputs.dtype))
    half, floor = 0.5 * whitening.scale / 2**bits, 2.0 ** -precision(bits)
    keep = (1.0 - (high - low + 1) * floor) * torch.ones_like(centre)
    lower = torch.where(target == low, -math.inf, centre - half)
    upper = torch.where(target == high, math.inf, centre + half)
    return Bins(lower, upper, keep, torch.full_like(centre, floor))


def modules(members: Iterable[Module]) -> Sequence[Module]:
    """A `ModuleList` of which type checkers know what it holds."""
    return cast("Sequence[Module]", nn.ModuleList(members))
