"""Dead leaves: images of discs that hide one another, whose correlations are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import integrate
from torch import Tensor

Points: TypeAlias = NDArray[np.float64]

LEAVES_AT_ONCE = 1024


@dataclass(frozen=True)
class DeadLeaves:
    r"""The dead leaves model with a power law of radii.

    Discs fall on the plane, uniformly and for ever, the later ones on the earlier ones. Their radii
    have the density

    .. math:: f(r) \propto r^{-\alpha}, \quad r_\min \le r \le r_\max.

    With :math:`\alpha = 3` the images are scale-invariant between the two radii, as photographs
    nearly are. Everything drawn is an exact sample of a window of the stationary process, without
    effects of the border.

    Attributes:
        r_min, r_max: Smallest and largest radius, in pixels; 0 < r_min <= r_max.
        exponent: :math:`\alpha`.

    Raises:
        ValueError: If the radii are not finite, positive and in order.

    Source: Lee, Mumford & Huang, Occlusion Models for Natural Images (IJCV 2001), section 2.
    They average the intensity over each pixel; here a pixel has that of its centre, so that
    `same_leaf` is exact.
    """

    r_min: float = 1.0
    r_max: float = 256.0
    exponent: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.r_min <= self.r_max < math.inf or not math.isfinite(self.exponent):
            raise ValueError(
                "dead leaves have radii 0 < r_min <= r_max and a finite exponent, "
                f"got {self.r_min}, {self.r_max} and {self.exponent}"
            )

    def sample(
        self,
        shape: tuple[int, int, int],
        *,
        generator: torch.Generator,
        channels: int = 1,
        bits: int = 8,
    ) -> Tensor:
        """Draws images; every leaf has one colour, uniform over all there are.

        Arguments:
            shape: (B, H, W).

        Returns:
            int64, (B, C, H, W), in [0, 2^bits).
        """
        batch, height, width = shape
        images = []
        for _ in range(batch):
            leaf = self.leaves(height, width, generator=generator)
            colours = torch.randint(2**bits, (channels, int(leaf.max()) + 1), generator=generator)
            images.append(colours[:, leaf])
        return torch.stack(images)

    def leaves(self, height: int, width: int, *, generator: torch.Generator) -> Tensor:
        """Draws which leaf is seen at each pixel: int64 (H, W), numbered from the uppermost, 0.

        Some numbers are missing, as not every leaf is seen. Index any list of colours or textures
        with it to paint another picture than those of `sample`.

        Leaves are laid from the uppermost down until no pixel is free. What lies below could not be
        seen, so this is an exact sample of the endless process (Kendall & Thönnes, Perfect
        Simulation in Stochastic Geometry, Pattern Recognition 1999).
        """
        if height < 1 or width < 1:
            raise ValueError(f"an image has at least one pixel, got {height} x {width}")
        leaf = np.full((height, width), -1)
        first, free = 0, leaf.size
        while free:
            x, y, r = (part.numpy() for part in self._fall(height, width, generator))
            free = _lay(leaf, first, free, x, y, r)
            first += len(r)
        return torch.from_numpy(leaf)

    def same_leaf(self, distance: float) -> float:
        r"""Probability that the same leaf is seen at two points; also the correlation of pixels.

        .. math:: \frac{B(d)}{2 B(0) - B(d)}, \quad
            B(d) = \int f(r) \left(2 r^2 \arccos\tfrac{d}{2r} - \tfrac{d}{2}\sqrt{4r^2 - d^2}\right)
            \mathbf{1}[2r > d] \, dr,

        where the brackets hold the area in which a leaf covers both points: of all leaves that
        cover at least one of them, the uppermost covers the other.

        Arguments:
            distance: Between the points, in pixels, at least 0.
        """
        both, either = self._overlap(distance), self._overlap(0.0)
        return both / (2 * either - both)

    def _overlap(self, distance: float) -> float:
        """B(d), up to a factor that does not depend on d."""

        def integrand(log_r: float) -> float:
            r = math.exp(log_r)
            cos = min(distance / (2 * r), 1.0)
            area = 2 * math.acos(cos) - 2 * cos * math.sqrt(1 - cos**2)
            return area * r ** (3 - self.exponent)

        start = math.log(max(self.r_min, distance / 2))
        end = math.log(self.r_max)
        if self.r_min == self.r_max:
            return integrand(end)
        return integrate.quad(integrand, start, end, epsabs=0, limit=200)[0] if start < end else 0.0

    def _fall(
        self, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draws centres and radii of the next leaves of those that may touch the window.

        A leaf of radius r may touch it if its centre lies in a rectangle that is r wider on every
        side. So the radii that matter have the density f(r) (h + 2r)(w + 2r), a mixture of three
        power laws, and given its radius the centre is uniform in that rectangle.
        """
        h, w = height - 1, width - 1  # between the centres of the outermost pixels
        powers = torch.arange(1, 4, dtype=torch.float64) - self.exponent
        span = math.log(self.r_max / self.r_min)
        growth = torch.where(powers == 0, 1.0, torch.expm1(powers * span))
        scale = torch.where(powers == 0, span, growth / powers) if span else torch.ones(3)
        sides = torch.tensor([h * w, 2 * (h + w), 4], dtype=torch.float64)
        weights = sides * self.r_min**powers * scale
        draw = torch.rand(3, LEAVES_AT_ONCE, generator=generator, dtype=torch.float64)
        which = torch.multinomial(weights, LEAVES_AT_ONCE, True, generator=generator)
        power, u = powers[which], draw[0]
        log_r = torch.where(power == 0, u * span, torch.log1p(u * growth[which]) / power)
        r = (self.r_min * log_r.exp()).clamp(self.r_min, self.r_max)
        return draw[1] * (w + 2 * r) - r, draw[2] * (h + 2 * r) - r, r


@numba.njit(cache=True)
def _lay(
    leaf: NDArray[np.int64], first: int, free: int, x: Points, y: Points, r: Points
) -> int:  # pragma: no cover, compiled
    """Lays discs, numbered from `first` on, under those that lie there, until no pixel is free.

    Free pixels hold -1. Returns how many are left of the `free` ones.
    """
    height, width = leaf.shape
    for i in range(len(r)):
        top, bottom = max(0, math.ceil(y[i] - r[i])), min(height - 1, math.floor(y[i] + r[i]))
        for row in range(top, bottom + 1):
            half = math.sqrt(max(0.0, r[i] ** 2 - (row - y[i]) ** 2))
            left, right = max(0, math.ceil(x[i] - half)), min(width - 1, math.floor(x[i] + half))
            for column in range(left, right + 1):
                if leaf[row, column] < 0:
                    leaf[row, column] = first + i
                    free -= 1
        if not free:
            break
    return free
