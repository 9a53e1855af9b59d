"""The standard logistic distribution of an interval."""

from __future__ import annotations

import torch
from torch import Tensor


def bin_mass(lower: Tensor, upper: Tensor) -> Tensor:
    r"""Probability that a standard logistic variable lies in an interval.

    .. math:: \sigma(upper) - \sigma(lower), \quad \sigma(z) = 1 / (1 + e^{-z})

    taken in whichever tail both values are small in.

    Arguments:
        lower: Lower edges in units of the scale, -inf allowed.
        upper: Upper edges, at least `lower`, +inf allowed; shapes broadcast.

    Returns:
        The masses, in [0, 1]. They underflow to 0, with gradient 0, beyond 745 scales.

    Example:
        >>> bin_mass(torch.tensor(-1.0), torch.tensor(1.0))
        tensor(0.4621)
    """
    above = lower + upper > 0
    near, far = torch.where(above, -lower, upper), torch.where(above, -upper, lower)
    return torch.sigmoid(near) - torch.sigmoid(far)
