"""The mode: missing pixels that make an image as probable as they can, by gradient ascent."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, final

import torch
from torch import Tensor

from imprior.base import Differentiable

ITERATIONS = 10
"""Of L-BFGS in one call of `advance`."""


@final
class ModeSearch:
    r"""Ascends the log-density of an image by the pixels of a hole.

    .. math:: \max_{x_\text{hole}} \; \log p(x), \quad 0 < x < 1

    The missing pixels are :math:`1 / (1 + e^{-z})` of free variables z, which L-BFGS moves with a
    line search: no step makes the image less probable. Known pixels stand at the middles of their
    bins, and missing ones end as the integers whose bins they are in. The mode of a texture is
    smoother than the texture: it answers "what is likeliest", not "what could have been there".

    Arguments:
        model: A density that can be differentiated by the image.
        x: The image with the hole filled, int64 (C, H, W): where the search begins.
        hole: Which pixels are missing, bool (H, W).
        bits: Depth of the image.

    Attributes:
        log_prob: Log-density of the whole image, nats.
        acceptance: None; a `Chain` has one.
        converged: Whether the last call of `advance` gained next to nothing.

    Source: Theis & Bethge (2015), Sec. 4.4, the authors' code (`--method MAP`), which takes plain
    gradient steps patch by patch.
    """

    acceptance = None

    def __init__(self, model: Differentiable, x: Tensor, hole: Tensor, bits: int) -> None:
        self.model = model
        self.levels = 2**bits
        self.hole = hole
        self.known = (x.double() + 0.5) / self.levels
        self.z = self.known[:, hole].logit().requires_grad_()
        self.optimizer = torch.optim.LBFGS(
            [self.z], max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
        )
        self.converged = False
        self.log_prob = self._log_prob()

    @property
    def x(self) -> Tensor:
        """The current image as integers, int64 (C, H, W)."""
        with torch.no_grad():
            return (self._image() * self.levels).floor().clamp(0, self.levels - 1).long()

    def advance(self) -> None:
        """`ITERATIONS` steps, or fewer if there is nothing to gain."""
        before = self.log_prob
        self.optimizer.step(self._loss_and_gradient)
        self.log_prob = self._log_prob()
        self.converged = self.log_prob - before < 1e-6 * max(1.0, abs(before))

    def _image(self) -> Tensor:
        image = self.known.clone()
        image[:, self.hole] = self.z.sigmoid()
        return image

    def _loss_and_gradient(self) -> Tensor:
        loss = -self.model.log_density_map(self._image()[None]).sum()
        # Not `backward`, which would leave gradients at the model's parameters.
        (self.z.grad,) = torch.autograd.grad(loss, self.z)
        return loss.detach()

    def _log_prob(self) -> float:
        with torch.no_grad():
            return float(self.model.log_density_map(self._image()[None]).sum())

    def state_dict(self) -> dict[str, Any]:
        """What the search goes on from, as if it had not been interrupted."""
        optimizer = deepcopy(self.optimizer.state_dict())  # the optimizer writes into its tensors
        state = {"z": self.z.detach().clone(), "optimizer": optimizer}
        return state | {"log_prob": self.log_prob, "converged": self.converged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where `state_dict` was called."""
        with torch.no_grad():
            self.z.copy_(state["z"])
        self.optimizer.load_state_dict(deepcopy(state["optimizer"]))
        self.log_prob, self.converged = state["log_prob"], state["converged"]
