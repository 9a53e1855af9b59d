"""MCGSM: an exact model of integer images, one factorized mixture per channel."""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.base import ExactModel
from imprior.models.ride.planes import ConditionalMCGSM, MCGSMConfig
from imprior.transforms import colour

__all__ = ["MCGSM", "MCGSMConfig"]


class MCGSM(ConditionalMCGSM, ExactModel):
    r"""Mixture of conditional Gaussian scale mixtures over a causal neighbourhood.

    .. math:: p(x) = \prod_{ij} p(x_{ij} \mid x_{<ij})

    with a `FactorizedMCGSM` of each channel, after conditional whitening. Every pixel counts,
    those at borders too (see `transforms.causal`), and images may have any height and width. A
    value k of b bits is the interval [k, k + 1] / 2^b: `log_prob` integrates the mixture over it,
    `log_density_map` is the density of continuous images that the papers report.

    Source: Theis & Bethge (2015); Theis, Hosseini & Bethge (2012). Ours adds borders, several
    channels by the chain rule, and the floor that keeps every value possible (`BinnedMixture`).
    """

    config_class = MCGSMConfig
    config: MCGSMConfig

    def __init__(self, config: MCGSMConfig) -> None:
        bounds = colour.ycocg_support if config.colour == "ycocg" else None
        super().__init__(config, bounds=bounds)

    def to_canvas(self, x: Tensor) -> Tensor:
        if self.config.colour == "ycocg":
            return colour.ycocg(x)
        return x.clone(memory_format=torch.contiguous_format)

    def from_canvas(self, canvas: Tensor) -> Tensor:
        return colour.inverse_ycocg(canvas) if self.config.colour == "ycocg" else canvas

    def log_prob_map(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.log_mass_of(self.to_canvas(x))

    def log_density_map(self, x: Tensor) -> Tensor:
        """Log-density of continuous images, nats per value, float64.

        Arguments:
            x: Floats in [0, 1], usually (integers + uniform noise) / 2^bits, (B, C, H, W).
        """
        self.check_shape(x)
        if not x.is_floating_point():
            raise ValueError(f"a density is one of floats in [0, 1], got {x.dtype}")
        return self.log_density_of(colour.ycocg(x) if self.config.colour == "ycocg" else x)
