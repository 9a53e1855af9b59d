"""Colour RIDE: a grey model of luma, then mixtures of chroma given luma."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from imprior.base import ExactModel, Part, Step
from imprior.models.ride.inner import InnerConfig, inner, walk_inside
from imprior.models.ride.planes import ConditionalMCGSM, MCGSMConfig
from imprior.transforms import colour


@dataclass(frozen=True)
class ColourRIDEConfig:
    """What a colour RIDE is made of.

    Attributes:
        channels: 3: red, green and blue.
        bits: Bit depth of the images, 1 to 16.
        luma: The model of luma, a grey image.
        chroma: The mixtures of the two colour differences. The bits and channels of both are
            those that the image leads to, whatever they are given as.
    """

    channels: int = 3
    bits: int = 8
    luma: InnerConfig = field(default_factory=MCGSMConfig)
    chroma: MCGSMConfig = field(default_factory=MCGSMConfig)

    def __post_init__(self) -> None:
        if self.channels != 3:
            raise ValueError(f"a colour RIDE is of 3 channels, got {self.channels}")
        luma = replace(self.luma, channels=1, bits=self.bits)
        chroma = replace(self.chroma, channels=3, bits=self.bits, colour="none")
        object.__setattr__(self, "luma", luma)
        object.__setattr__(self, "chroma", chroma)


class ColourRIDE(ExactModel):
    r"""A model of colour images on top of any grey one.

    .. math:: p(x) = p(Y)\, p(C_g, C_o \mid Y)

    with the reversible YCoCg-R: Y is an integer image of the same depth, and the differences,
    given it, range over exactly known intervals, so that the mass of all images is 1. Chroma sees
    luma at its pixel and all around it.

    Source: Theis & Bethge (2015), CIFAR-10. Their code takes the luma and chroma of real-valued
    YCbCr, and a second RIDE for chroma.
    """

    config_class = ColourRIDEConfig
    config: ColourRIDEConfig

    def __init__(self, config: ColourRIDEConfig) -> None:
        super().__init__(config)
        self.luma = inner(config.luma)
        self.chroma = ConditionalMCGSM(config.chroma, 1, colour.ycocg_support)

    def to_canvas(self, x: Tensor) -> Tensor:
        planes = colour.ycocg(x)
        return torch.cat([self.luma.to_canvas(planes[:, :1]), planes[:, 1:]], 1)

    def from_canvas(self, canvas: Tensor) -> Tensor:
        luma = self.luma.from_canvas(canvas[:, :1].contiguous())
        return colour.inverse_ycocg(torch.cat([luma, canvas[:, 1:]], 1))

    def log_prob_map(self, x: Tensor) -> Tensor:
        self.check(x)
        planes = colour.ycocg(x)
        luma = self.luma.log_prob_map(planes[:, :1])
        return torch.cat([luma, self.chroma.log_mass_of(planes)[:, 1:]], 1)

    def log_density_map(self, x: Tensor) -> Tensor:
        """Log-density of continuous images; see `MCGSM.log_density_map`."""
        self.check_shape(x)
        planes = colour.ycocg(x)
        luma = self.luma.log_density_map(planes[:, :1])
        return torch.cat([luma, self.chroma.log_density_of(planes)[:, 1:]], 1)

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks over luma, then over chroma; see `imprior.base.ExactModel.conditionals`."""
        where = torch.arange(canvas.numel()).view(canvas.shape)
        yield from walk_inside(self.luma, canvas, where[:, :1], canvas[:, :1])
        luma = self.luma.from_canvas(canvas[:, :1].contiguous())
        planes = torch.cat([luma, canvas[:, 1:]], 1)
        yield from walk_inside(self.chroma, canvas, where, planes)

    def parts(self) -> list[Part]:
        luma = Part("luma", self.luma, lambda x: colour.ycocg(x)[:, :1])
        return [luma, Part("chroma", self.chroma, colour.ycocg)]
