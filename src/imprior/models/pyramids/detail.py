"""The detail of an octave of a PixelPyramid: three pixels beside each coarse one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from imprior.base import ExactModel, Step
from imprior.models.pyramids.lattice import Walked, Window, tiles
from imprior.models.pyramids.walk import walk_level
from imprior.transforms.pairs import COLUMNS, ROWS, join, split

if TYPE_CHECKING:
    from imprior.models.pyramids.model import PixelPyramid


@dataclass(frozen=True)
class DetailConfig:
    """Channels and depth of a detail."""

    channels: int
    bits: int


class Detail(ExactModel):
    """Two levels of a pyramid, given the coarse images below them.

    A detail (B, 3 C, H, W) has the channels of the pixels to the left, above and above left. Where
    the finer image is longer than a tile of the pyramid, it consists of tiles, as there.

    Arguments:
        model: The pyramid.
        coarse: Integers (B, C, H, W).
        octave: 0 for the two finest levels.

    Raises:
        ValueError: If the pyramid cannot take the images, or has no such levels.
    """

    config_class = DetailConfig

    def __init__(self, model: PixelPyramid, coarse: Tensor, octave: int) -> None:
        model.check(coarse)
        super().__init__(DetailConfig(3 * model.config.channels, model.config.bits))
        count = len(model.levels)
        if not model.config.repeat and not 0 <= 2 * octave + 1 < count:
            raise ValueError(
                f"this pyramid has {count} levels, enough to double images {count // 2} times"
            )
        self.by_rows, self.by_columns = (model.level(2 * octave + k) for k in range(2))
        self.coarse = coarse
        batch, channels, height, width = coarse.shape
        finer = torch.Size((batch, channels, 2 * height, 2 * width))
        self.windows = [halved(window) for window in tiles(finer, model.config.tile)]

    def log_prob_map(self, x: Tensor) -> Tensor:
        """Log-mass of every value given those before it, nats, float64 (B, 3 C, H, W)."""
        self.check(x)
        result = torch.empty(x.shape, dtype=torch.float64, device=x.device)
        for window in self.windows:
            result[window] = self._map(self.coarse[window], x[window])
        return result

    def _map(self, coarse: Tensor, x: Tensor) -> Tensor:
        left, rest = columns(x)
        masses = self.by_columns.log_mass_map(coarse, left, COLUMNS)
        image = join(coarse, left, COLUMNS)
        return detail(masses, self.by_rows.log_mass_map(image, rest, ROWS))

    def to_canvas(self, x: Tensor) -> Tensor:
        """The fine parts as they are told."""
        left, rest = columns(x)
        image = join(self.coarse, left, COLUMNS)
        told = self.by_columns.told(self.coarse, left, COLUMNS)
        return detail(told, self.by_rows.told(image, rest, ROWS))

    def from_canvas(self, canvas: Tensor) -> Tensor:
        """The inverse of `to_canvas`."""
        told, rest = columns(canvas)
        left = self.by_columns.untold(self.coarse, told, COLUMNS)
        image = join(self.coarse, left, COLUMNS)
        return detail(left, self.by_rows.untold(image, rest, ROWS))

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks over the pixels to the left, then over those above, tile by tile."""
        for window in self.windows:
            walked, coarse = Walked(canvas, window), self.coarse[window]
            left, rest = columns(walked.index)
            told = yield from walk_level(self.by_columns, walked, coarse, left, COLUMNS)
            image = join(coarse, self.by_columns.untold(coarse, told, COLUMNS), COLUMNS)
            yield from walk_level(self.by_rows, walked, image, rest, ROWS)


def halved(window: Window) -> Window:
    """Where a tile of an image with even sides lies in its coarse image."""
    images, channels, rows, columns = window
    return images, channels, _half(rows), _half(columns)


def _half(place: slice) -> slice:
    return slice(place.start // 2, place.stop // 2)


def columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """A detail as the fine part of columns, (B, C, H, W), and that of rows, (B, C, H, 2 W)."""
    left, above, corner = x.chunk(3, 1)
    return left, join(above, corner, COLUMNS)


def detail(left: Tensor, rest: Tensor) -> Tensor:
    """The inverse of `columns`."""
    return torch.cat([left, *split(rest, COLUMNS)], 1)
