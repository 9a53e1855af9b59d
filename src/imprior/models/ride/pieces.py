"""What the parallel pass of a RIDE is made of: pixels with their states, questions to mixtures."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM


class Piece(NamedTuple):
    """Some pixels of a batch, in the order of anti-diagonals.

    Attributes:
        image, y, x: Where they are, int64 (n,).
        inputs: Whitened contexts of the first plane, (n, D).
        hidden: The last layer's outputs, (n, num_units).
    """

    image: Tensor
    y: Tensor
    x: Tensor
    inputs: Tensor
    hidden: Tensor


class Term(NamedTuple):
    """A mixture and what it is asked: the log-probability is that of y given x, plus `shift`."""

    mixture: FactorizedMCGSM
    x: Tensor
    y: Tensor | Bins
    shift: Tensor
