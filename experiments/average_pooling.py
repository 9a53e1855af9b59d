r"""A pyramid by average pooling instead of pairs, to compare the two: the S-transform.

.. math:: s = \lfloor (a + b) / 2 \rfloor, \quad d = a - b; \quad
    a = s + \lfloor (d + 1) / 2 \rfloor, \quad b = a - d

of neighbouring lines a and b. Coarse images are smoother than every other line of the image, but
differences have one more bit, and some of their values cannot follow some s, which the model has to
learn. The networks are those of a `PyramidLevel`.

Source of the transform: Said & Pearlman (1996), Sec. II.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from imprior.base import ImageModel, Part
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.level import PyramidLevel
from imprior.transforms.pairs import COLUMNS, ROWS


def split(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Means, rounded down, and differences of each pair of lines; int64 (B, C, H, W), even."""
    first, second = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    return (first + second) >> 1, first - second


def join(means: Tensor, differences: Tensor, axis: int) -> Tensor:
    """The inverse of `split`."""
    first = means + ((differences + 1) >> 1)
    return torch.stack([first, first - differences], axis + 1).flatten(axis, axis + 1)


class AverageLevel(PyramidLevel):
    """A level whose fine part is differences, of one more bit.

    Arguments:
        config: Of the pyramid.
        number: Of the level, 0 for the finest.
    """

    def __init__(self, config: PixelPyramidConfig, number: int) -> None:
        level = config.levels[number]
        super().__init__(level, config.channels, config.bits + 1, "difference")
        self.axis = (ROWS, COLUMNS)[number % 2]

    def told(self, coarse: Tensor, fine: Tensor, axis: int) -> Tensor:
        """Differences, of which zero is mid-range."""
        return fine + 2 ** (self.bits - 1)

    def untold(self, coarse: Tensor, told: Tensor, axis: int) -> Tensor:
        """The inverse of `told`."""
        return told - 2 ** (self.bits - 1)

    def features(self, coarse: Tensor, shape: torch.Size, axis: int) -> Tensor:
        """As of images with the depth of this level."""
        return super().features(2 * coarse, shape, axis)

    def loss(self, x: Tensor) -> Tensor:
        """Nats per difference of the level's images, integers (B, C, H, W)."""
        means, differences = split(x, self.axis)
        return -self.log_mass(means, differences, self.axis) / differences.numel()

    def metrics(self, x: Tensor) -> dict[str, Tensor]:
        """The loss in bits."""
        return {"bits_per_dim": self.loss(x) / math.log(2)}

    def nats(self, x: Tensor) -> Tensor:
        """What the differences take, over the floor that coding needs, float64 (B,)."""
        means, differences = split(x, self.axis)
        return -self.log_mass_map(means, differences, self.axis).flatten(1).sum(1)


class AverageOctave(ImageModel):
    """Two levels by average pooling: images of even sides given means of 2 x 2 pixels.

    Arguments:
        config: As of a pyramid of two levels; its coarsest image is not modelled here.
    """

    config_class = PixelPyramidConfig

    def __init__(self, config: PixelPyramidConfig) -> None:
        super().__init__(config)
        self.levels = nn.ModuleList(AverageLevel(config, number) for number in range(2))

    def parts(self) -> list[Part]:
        """The two levels; the second one sees the means of the first."""
        by_rows, by_columns = self.levels
        return [
            Part("level-1", by_rows, lambda x: x),
            Part("level-2", by_columns, lambda x: split(x, ROWS)[0]),
        ]

    def coarse(self, x: Tensor) -> Tensor:
        """The image of half the height and width."""
        return split(split(x, ROWS)[0], COLUMNS)[0]

    def nats(self, x: Tensor) -> Tensor:
        """What all but the coarse image takes, float64 (B,)."""
        total = torch.zeros(len(x), dtype=torch.float64)
        for part in self.parts():
            assert isinstance(part.model, AverageLevel)
            total += part.model.nats(part.images(x))
        return total
