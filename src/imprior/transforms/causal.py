"""Causal neighbourhoods of pixels, and the linear map that whitens them.

A canvas of planes is padded once; after that the context of every pixel is a gather with the
same offsets, and the parallel pass and the walk read the same values. The padding never shows a
pixel its future:

- right of a row stands the row's last value;
- left of row y stands the first value of row y - 1 (of row 0, its own first);
- above row 0 stands row 0, below the last row the last.

Only contexts in row 0 would then look ahead: there, whatever lies above is replaced by the left
neighbour. Pixel (0, 0) has no context at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Indices = NDArray[np.int64]
Offset = tuple[int, int, int]
"""Plane, rows down and columns right of the pixel."""


def causal_window(rows: int, columns: int, radius: float = math.inf) -> list[tuple[int, int]]:
    """Offsets (dy, dx) of the pixels before a pixel in reading order.

    Arguments:
        rows: How many rows above.
        columns: How many columns to the left and, in the rows above, to the right.
        radius: Largest Euclidean distance; cuts the corners of the rectangle.

    Example:
        >>> causal_window(1, 1)
        [(-1, -1), (-1, 0), (-1, 1), (0, -1)]
        >>> len(causal_window(4, 4))  # the published neighbourhood
        40
    """
    above = [(dy, dx) for dy in range(-rows, 0) for dx in range(-columns, columns + 1)]
    left = [(0, dx) for dx in range(-columns, 0)]
    return [(dy, dx) for dy, dx in above + left if math.hypot(dy, dx) <= radius]


def full_window(radius: float) -> list[tuple[int, int]]:
    """Offsets of all pixels within a Euclidean distance; nothing if `radius` is negative."""
    reach = range(-math.floor(radius), math.floor(radius) + 1) if radius >= 0 else range(0)
    return [(dy, dx) for dy in reach for dx in reach if math.hypot(dy, dx) <= radius]


@dataclass(frozen=True)
class Context:
    """What one plane conditions on: offsets into the padded canvas.

    Attributes:
        plane: The plane to predict.
        offsets: Plane, dy and dx of every input.
        causal: Whether the input's plane is known only up to the current pixel.
    """

    plane: int
    offsets: tuple[Offset, ...]
    causal: tuple[bool, ...]

    @property
    def reach(self) -> int:
        """Pixels of padding that the offsets need."""
        return max((max(abs(dy), abs(dx)) for _, dy, dx in self.offsets), default=0)

    def first_row(self) -> tuple[Offset, ...]:
        """The offsets to use in row 0: what lies above is the left neighbour instead."""
        pairs = zip(self.offsets, self.causal, strict=True)
        return tuple(
            (p, 0, -1) if known and dy < 0 else (p, dy, dx) for (p, dy, dx), known in pairs
        )


def pad(planes: Tensor, reach: int) -> Tensor:
    """Pads planes (..., H, W) by `reach` on every side, as this module's head says."""
    *lead, height, width = planes.shape
    padded = planes.new_empty(*lead, height + 2 * reach, width + 2 * reach)
    middle = slice(reach, reach + height)
    padded[..., middle, reach : reach + width] = planes
    padded[..., middle, reach + width :] = planes[..., -1:]
    first = planes[..., :1]
    padded[..., middle, :reach] = torch.cat([first[..., :1, :], first[..., :-1, :]], -2)
    padded[..., :reach, :] = padded[..., reach : reach + 1, :]
    padded[..., reach + height :, :] = padded[..., reach + height - 1 : reach + height, :]
    return padded


def flat_offsets(offsets: tuple[Offset, ...], shape: tuple[int, int, int]) -> Tensor:
    """Offsets as steps in the flattened padded planes of shape (C, H', W'), int64 (D,)."""
    _, height, width = shape
    return torch.tensor([(p * height + dy) * width + dx for p, dy, dx in offsets]).long()


def gather(
    padded: Tensor,
    reach: int,
    context: Context,
    y: Tensor,
    x: Tensor,
    image: Tensor | int = 0,
) -> Tensor:
    """Contexts of pixels, shape (n, D).

    Arguments:
        padded: One padded canvas (C, H', W'), or a batch (B, C, H', W').
        reach: Pixels of its padding.
        context: Which neighbours, of which planes.
        y, x: Rows and columns of the pixels, int64 (n,).
        image: Which canvas of a batch each of them is in, int64 (n,).
    """
    shape = (padded.shape[-3], padded.shape[-2], padded.shape[-1])
    offsets = flat_offsets(context.offsets, shape).to(y.device)
    first_row = flat_offsets(context.first_row(), shape).to(y.device)
    base = (image * math.prod(shape) + (y + reach) * shape[2] + (x + reach))[:, None]
    where = torch.where(y[:, None] == 0, base + first_row, base + offsets)
    return padded.reshape(-1)[where]


class ConditionalWhitening(nn.Module):
    r"""Decorrelates inputs, and removes from the output what they predict linearly.

    .. math:: \tilde x = \Sigma_x^{-1/2} (x - m_x), \quad
              \tilde y = s\, (y - m_y - w^\top \tilde x)

    so that :math:`\tilde x` has unit covariance and :math:`\tilde y` unit variance. The
    log-Jacobian of y to :math:`\tilde y` is :math:`\log s`.

    Source: Theis & Bethge (2015), Sec. 3; the preconditioner of the authors' code.
    """

    mean_x: Tensor
    whitener: Tensor
    mean_y: Tensor
    predictor: Tensor
    scale: Tensor

    def __init__(self, num_inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean_x", torch.zeros(num_inputs))
        self.register_buffer("whitener", torch.eye(num_inputs))
        self.register_buffer("mean_y", torch.zeros(()))
        self.register_buffer("predictor", torch.zeros(num_inputs))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def fit(self, x: Tensor, y: Tensor, ridge: float = 1e-7) -> None:
        """Estimates the map from data: x (N, D), y (N,).

        `ridge` is the smallest variance a direction is taken to have, relative to the largest:
        constant images then whiten to zeros instead of infinities.
        """
        mean_x = x.mean(0, dtype=torch.float64)
        mean_y = y.mean(dtype=torch.float64)
        covariance = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
        cross = torch.zeros(x.shape[1], dtype=torch.float64)
        for rows, part in zip(x.split(65536), y.split(65536), strict=True):
            centred = rows.double() - mean_x
            covariance += centred.T @ centred
            cross += centred.T @ (part.double() - mean_y)
        values, vectors = torch.linalg.eigh(covariance / len(x))
        smallest = ridge * values.max().clamp(min=1e-12) if len(values) else 0.0
        whitener = vectors * values.clamp(min=smallest).rsqrt() @ vectors.T
        predictor = whitener @ cross / len(x)
        variance = (y.double() - mean_y).square().mean() - predictor.square().sum()
        self.mean_x.copy_(mean_x)
        self.mean_y.copy_(mean_y)
        self.whitener.copy_(whitener)
        self.predictor.copy_(predictor)
        self.scale.copy_(variance.clamp(min=1e-10).rsqrt())

    def inputs(self, x: Tensor) -> Tensor:
        """Whitened inputs, (N, D)."""
        return (x - self.mean_x) @ self.whitener.T

    def outputs(self, whitened: Tensor, y: Tensor) -> Tensor:
        """Whitened outputs, (N,), given whitened inputs."""
        return (y - self.mean_y - whitened @ self.predictor) * self.scale

    @property
    def log_jacobian(self) -> Tensor:
        """Log |d y~ / d y|, nats."""
        return self.scale.log()


def wavefronts(height: int, width: int, slope: int) -> Iterator[tuple[Indices, Indices]]:
    """Groups the pixels of a plane so that no pixel's context holds another of its group.

    With contexts that reach `slope - 1` columns to the right in the rows above, pixel (y, x) may
    come at time x + slope * y: the pixels of one time are independent given all earlier ones.

    Yields:
        Rows and columns of each group, NumPy int64 (n,); about width + slope * height groups.

    Example:
        >>> [list(zip(y.tolist(), x.tolist())) for y, x in wavefronts(2, 2, 2)]
        [[(0, 0)], [(0, 1)], [(1, 0)], [(1, 1)]]
    """
    rows = np.arange(height)
    delays = slope * rows
    for time in range(width + slope * (height - 1)):
        first = max(0, -((width - 1 - time) // slope))
        group = slice(first, min(height - 1, time // slope) + 1)
        if len(rows[group]):
            yield rows[group], time - delays[group]
