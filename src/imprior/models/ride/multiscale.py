"""Multi-scale RIDE: a model of a Haar low-pass, then mixtures of the details given it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from imprior.base import ExactModel, Part, Step
from imprior.models.ride.inner import InnerConfig, inner, walk_inside
from imprior.models.ride.planes import ConditionalMCGSM, MCGSMConfig
from imprior.transforms import haar


@dataclass(frozen=True)
class MultiscaleRIDEConfig:
    """What a multi-scale RIDE is made of.

    Attributes:
        channels: Channels of the images.
        bits: Bit depth of the images, 1 to 16.
        levels: How often height and width are halved.
        coarse: The model of the last low-pass.
        detail: The mixtures of each band of details. The bits and channels of both are those that
            the image leads to, whatever they are given as.
    """

    channels: int = 1
    bits: int = 8
    levels: int = 1
    coarse: InnerConfig = field(default_factory=MCGSMConfig)
    detail: MCGSMConfig = field(default_factory=MCGSMConfig)

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, got {self.levels}")
        coarse = replace(self.coarse, channels=self.channels, bits=self.bits)
        detail = replace(self.detail, channels=2 * self.channels, bits=self.bits, colour="none")
        object.__setattr__(self, "coarse", coarse)
        object.__setattr__(self, "detail", detail)


def _detail_bounds(channels: int, earlier: list[Tensor], bits: int) -> tuple[Tensor, Tensor]:
    """What a difference can be, given the planes before it: all means, then differences."""
    return haar.difference_bounds(earlier[len(earlier) - channels], bits)


class MultiscaleRIDE(ExactModel):
    r"""A model of a small image, and of the details that enlarge it.

    .. math:: p(x) = p(l_n) \prod_{k=1}^n p(d_k \mid l_k), \quad (l_{k+1}, d_{k+1}) = T l_k

    where T turns pairs of columns, then of rows, into means and differences (`transforms.haar`).
    All stay integers; differences range over exactly known intervals, so that the mass of all
    images is 1. A detail sees the low-pass at its place and all around it, and the details before
    it. The canvas has the size of the image: a difference stands where the second of its pair
    stood.

    Source: Theis & Bethge (2015). Their code takes orthonormal Haar wavelets of 2 x 2 real values,
    cuts off an odd row or column, and has a second RIDE for the details.
    """

    config_class = MultiscaleRIDEConfig
    config: MultiscaleRIDEConfig

    def __init__(self, config: MultiscaleRIDEConfig) -> None:
        super().__init__(config)
        self.coarse = inner(config.coarse)
        bounds = partial(_detail_bounds, config.channels)
        # In the order of `haar.pyramid`: the finest first.
        self.details = nn.ModuleList(
            ConditionalMCGSM(config.detail, config.channels, bounds)
            for _ in range(2 * config.levels)
        )

    @property
    def _details(self) -> list[ConditionalMCGSM]:
        return cast("list[ConditionalMCGSM]", list(self.details))

    def to_canvas(self, x: Tensor) -> Tensor:
        return self._assembled(x, self.coarse.to_canvas, lambda _, planes: planes)

    def _assembled(
        self,
        x: Tensor,
        of_coarse: Callable[[Tensor], Tensor],
        of_detail: Callable[[ConditionalMCGSM, Tensor], Tensor],
    ) -> Tensor:
        """What is said of the bands of images, each at its place in one canvas."""
        bands = haar.pyramid(x, self.config.levels)
        canvas = of_coarse(bands[-1].low)
        for model, (axis, low, detail) in reversed(list(zip(self._details, bands, strict=True))):
            said = canvas.new_zeros(detail.shape)
            if detail.numel():
                said = of_detail(model, _planes(axis, low, detail))[:, self.channels :]
            canvas = haar.interleave(canvas, said, axis)
        return canvas

    def from_canvas(self, canvas: Tensor) -> Tensor:
        places = haar.places(canvas, self.config.levels)
        low = self.coarse.from_canvas(places[-1].low.contiguous())
        for place in reversed(places):
            low = haar.double(low, place.detail, place.axis)
        return low

    def log_prob_map(self, x: Tensor) -> Tensor:
        self.check(x)
        return self._assembled(x, self.coarse.log_prob_map, ConditionalMCGSM.log_mass_of)

    def log_density_map(self, x: Tensor) -> Tensor:
        """Log-density of continuous images; see `MCGSM.log_density_map`."""
        self.check_shape(x)
        return self._assembled(x, self.coarse.log_density_map, ConditionalMCGSM.log_density_of)

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks from coarse to fine; see `imprior.base.ExactModel.conditionals`."""
        numbers = torch.arange(canvas.numel()).view(canvas.shape)
        places, where = (haar.places(t, self.config.levels) for t in (canvas, numbers))
        yield from walk_inside(self.coarse, canvas, where[-1].low, places[-1].low)
        low = self.coarse.from_canvas(places[-1].low.contiguous())
        for model, (axis, _, detail), at in reversed(
            list(zip(self._details, places, where, strict=True))
        ):
            positions = torch.cat([torch.full_like(at.detail, -1), at.detail], 1)
            yield from walk_inside(model, canvas, positions, _planes(axis, low, detail))
            low = haar.double(low, detail, axis)

    def parts(self) -> list[Part]:
        levels = self.config.levels
        parts = [Part("coarse", self.coarse, lambda x: haar.pyramid(x, levels)[-1].low)]
        for number, model in enumerate(self._details):
            parts.append(Part(f"detail {number + 1}", model, partial(self._planes_of, number)))
        return parts

    def _planes_of(self, number: int, x: Tensor) -> Tensor:
        return _planes(*haar.pyramid(x, self.config.levels)[number])


def _planes(axis: int, low: Tensor, detail: Tensor) -> Tensor:
    """Means of pairs and their differences, as the planes of one canvas."""
    return torch.cat([low.narrow(axis, 0, detail.shape[axis]), detail], 1)
