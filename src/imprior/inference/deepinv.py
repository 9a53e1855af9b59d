"""Denoisers of imprior in deepinv, and physics of deepinv as measurements here.

deepinv is not imported: its denoisers are modules called as `denoiser(y, sigma)`, and of its
physics only `A` and `A_dagger` are used.
"""

from __future__ import annotations

from typing import Protocol, final

from torch import Tensor, nn

from imprior.denoisers import Denoiser
from imprior.inference.operators import Custom, Shape


class Physics(Protocol):
    """What is used of `deepinv.physics.LinearPhysics`."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802 (deepinv's name)
        """The measurement, without noise."""
        ...

    def A_dagger(self, y: Tensor) -> Tensor:  # noqa: N802 (deepinv's name)
        """Its pseudo-inverse."""
        ...


@final
class DeepinvDenoiser(nn.Module):
    """A blind denoiser with the signature of deepinv's; the noise level it is told is not used.

    Arguments:
        model: Any `Denoiser`.
    """

    def __init__(self, model: Denoiser) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
        """Clean images from noisy ones, (B, C, H, W) -> (B, C, H, W)."""
        return self.model.denoise(x)


def measured_by(physics: Physics, y: Tensor, shape: Shape) -> tuple[Custom, Tensor]:
    r"""What `solve` needs of measurements that were made with deepinv's linear physics.

    Rows of A need not be orthonormal: what y says of an image is its orthogonal projection
    :math:`A^+ A x = A^+ y`, which is what the operator measures.

    Arguments:
        physics: Linear physics. If its pseudo-inverse iterates, its tolerance must be as small as
            that of `check_adjoint`.
        y: Measurements without noise, one for each image.
        shape: (C, H, W) of the images.

    Returns:
        The operator, and its measurements of the images.

    Example:
        `operator, measured = measured_by(physics, physics.A(x), x.shape[1:])`
    """
    operator = Custom.projection(shape, lambda x: physics.A_dagger(physics.A(x)))
    return operator, physics.A_dagger(y)
