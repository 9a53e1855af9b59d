"""Planes of integers, each with a factorized mixture, given planes that are there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from imprior.base import ImageModel, Step
from imprior.distributions.binned import BinnedMixture
from imprior.distributions.frequencies import precision
from imprior.models.ride import targets
from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.models.ride.walk import Walk, table
from imprior.transforms import causal

Bounds = Callable[[list[Tensor], int], tuple[Tensor, Tensor]]
"""Smallest and largest value of the next plane, given the earlier ones and the bit depth."""

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


def contexts(config: MCGSMConfig, given: int = 0) -> list[causal.Context]:
    """What each plane of an MCGSM conditions on; the first `given` planes on nothing."""
    own = causal.causal_window(config.rows, config.columns, config.radius)
    around = causal.full_window(config.cross_radius)
    before = [(dy, dx) for dy, dx in around if (dy, dx) < (0, 0)]
    result = [causal.Context(plane, (), ()) for plane in range(given)]
    for plane in range(given, config.channels):
        inputs = [((plane, *offset), True) for offset in own]
        for other in range(config.channels):
            if config.order == "planes" or other < given:
                inputs += [((other, *offset), False) for offset in around if other < plane]
            elif other != plane:
                here = [(0, 0)] if other < plane and config.cross_radius >= 0 else []
                inputs += [((other, *offset), True) for offset in before + here]
        offsets, known = zip(*inputs, strict=True) if inputs else ((), ())
        result.append(causal.Context(plane, offsets, known))
    return result


class ConditionalMCGSM(ImageModel):
    r"""Mixtures of the planes of a canvas, given the first of them.

    .. math:: p(x_{g+1}, \dots, x_C \mid x_1, \dots, x_g)

    A canvas holds integers of `bits` bits, or differences of such integers: whatever `bounds`
    says is all that a plane can hold. Given planes are seen whole, before and after the pixel.
    They have no parameters, 0 in maps, and no step in walks: they are on the canvas beforehand.
    So this is no distribution of images but a part of one, `MCGSM` for example.

    Arguments:
        config: Sizes and neighbourhoods; `colour` is left to `MCGSM`.
        given: Number of planes that are given.
        bounds: What modelled planes can hold, given the earlier ones at the same pixel; not asked
            about plane 0. By default every plane holds [0, 2^bits).

    Raises:
        ValueError: If nothing is left to model.
    """

    config: MCGSMConfig

    def __init__(self, config: MCGSMConfig, given: int = 0, bounds: Bounds | None = None) -> None:
        super().__init__(config)
        if not 0 <= given < config.channels:
            raise ValueError(f"given must be 0 to {config.channels - 1}, got {given}")
        self.given, self.bounds = given, bounds
        self.contexts = contexts(config, given)
        self.reach = max(context.reach for context in self.contexts)
        sizes = (config.num_components, config.num_scales, config.num_features)
        dims = [len(context.offsets) for context in self.contexts[given:]]
        self.whitening = targets.modules(causal.ConditionalWhitening(d) for d in dims)
        self.experts = targets.modules(FactorizedMCGSM(d, *sizes, means=config.means) for d in dims)
        self.first_whitening = targets.modules(causal.ConditionalWhitening(0) for _ in dims)
        self.first = targets.modules(
            FactorizedMCGSM(0, config.num_first, 2, 0, means=True) for _ in dims
        )

    @property
    def modelled(self) -> range:
        """The planes that are modelled; plane `given + n` has the n-th mixture."""
        return range(self.given, self.channels)

    # -- integers <-> what the mixtures see

    def to_canvas(self, x: Tensor) -> Tensor:
        """What is modelled of what the model takes: here the same."""
        return x

    def support(self, earlier: list[Tensor], plane: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of a plane, given the earlier planes at the same pixels."""
        if self.bounds is not None and plane > 0:
            return self.bounds(earlier, self.config.bits)
        return torch.zeros_like(like), torch.full_like(like, 2**self.config.bits - 1)

    def unit(self, canvas: Tensor) -> Tensor:
        """The middles of the bins of integers, in the model's dtype."""
        return targets.unit(canvas, self.config.bits, self.whitening[0].mean_x.dtype)

    def bins(
        self,
        whitening: causal.ConditionalWhitening,
        inputs: Tensor,
        target: Tensor,
        low: Tensor,
        high: Tensor,
    ) -> Bins:
        """Integer targets (n,) as intervals of whitened outputs."""
        return targets.bins(whitening, inputs, target, (low, high), self.config.bits)

    # -- the parallel pass

    def log_mass_of(self, canvas: Tensor) -> Tensor:
        """Log-mass of every value of a canvas given those before it, nats, float64 (B, C, H, W)."""
        padded = causal.pad(self.unit(canvas), self.reach)
        result = torch.zeros(canvas.shape, dtype=torch.float64, device=canvas.device)
        for plane, (image, y, column) in self._pieces(canvas):
            mixture, whitening, inputs = self._parts(padded, plane, image, y, column)
            *earlier, target = (canvas[image, p, y, column] for p in range(plane + 1))
            low, high = self.support(earlier, plane, target)
            values = mixture.log_prob(inputs, self.bins(whitening, inputs, target, low, high))
            result[image, plane, y, column] = values.double()
        return result

    def log_density_of(self, canvas: Tensor) -> Tensor:
        """Log-density of every value of a canvas of floats; else as `log_mass_of`."""
        canvas = canvas.to(self.whitening[0].mean_x.dtype)
        padded = causal.pad(canvas, self.reach)
        result = torch.zeros(canvas.shape, dtype=torch.float64, device=canvas.device)
        for plane, (image, y, column) in self._pieces(canvas):
            mixture, whitening, inputs = self._parts(padded, plane, image, y, column)
            outputs = whitening.outputs(inputs, canvas[image, plane, y, column])
            values = mixture.log_prob(inputs, outputs) + whitening.log_jacobian
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
                for plane in self.modelled if len(piece) else ():
                    yield plane, pixels

    def _parts(
        self, padded: Tensor, plane: int, image: Tensor, y: Tensor, x: Tensor
    ) -> tuple[FactorizedMCGSM, causal.ConditionalWhitening, Tensor]:
        """The mixture, its whitening and the whitened contexts of some pixels."""
        number = plane - self.given
        if y[0] == 0 and x[0] == 0:
            empty = padded.new_zeros(len(y), 0)
            return self.first[number], self.first_whitening[number], empty
        whitening = self.whitening[number]
        inputs = causal.gather(padded, self.reach, self.contexts[plane], y, x, image)
        return self.experts[number], whitening, whitening.inputs(inputs)

    # -- the walk

    @torch.no_grad()
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks in wavefronts over all but the given planes; see `base.ExactModel`."""
        bits, planes = self.config.bits, self.modelled
        slope = 1 + max([0, *(dx for c in self.contexts for _, _, dx in c.offsets)])
        first = [table(*pair, bits) for pair in zip(self.first, self.first_whitening, strict=True)]
        rest = [table(*pair, bits) for pair in zip(self.experts, self.whitening, strict=True)]
        state = Walk(canvas, self.contexts, self.reach)
        for plane in range(self.given):
            state.finish(plane)
        groups = [[p] for p in planes] if self.config.order == "planes" else [list(planes)]
        for group in groups:
            for y, x in causal.wavefronts(canvas.shape[-2], canvas.shape[-1], slope):
                tables = first if y[0] == 0 and x[0] == 0 else rest
                for plane in group:
                    where, base = state.positions(plane, y, x)
                    mixtures = state.mixtures(tables[plane - self.given], plane, y, base)
                    positions = torch.from_numpy(where)
                    yield Step(positions, self._pmfs(canvas, positions, plane, mixtures))
                    state.place(plane, where, y, x)
            for plane in group:
                state.finish(plane)

    def _pmfs(
        self, canvas: Tensor, where: Tensor, plane: int, mixtures: tuple[Tensor, Tensor, Tensor]
    ) -> BinnedMixture:
        pixels = canvas.shape[-2] * canvas.shape[-1]
        known = range(plane) if self.bounds is not None else ()
        earlier = [canvas.view(-1)[where - (plane - p) * pixels] for p in known]
        low, high = self.support(earlier, plane, where)
        return BinnedMixture(*mixtures, low, high, precision(self.config.bits))
