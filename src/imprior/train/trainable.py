"""What a network offers to be trained."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Trainable(Protocol):
    """What a network offers to be trained.

    A batch is what the data are: int64 images (B, C, H, W), or floats in [0, 1] that carry their
    dequantization noise already. What else is random in a loss, as dropout is, comes from torch's
    global generator: training seeds it anew for each step.
    """

    def loss(self, batch: Tensor) -> Tensor:
        """What training lowers: a scalar, mean nats per dimension if `metrics` has bits of it."""
        ...

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        """Figures, such as `bits_per_dim`: scalars, each a mean over the images of the batch.

        The same whenever it gets the same batch.
        """
        ...
