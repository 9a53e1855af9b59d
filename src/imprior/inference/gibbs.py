"""Metropolis within Gibbs: missing pixels, drawn given all the known ones around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, final

import torch
from torch import Tensor

from imprior.base import ExactModel, LikelihoodModel
from imprior.data.loading import symmetry
from imprior.inference.patches import Group, Patches, plan, squares
from imprior.inference.walk import draw

Flip = Literal["none", "horizontal", "vertical", "both"]
FLIPS: dict[Flip, tuple[int, ...]] = {
    "none": (0,),
    "horizontal": (0, 1),
    "vertical": (0, 2),
    "both": (0, 1, 2, 3),
}
"""Numbers of the symmetries that an epoch may see the image in; see `data.loading.symmetry`."""

Proposal = Callable[[Tensor, Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""Windows, what to draw, what to weigh -> new windows, log of the ratio to accept them by."""


def ancestral(model: ExactModel) -> Proposal:
    r"""The published proposal: what is missing, drawn in the order of the walk.

    With :math:`q(x' \mid x) = \prod_{i\,\text{drawn}} p(x'_i \mid x'_{<i})` the factors of
    drawn values leave the ratio, and those of the others remain:

    .. math:: \frac{p(x')\, q(x \mid x')}{p(x)\, q(x' \mid x)} =
        \prod_{i\,\text{not drawn}} \frac{p(x'_i \mid x'_{<i})}{p(x_i \mid x_{<i})}
    """

    def propose(
        windows: Tensor, drawn: Tensor, weighed: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        proposed = draw(model, windows, ~drawn, generator=generator)
        change = model.log_prob_map(proposed).double() - model.log_prob_map(windows).double()
        rest = (weighed & ~drawn)[:, None]
        return proposed, torch.where(rest, change, 0.0).flatten(1).sum(1)

    return propose


def random_walk(model: LikelihoodModel) -> Proposal:
    """For models that cannot be walked: a symmetric step, weighed by the window's probability.

    The steps are rounded normal ones; how long they are, 1 to half of all grey levels, is drawn
    for every window, since nothing tells beforehand what a model lets pass. It mixes slowly.
    """
    bits = model.bits
    if bits is None:
        raise ValueError(f"a chain needs a model of integers; {type(model).__name__} has no bits")

    def propose(
        windows: Tensor, drawn: Tensor, weighed: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        shape = (len(windows), 1, 1, 1)
        lengths = 2.0 ** torch.randint(bits, shape, generator=generator)
        steps = (lengths * torch.randn(windows.shape, generator=generator)).round().long()
        proposed = torch.where(drawn[:, None], windows + steps, windows)
        valid = ((proposed >= 0) & (proposed < 2**bits)).flatten(1).all(1)
        proposed = torch.where(valid[:, None, None, None], proposed, windows)
        change = model.log_prob(proposed).double() - model.log_prob(windows).double()
        return proposed, torch.where(valid, change, -torch.inf)

    return propose


def start(
    model: LikelihoodModel,
    x: Tensor,
    hole: Tensor,
    *,
    candidates: int = 5,
    generator: torch.Generator,
) -> Tensor:
    """The most probable of several images with the hole filled at random.

    An exact model fills it by ancestral sampling. For another, known pixels are strewn about.

    Arguments:
        model: The model that fills and chooses.
        x: An image, int64 (C, H, W).
        hole: Which pixels are missing, bool (H, W).
        candidates: How many, at least 1.
        generator: Where the randomness comes from.

    Raises:
        ValueError: If there are no candidates.
    """
    if candidates < 1:
        raise ValueError(f"candidates must be at least 1, got {candidates}")

    def fill() -> Tensor:
        if isinstance(model, ExactModel):
            return draw(model, x[None], ~hole[None], generator=generator)[0]
        known, filled = x[:, ~hole], x.clone()
        chosen = torch.randint(known.shape[1], (int(hole.sum()),), generator=generator)
        filled[:, hole] = known[:, chosen]
        return filled

    with torch.no_grad():
        images = [fill() for _ in range(candidates)]
        return max(images, key=lambda image: float(model.log_prob(image[None])))


@final
class Chain:
    r"""A Markov chain of images that differ in the pixels of a hole.

    A step draws the inner patch x' anew given what comes before it in the outer patch and is
    accepted with probability

    .. math:: \min\left(1, \frac{p(x'_\text{outer})\, q(x \mid x')}
                                {p(x_\text{outer})\, q(x' \mid x)}\right).

    Proposal and target are one discrete distribution, so detailed balance is exact. The target of
    a step is the distribution of missing inner pixels given the rest of the outer patch, under the
    model as it sees the window. For a model of reach `patches.exact_reach` or less that is
    p(hole | all known pixels): the chain converges to it, whatever the patches. As published
    (`Patches(context=0)`) the outer patch is an image of its own, and for models of longer reach
    the targets of different patches are close to each other but not those of one distribution. The
    same holds for flips: a model that is not symmetric is asked about the mirrored image.

    Arguments:
        model: An exact model; or one of integers that only scores whole images (`random_walk`).
        x: The image with the hole filled, see `start`, int64 (C, H, W).
        hole: Which pixels are missing, bool (H, W).
        patches: Sizes; as published but for the context.
        flip: Which flips an epoch may begin with, at random, for textures that are symmetric.
        generator: Where the randomness comes from.

    Attributes:
        x: The current image.
        log_prob: Its log-probability as a whole, nats.
        acceptance: Share of the last epoch's patches that were accepted; None before.

    Raises:
        ValueError: If model, image and hole do not fit together.

    Source: Theis & Bethge (2015), Sec. 4.4 and the authors' code. Ours adds the context, weighs
    patches at the image's border as what they are, and moves far patches together.
    """

    converged = False

    def __init__(
        self,
        model: LikelihoodModel,
        x: Tensor,
        hole: Tensor,
        *,
        patches: Patches | None = None,
        flip: Flip = "none",
        generator: torch.Generator,
    ) -> None:
        model.check(x[None])
        if hole.dtype != torch.bool or hole.shape != x.shape[1:] or not hole.any():
            raise ValueError(
                f"hole must be a bool tensor of shape {tuple(x.shape[1:])} that is somewhere true, "
                f"got {hole.dtype} of shape {tuple(hole.shape)}"
            )
        self.model = model
        self.hole = hole
        self.patches = patches or Patches()
        self.plans = {k: plan(symmetry(hole, k), self.patches) for k in FLIPS[flip]}
        self.generator = generator
        self.propose = ancestral(model) if isinstance(model, ExactModel) else random_walk(model)
        self.x = x
        self.acceptance: float | None = None
        self.log_prob = self._log_prob()

    @torch.no_grad()
    def advance(self) -> None:
        """One epoch: every patch once."""
        flips = list(self.plans)
        number = flips[int(torch.randint(len(flips), (), generator=self.generator))]
        # A copy: whoever is interrupted within an epoch keeps the last one's image.
        x = symmetry(self.x, number).clone()
        hole = symmetry(self.hole, number)
        accepted = [self._update(x, hole, group) for group in self.plans[number]]
        self.x = symmetry(x, number).contiguous()
        self.acceptance = sum(accepted) / sum(len(group.inner) for group in self.plans[number])
        self.log_prob = self._log_prob()

    def _update(self, x: Tensor, hole: Tensor, group: Group) -> int:
        """Steps on the patches of a group; changes `x`, returns how many were accepted."""
        sizes = [min(pair) for pair in zip(self.patches.window, hole.shape, strict=True)]
        at = [group.window[:, i, None] + torch.arange(sizes[i]) for i in (0, 1)]
        rows, columns = at[0][:, :, None], at[1][:, None, :]
        windows = x[:, rows, columns].movedim(1, 0).contiguous()
        drawn = hole[rows, columns] & squares(at, group.inner, self.patches.inner)
        weighed = squares(at, group.inner - self.patches.margin, self.patches.outer)
        proposed, log_ratio = self.propose(windows, drawn, weighed, self.generator)
        chances = torch.rand(len(windows), generator=self.generator, dtype=torch.float64)
        accept = chances.log() < log_ratio
        n, i, j = (drawn & accept[:, None, None]).nonzero(as_tuple=True)
        x[:, at[0][n, i], at[1][n, j]] = proposed.movedim(1, 0)[:, n, i, j]
        return int(accept.sum())

    def _log_prob(self) -> float:
        with torch.no_grad():
            return float(self.model.log_prob(self.x[None]))

    def state_dict(self) -> dict[str, Any]:
        """What the chain goes on from, as if it had not been interrupted."""
        state = {"x": self.x, "log_prob": self.log_prob, "acceptance": self.acceptance}
        return state | {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where `state_dict` was called."""
        self.x, self.log_prob = state["x"], state["log_prob"]
        self.acceptance = state["acceptance"]
        self.generator.set_state(state["generator"])
