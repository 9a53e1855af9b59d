"""PixelPyramid: an exact model of images, coarse to fine."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from imprior.base import ExactModel, Multiscale, Part, Step
from imprior.models.baselines.pixelcnn import PixelCNN, PixelCNNConfig
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.detail import Detail, columns, detail
from imprior.models.pyramids.lattice import Walked, tiles
from imprior.models.pyramids.level import LevelObjective, PyramidLevel
from imprior.models.pyramids.walk import walk_level
from imprior.transforms import pairs


class PixelPyramid(ExactModel, Multiscale):
    r"""Exact inference from a lossless pyramid of integers.

    .. math:: p(I_0) = p(I_L) \prod_{i=1}^L p(F_i \mid I_i)

    Every other line of an image is its coarse image I, the lines between are its fine part F;
    rows and columns in turn. Images may have any height and width. Sampling takes as many network
    calls as there are parts in all levels, which grows as the logarithm of the image's sides.

    Source: Mahajan & Roth (2021). Ours tells fine pixels relative to the mean of their neighbours
    unless asked for the published differences, and normalizes over channels, not over batches.
    """

    config_class = PixelPyramidConfig
    config: PixelPyramidConfig

    def __init__(self, config: PixelPyramidConfig) -> None:
        super().__init__(config)
        shared = config.channels, config.bits, config.fine
        self.levels = nn.ModuleList(PyramidLevel(level, *shared) for level in config.levels)
        self.coarsest = PixelCNN(
            PixelCNNConfig(
                channels=config.channels,
                bits=config.bits,
                num_filters=config.coarse_filters,
                num_blocks=config.coarse_blocks,
                num_components=config.coarse_components,
                dropout=config.coarse_dropout,
            )
        )

    # -- the pyramid

    def axes(self, height: int, width: int) -> tuple[int, ...]:
        """Which axis each level of an image splits, the finest first."""
        limit = None if self.config.repeat else len(self.levels)
        return pairs.axes(height, width, self.config.coarsest, limit)

    def level(self, number: int) -> PyramidLevel:
        """The networks of a level, 0 for the finest."""
        last = len(self.levels)
        if number >= last:
            number = last - 2 + (number - last) % 2
        level = self.levels[number]
        assert isinstance(level, PyramidLevel)
        return level

    def coarse(self, x: Tensor, number: int | None = None) -> Tensor:
        """The coarse image after the finest `number` levels, or after all."""
        for axis in self.axes(*x.shape[2:])[:number]:
            x, _ = pairs.split(x, axis)
        return x

    # -- the parallel pass

    def log_prob_map(self, x: Tensor) -> Tensor:
        """Log-mass of every value given those before it, nats, float64 (B, C, H, W)."""
        self.check(x)
        result = torch.empty(x.shape, dtype=torch.float64, device=x.device)
        for window in tiles(x.shape, self.config.tile):
            image = x[window]
            result[window] = self._map(image, self.axes(*image.shape[2:]), 0)
        return result

    def _map(self, x: Tensor, axes: tuple[int, ...], number: int) -> Tensor:
        if number == len(axes):
            return self.coarsest.log_prob_map(x)
        coarse, fine = pairs.split(x, axes[number])
        masses = self.level(number).log_mass_map(coarse, fine, axes[number])
        return pairs.join(self._map(coarse, axes, number + 1), masses, axes[number])

    def level_log_probs(self, x: Tensor) -> dict[str, Tensor]:
        """Log-masses of the parts of images, nats, float64 (B,), whose sum is `log_prob`.

        Names are those of `parts`; levels beyond the networks, which repeat, go on with numbers.
        """
        masses = self.log_prob_map(x)
        found: dict[str, Tensor] = {}
        coarsest = masses.new_zeros(len(x))
        for window in tiles(x.shape, self.config.tile):
            rest = masses[window]
            for number, axis in enumerate(self.axes(*rest.shape[2:]), 1):
                rest, fine = pairs.split(rest, axis)
                name = f"level-{number}"
                found[name] = found.get(name, 0) + fine.sum((1, 2, 3))
            coarsest = coarsest + rest.sum((1, 2, 3))
        return {**found, "coarsest": coarsest}

    # -- the walk

    def to_canvas(self, x: Tensor) -> Tensor:
        """The fine parts as they are told, where they lie in the image."""
        canvas = x.clone(memory_format=torch.contiguous_format)
        if self.config.fine == "difference":
            for window in tiles(x.shape, self.config.tile):
                canvas[window] = self._tell(x[window], self.axes(*x[window].shape[2:]), 0)
        return canvas

    def _tell(self, x: Tensor, axes: tuple[int, ...], number: int) -> Tensor:
        if number == len(axes):
            return x
        coarse, fine = pairs.split(x, axes[number])
        told = self.level(number).told(coarse, fine, axes[number])
        return pairs.join(self._tell(coarse, axes, number + 1), told, axes[number])

    def from_canvas(self, canvas: Tensor) -> Tensor:
        """The inverse of `to_canvas`."""
        if self.config.fine == "pixel":
            return canvas
        x = canvas.clone()
        for window in tiles(x.shape, self.config.tile):
            x[window] = self._untell(canvas[window], self.axes(*canvas[window].shape[2:]), 0)
        return x

    def _untell(self, canvas: Tensor, axes: tuple[int, ...], number: int) -> Tensor:
        if number == len(axes):
            return canvas
        coarse, told = pairs.split(canvas, axes[number])
        coarse = self._untell(coarse, axes, number + 1)
        fine = self.level(number).untold(coarse, told, axes[number])
        return pairs.join(coarse, fine, axes[number])

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks from coarse to fine; see `imprior.base.ExactModel.conditionals`."""
        for window in tiles(canvas.shape, self.config.tile):
            walked = Walked(canvas, window)
            axes = self.axes(*walked.index.shape[2:])
            image = yield from self._walk_coarsest(walked, walked.coarse(axes))
            for number in reversed(range(len(axes))):
                level, axis = self.level(number), axes[number]
                index = walked.fine(axes[: number + 1])
                told = yield from walk_level(level, walked, image, index, axis)
                image = pairs.join(image, level.untold(image, told, axis), axis)

    def _walk_coarsest(self, walked: Walked, index: Tensor) -> Generator[Step, None, Tensor]:
        image = torch.zeros_like(index)
        for step in self.coarsest.conditionals(image):
            where = index.flatten()[step.where]
            yield Step(where, step.pmfs)
            image.view(-1)[step.where] = walked.flat[where]
        return image

    # -- the abilities of a Multiscale

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images of even sides -> every fourth pixel, and the three others, (B, 3 C, H/2, W/2)."""
        if x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(f"images of even sides can be split, got {tuple(x.shape)}")
        coarse, rest = pairs.split(x, pairs.ROWS)
        coarse, left = pairs.split(coarse, pairs.COLUMNS)
        return coarse, detail(left, rest)

    def join(self, coarse: Tensor, detail: Tensor) -> Tensor:
        """The inverse of `split`."""
        left, rest = columns(detail)
        return pairs.join(pairs.join(coarse, left, pairs.COLUMNS), rest, pairs.ROWS)

    def given(self, coarse: Tensor, level: int = 0) -> Detail:
        """The conditional distribution of the detail; the octave 0 is the finest."""
        return Detail(self, coarse, level)

    # -- training

    def parts(self) -> list[Part]:
        """The levels, each of which sees its own image and the next coarser one."""
        parts = [
            Part(f"level-{number + 1}", self.objective(number), partial(self.coarse, number=number))
            for number in range(len(self.levels))
        ]
        return [*parts, Part("coarsest", self.coarsest, partial(self.coarse, number=None))]

    def objective(self, number: int) -> LevelObjective:
        """What the training of some networks makes small."""
        level = self.level(number)
        repeated = self.config.repeat and number >= len(self.levels) - 2
        axis = (pairs.ROWS, pairs.COLUMNS)[number % 2]
        return LevelObjective(level, axis, self.config.coarsest if repeated else None)
