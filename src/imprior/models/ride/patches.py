"""RIDE of patches: images of one size, of which nothing is known beyond their borders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast, final

import torch
from torch import Tensor

from imprior.base import LikelihoodModel, Sampler, bits_per_dim
from imprior.models.ride.config import RIDEConfig
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.models.ride.model import RIDE
from imprior.models.ride.pieces import Piece


@dataclass(frozen=True)
class PatchRIDEConfig:
    """What a patch RIDE is made of.

    Attributes:
        ride: Layers, mixture and neighbourhood; of one channel. Its bits are those of the grey
            levels that training figures are told in.
        height, width: Of a patch.
        remove_dc: Whether the mean of a patch (the DC component) is taken off first, and the last
            pixel, which the others then determine, is not scored.
    """

    ride: RIDEConfig = field(default_factory=lambda: RIDEConfig(num_layers=2))
    height: int = 8
    width: int = 8
    remove_dc: bool = True

    def __post_init__(self) -> None:
        if self.ride.channels != 1:
            raise ValueError(f"a patch RIDE is of 1 channel, got {self.ride.channels}")
        for name in ("height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.num_scored < 1:
            raise ValueError("a patch of 1 pixel without its mean has nothing left to score")

    @property
    def channels(self) -> int:
        """Channels of a patch."""
        return self.ride.channels

    @property
    def num_scored(self) -> int:
        """Dimensions of the density: 63 of the 64 pixels of a patch without DC."""
        return self.height * self.width - self.remove_dc


@final
class PatchRIDE(LikelihoodModel, Sampler):
    r"""A density of patches of one size: a RIDE that sees where they end.

    With :math:`d = x - \operatorname{mean} x` it is that of all but the last of N pixels,

    .. math:: p(d_1, \dots, d_{N-1}) = \prod_{i < N} p(d_i \mid h_i(d_{<i}))

    Neighbourhoods that leave the patch see zeros there, and beside every pixel a number that
    says whether it is outside (1) or inside (0). Every pixel goes through the same layers and the
    same mixture, the first one too.

    Which pixel is dropped does not matter to a density. As the d sum to 0, dropping the k-th
    instead of the N-th replaces :math:`d_k` by :math:`d_N = -\sum_{i<N} d_i` and reorders: a
    permutation times a unit matrix with one row of -1, hence :math:`|\det| = 1`. So views of a
    patch whose last pixels are different corners have densities of the same quantity, and
    `imprior.inference.symmetry.Ensemble` may average them.

    Source: Theis & Bethge (2015), Table 1, "63 dim."; the authors' patch model. Theirs whitens
    indicators with random numbers in their place; ours leaves them as they are, which is the limit.
    """

    config_class = PatchRIDEConfig
    config: PatchRIDEConfig
    likelihood: ClassVar[Literal["mass", "density", "bound"]] = "density"

    def __init__(self, config: PatchRIDEConfig) -> None:
        super().__init__(config)
        self.ride = RIDE(config.ride, inputs=1)
        # Inside its frame no pixel is without context.
        self.ride.first[0].requires_grad_(False)

    def check(self, x: Tensor) -> None:
        """Raises ValueError unless `x` is a batch of patches of this model's size."""
        size = (1, self.config.height, self.config.width)
        if x.dim() != 4 or tuple(x.shape[1:]) != size:
            raise ValueError(
                f"this PatchRIDE takes patches of shape (B, 1, {size[1]}, {size[2]}), "
                f"got {tuple(x.shape)}"
            )
        if not x.is_floating_point():
            raise ValueError(f"PatchRIDE is a density of floating-point values, got {x.dtype}")

    def framed(self, x: Tensor) -> Tensor:
        """Patches in a frame of zeros as wide as neighbourhoods reach, and where the frame is.

        Returns:
            (B, 2, reach + H, reach + W + reach), in the model's dtype: there is no frame below.
        """
        x = x.to(self.ride.whitening[0].mean_x.dtype)
        sides = (self.ride.reach, self.ride.reach, self.ride.reach, 0)
        inside = torch.nn.functional.pad(torch.ones_like(x), sides)
        return torch.cat([torch.nn.functional.pad(x, sides), 1 - inside], 1)

    def pieces(self, x: Tensor) -> Iterator[tuple[Piece, FactorizedMCGSM, Tensor, Tensor]]:
        """Some pixels after others: which (in the frame), their mixture, what it sees, targets.

        Arguments:
            x: The first rows of patches, at least one, without DC if it is to be removed.
        """
        framed = self.framed(x)
        for piece, planes in self.ride.terms(framed, framed[:, :1], self.ride.reach):
            ((term,),) = planes
            yield piece, term.mixture, term.x, cast(Tensor, term.y)

    def _scored(self, x: Tensor) -> Iterator[tuple[Tensor, FactorizedMCGSM, Tensor, Tensor]]:
        """What counts: of which patches, then as `pieces`."""
        self.check(x)
        if self.config.remove_dc:
            x = x - x.mean((2, 3), keepdim=True)
        for piece, mixture, seen, targets in self.pieces(x):
            count = len(targets)
            last = self.ride.reach + self.config.height - 1, self.ride.reach + self.config.width - 1
            if self.config.remove_dc and (int(piece.y[-1]), int(piece.x[-1])) == last:
                # The last pixels of all patches come last.
                count -= len(x)
            yield piece.image[:count], mixture, seen[:count], targets[:count]

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of each patch, nats, floats (B, 1, H, W) -> float64 (B,).

        Differentiable by `x` and the parameters. If the DC is removed, patches may come with it or
        without.
        """
        result = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for image, mixture, seen, targets in self._scored(x):
            log_prob = mixture.log_prob(seen, targets) + self.ride.whitening[0].log_jacobian
            result = result.index_add(0, image, log_prob.double())
        return result

    def total_log_prob(self, x: Tensor) -> Tensor:
        """The sum of `log_prob`, a scalar; differentiable by the parameters alone, but faster."""
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        for _, mixture, seen, targets in self._scored(x):
            total = total + mixture.total_log_prob(seen, targets)
            total = total + len(seen) * self.ride.whitening[0].log_jacobian
        return total

    def bits_per_dim(self, x: Tensor) -> Tensor:
        """Bits per scored dimension of each patch, shape (B,); see `imprior.bits_per_dim`."""
        return bits_per_dim(self.log_prob(x), self.config.num_scored)

    @torch.no_grad()
    def sample(self, shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
        """Draws patches, (B, H, W) -> (B, 1, H, W), without DC if it is removed.

        Height and width are the model's own. Nothing is kept from pixel to pixel: drawing a patch
        takes as long as scoring some 30.
        """
        batch, height, width = shape
        if (height, width) != (self.config.height, self.config.width):
            raise ValueError(
                f"this PatchRIDE draws patches of {self.config.height} x {self.config.width} "
                f"pixels, asked for {height} x {width}"
            )
        x = self.ride.whitening[0].mean_y.new_zeros(batch, 1, height, width)
        for place in range(self.config.num_scored):
            y, column = divmod(place, width)
            x[:, 0, y, column] = self._draw(x[:, :, : y + 1], column, generator)
        if self.config.remove_dc:
            x[:, 0, -1, -1] = -x.sum((1, 2, 3))
        return x

    def _draw(self, x: Tensor, column: int, generator: torch.Generator) -> Tensor:
        """Values for a column of the last row, given all above and to the left, (B,)."""
        at, scale = self.ride.reach + x.shape[2] - 1, self.ride.whitening[0].scale
        for piece, mixture, seen, targets in self.pieces(x):
            here = (piece.y == at) & (piece.x == self.ride.reach + column)
            if here.any():
                # A target is an affine function of its pixel, which is 0 as yet.
                return (_sample(mixture, seen[here], generator) - targets[here]) / scale
        return x[:, 0, -1, column]  # of no patches


def _sample(mixture: FactorizedMCGSM, x: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from a mixture without means of its own given vectors: (n, D) -> (n,)."""
    gates = mixture.gates(x)
    expert = gates.flatten(1).multinomial(1, generator=generator)[:, 0]
    mean = (x * mixture.predictors[expert // gates.shape[2]]).sum(1)
    noise = torch.randn(len(x), generator=generator, dtype=x.dtype)
    return mean + noise * (-0.5 * mixture.alpha.flatten()[expert]).exp()
