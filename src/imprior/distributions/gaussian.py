"""The standard normal distribution of an interval."""

from __future__ import annotations

import torch
from torch import Tensor


def bin_mass(lower: Tensor, upper: Tensor) -> Tensor:
    r"""Probability that a standard normal variable lies in an interval.

    .. math:: \Phi(upper) - \Phi(lower)

    taken in whichever tail both values are small in, so that bins far above the mean are as
    accurate as those far below it.

    Arguments:
        lower: Lower edges in standard deviations, -inf allowed.
        upper: Upper edges, at least `lower`, +inf allowed; shapes broadcast.

    Returns:
        The masses, in [0, 1]. They underflow to 0, with gradient 0, beyond 38 standard deviations.

    Example:
        >>> bin_mass(torch.tensor(-1.0), torch.tensor(1.0))
        tensor(0.6827)
    """
    above = lower + upper > 0
    near, far = torch.where(above, -lower, upper), torch.where(above, -upper, lower)
    return torch.special.ndtr(near) - torch.special.ndtr(far)
