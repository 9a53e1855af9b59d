"""MCGSM: an exact model of integer images, one factorized mixture per channel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from imprior.base import ExactModel, Step
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision
from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.models.ride.walk import Walk, table
from imprior.transforms import causal, colour

Part = TypeVar("Part", bound=nn.Module)

ROWS_AT_ONCE = 1 << 16
"""Pixels whose contexts are held in memory at once: tens of MB at any image size."""


@dataclass(frozen=True)
class MCGSMConfig:
    """What an MCGSM is made of.

    Attributes:
        channels: Channels of the images.
        bits: Bit depth of the images, 1 to 16.
        num_components, num_scales, num_features: Size of each channel's mixture.
        rows, columns, radius: The causal neighbourhood in the channel itself: rows above, columns
            to each side, and the largest distance, in pixels.
        cross_radius: Radius of the window in the other channels.
        order: "planes": one channel after the other, each sees all of the earlier ones.
            "pixels": all channels of a pixel, then the next pixel.
        colour: "ycocg" models (Y, Cg, Co) instead of (R, G, B): reversible, nothing is lost.
        means: Whether experts have means of their own.
        num_first: Components of the mixture of the very first pixel, which has no context.
    """

    channels: int = 1
    bits: int = 8
    num_components: int = 16
    num_scales: int = 4
    num_features: int = 48
    rows: int = 4
    columns: int = 4
    radius: float = 99.0
    cross_radius: float = 2.0
    order: Literal["planes", "pixels"] = "planes"
    colour: Literal["none", "ycocg"] = "none"
    means: bool = False
    num_first: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits must be 1 to 16, got {self.bits}")
        for least, names in (
            (1, ("channels", "num_components", "num_scales", "num_first")),
            (0, ("num_features", "rows", "columns")),
        ):
            for name in names:
                if getattr(self, name) < least:
                    raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.order not in ("planes", "pixels"):
            raise ValueError(f'order must be "planes" or "pixels", got {self.order!r}')
        if self.colour not in ("none", "ycocg"):
            raise ValueError(f'colour must be "none" or "ycocg", got {self.colour!r}')
        if self.colour == "ycocg" and self.channels != 3:
            raise ValueError(f'colour="ycocg" needs 3 channels, got {self.channels}')


def contexts(config: MCGSMConfig) -> list[causal.Context]:
    """What each plane of an MCGSM conditions on."""
    own = causal.causal_window(config.rows, config.columns, config.radius)
    around = causal.full_window(config.cross_radius)
    before = [(dy, dx) for dy, dx in around if (dy, dx) < (0, 0)]
    result = []
    for plane in range(config.channels):
        inputs = [((plane, *offset), True) for offset in own]
        for other in range(config.channels):
            if config.order == "planes":
                inputs += [((other, *offset), False) for offset in around if other < plane]
            elif other != plane:
                here = [(0, 0)] if other < plane and config.cross_radius >= 0 else []
                inputs += [((other, *offset), True) for offset in before + here]
        offsets, known = zip(*inputs, strict=True) if inputs else ((), ())
        result.append(causal.Context(plane, offsets, known))
    return result


def _modules(modules: Iterable[Part]) -> Sequence[Part]:
    """A `ModuleList` of which type checkers know what it holds."""
    return cast("Sequence[Part]", nn.ModuleList(modules))


class MCGSM(ExactModel):
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
        super().__init__(config)
        self.contexts = contexts(config)
        self.reach = max(context.reach for context in self.contexts)
        sizes = (config.num_components, config.num_scales, config.num_features)
        dims = [len(context.offsets) for context in self.contexts]
        self.whitening = _modules(causal.ConditionalWhitening(d) for d in dims)
        self.experts = _modules(FactorizedMCGSM(d, *sizes, means=config.means) for d in dims)
        self.first_whitening = _modules(causal.ConditionalWhitening(0) for _ in dims)
        self.first = _modules(FactorizedMCGSM(0, config.num_first, 2, 0, means=True) for _ in dims)

    # -- integers <-> what the mixtures see

    def to_canvas(self, x: Tensor) -> Tensor:
        return colour.ycocg(x) if self.config.colour == "ycocg" else super().to_canvas(x)

    def from_canvas(self, canvas: Tensor) -> Tensor:
        return colour.inverse_ycocg(canvas) if self.config.colour == "ycocg" else canvas

    def support(self, earlier: list[Tensor], plane: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of a plane, given the earlier planes at the same pixels."""
        if self.config.colour == "ycocg" and plane > 0:
            return colour.ycocg_support(earlier, self.config.bits)
        return torch.zeros_like(like), torch.full_like(like, 2**self.config.bits - 1)

    def unit(self, canvas: Tensor) -> Tensor:
        """The middles of the bins of integers, in the model's dtype."""
        dtype = self.whitening[0].mean_x.dtype
        return (canvas.to(dtype) + 0.5) / 2**self.config.bits

    def bins(
        self,
        whitening: causal.ConditionalWhitening,
        inputs: Tensor,
        target: Tensor,
        low: Tensor,
        high: Tensor,
    ) -> Bins:
        """Integer targets (n,) as intervals of whitened outputs."""
        centre = whitening.outputs(inputs, self.unit(target))
        half = 0.5 * whitening.scale / 2**self.config.bits
        floor = 2.0 ** -precision(self.config.bits)
        keep = 1.0 - (high - low + 1).to(centre.dtype) * floor
        lower = torch.where(target == low, -math.inf, centre - half)
        upper = torch.where(target == high, math.inf, centre + half)
        return Bins(lower, upper, keep, torch.full_like(centre, floor))

    # -- the parallel pass

    def log_prob_map(self, x: Tensor) -> Tensor:
        self.check(x)
        canvas = self.to_canvas(x)
        padded = causal.pad(self.unit(canvas), self.reach)
        result = torch.empty(canvas.shape, dtype=torch.float64, device=x.device)
        for plane, (image, y, column) in self._pieces(canvas):
            mixture, whitening, inputs = self._parts(padded, plane, image, y, column)
            *earlier, target = (canvas[image, p, y, column] for p in range(plane + 1))
            low, high = self.support(earlier, plane, target)
            values = mixture.log_prob(inputs, self.bins(whitening, inputs, target, low, high))
            result[image, plane, y, column] = values.double()
        return result

    def _pieces(self, canvas: Tensor) -> Iterator[tuple[int, tuple[Tensor, Tensor, Tensor]]]:
        """Planes and pixels (image, y, x), not too many at once; first pixels are by themselves."""
        batch, _, height, width = canvas.shape
        total = batch * height * width
        for start in range(0, total, ROWS_AT_ONCE):
            numbers = torch.arange(start, min(start + ROWS_AT_ONCE, total), device=canvas.device)
            first = numbers % (height * width) == 0
            for piece in (numbers[first], numbers[~first]):
                pixels = (piece // (height * width), piece // width % height, piece % width)
                for plane in range(self.channels if len(piece) else 0):
                    yield plane, pixels

    def _parts(
        self, padded: Tensor, plane: int, image: Tensor, y: Tensor, x: Tensor
    ) -> tuple[FactorizedMCGSM, causal.ConditionalWhitening, Tensor]:
        """The mixture, its whitening and the whitened contexts of some pixels."""
        if y[0] == 0 and x[0] == 0:
            return self.first[plane], self.first_whitening[plane], padded.new_zeros(len(y), 0)
        whitening = self.whitening[plane]
        inputs = causal.gather(padded, self.reach, self.contexts[plane], y, x, image)
        return self.experts[plane], whitening, whitening.inputs(inputs)

    def log_density_map(self, x: Tensor) -> Tensor:
        """Log-density of continuous images, nats per value, float64.

        Arguments:
            x: Floats in [0, 1], usually (integers + uniform noise) / 2^bits, (B, C, H, W).
        """
        self.check_shape(x)
        if not x.is_floating_point():
            raise ValueError(f"a density is one of floats in [0, 1], got {x.dtype}")
        x = x.to(self.whitening[0].mean_x.dtype)
        canvas = colour.ycocg(x) if self.config.colour == "ycocg" else x
        padded = causal.pad(canvas, self.reach)
        result = torch.empty(canvas.shape, dtype=torch.float64, device=x.device)
        for plane, (image, y, column) in self._pieces(canvas):
            mixture, whitening, inputs = self._parts(padded, plane, image, y, column)
            outputs = whitening.outputs(inputs, canvas[image, plane, y, column])
            values = mixture.log_prob(inputs, outputs) + whitening.log_jacobian
            result[image, plane, y, column] = values.double()
        return result

    # -- the walk

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks in wavefronts; see `imprior.base.ExactModel.conditionals`."""
        bits, planes = self.config.bits, range(self.channels)
        slope = 1 + max([0, *(dx for c in self.contexts for _, _, dx in c.offsets)])
        first = [table(*pair, bits) for pair in zip(self.first, self.first_whitening, strict=True)]
        rest = [table(*pair, bits) for pair in zip(self.experts, self.whitening, strict=True)]
        state = Walk(canvas, self.contexts, self.reach)
        groups = [[p] for p in planes] if self.config.order == "planes" else [list(planes)]
        for group in groups:
            for y, x in causal.wavefronts(canvas.shape[-2], canvas.shape[-1], slope):
                tables = first if y[0] == 0 and x[0] == 0 else rest
                for plane in group:
                    where, base = state.positions(plane, y, x)
                    mixtures = state.mixtures(tables[plane], plane, y, base)
                    positions = torch.from_numpy(where)
                    yield Step(positions, self._pmfs(canvas, positions, plane, mixtures))
                    state.place(plane, where, y, x)
            for plane in group:
                state.finish(plane)

    def _pmfs(
        self, canvas: Tensor, where: Tensor, plane: int, mixtures: tuple[Tensor, Tensor, Tensor]
    ) -> BinnedMixture:
        pixels = canvas.shape[-2] * canvas.shape[-1]
        known = range(plane) if self.config.colour == "ycocg" else ()
        earlier = [canvas.view(-1)[where - (plane - p) * pixels] for p in known]
        low, high = self.support(earlier, plane, where)
        return BinnedMixture(*mixtures, low, high, precision(self.config.bits))
