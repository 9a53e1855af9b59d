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


def log_bin_mass(centred: Tensor, inverse_scale: Tensor, first: Tensor, last: Tensor) -> Tensor:
    r"""Log-probability that a logistic variable lies in a bin of width 1.

    .. math::
        \log[\sigma(z + r/2) - \sigma(z - r/2)]
        = \log \sigma(z + r/2) + \log \sigma(r/2 - z) + \log(1 - e^{-r}), \quad z = r (k - \mu)

    Finite, with a gradient, in the far tails too, where the difference underflows.

    Arguments:
        centred: :math:`k - \mu`, middles of bins relative to the mean.
        inverse_scale: :math:`r`, positive.
        first: Where the bin has no lower end, bool.
        last: Where it has no upper end, bool; shapes broadcast.

    Returns:
        Nats, at most 0.

    Example:
        >>> nowhere = torch.tensor(False)
        >>> log_bin_mass(torch.tensor(0.0), torch.tensor(2.0), nowhere, nowhere).exp()
        tensor(0.4621)
    """
    z, half = centred * inverse_scale, 0.5 * inverse_scale
    below = torch.where(last, 0.0, torch.nn.functional.logsigmoid(z + half))
    above = torch.where(first, 0.0, torch.nn.functional.logsigmoid(half - z))
    width = torch.where(first | last, 0.0, torch.log(-torch.expm1(-inverse_scale)))
    return below + above + width
