"""Ensembles over the symmetries of the square: one model, asked about eight views of an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from imprior.base import LikelihoodModel
from imprior.data.loading import symmetry

SYMMETRIES = tuple(range(8))
"""The numbers of the 8 symmetries of the square; see `imprior.data.loading.symmetry`."""


def members(
    log_prob: Callable[[Tensor], Tensor], x: Tensor, symmetries: Sequence[int] = SYMMETRIES
) -> Tensor:
    """What each member of an ensemble says of images; one member at a time.

    Arguments:
        log_prob: Scores images of any size, (B, C, H, W) -> (B,).
        x: The images.
        symmetries: Which members there are.

    Returns:
        log p(T_k x), float64, shape (K, B).
    """
    return torch.stack([log_prob(symmetry(x, k).contiguous()).double() for k in symmetries])


def log_mean_exp(log_probs: Tensor) -> Tensor:
    """Logarithm of the mean probability of members: (K, B) -> (B,).

    Example:
        >>> log_mean_exp(torch.tensor([[0.25], [0.75]]).log()).exp()
        tensor([0.5000])
    """
    return log_probs.logsumexp(0) - math.log(len(log_probs))


class Ensemble(LikelihoodModel):
    r"""The mean of a model's probabilities of an image seen in several symmetries.

    .. math:: q(x) = \frac 1K \sum_k p(T_k x) \, |\det T_k|

    Mirroring, turning over and transposing permute pixels, so :math:`|\det T_k| = 1` for masses
    and densities alike; of lower bounds the mean is a lower bound. With all 8 symmetries q is the
    same for all views of an image. All members score whole images, hence the same pixels.

    Arguments:
        model: Any model of whole images; `likelihood` is that of the model.
        symmetries: Numbers of the symmetries, 0 to 7; see `imprior.data.loading.symmetry`.

    Raises:
        ValueError: If there are no symmetries, one comes twice, or one is not 0 to 7.

    Source: Theis & Bethge (2015), "Ensembles".
    """

    def __init__(self, model: LikelihoodModel, symmetries: Sequence[int] = SYMMETRIES) -> None:
        super().__init__(model.config)
        unique = set(symmetries)
        if not unique or len(unique) != len(symmetries) or not unique <= set(SYMMETRIES):
            raise ValueError(f"symmetries must be different numbers 0 to 7, got {symmetries}")
        self.model = model
        self.symmetries = tuple(symmetries)
        # Not of the class: an ensemble's probabilities are of the kind that its members' are.
        self.likelihood = model.likelihood  # type: ignore[misc]

    @property
    def channels(self) -> int:
        return self.model.channels

    @property
    def bits(self) -> int | None:
        return self.model.bits

    def log_prob(self, x: Tensor) -> Tensor:
        return log_mean_exp(members(self.model.log_prob, x, self.symmetries))

    def extra_repr(self) -> str:
        return f"symmetries={self.symmetries}"
