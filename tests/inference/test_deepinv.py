"""Denoisers work in deepinv and its physics here; with stand-ins where it is not installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.denoisers import Denoiser
from imprior.inference.deepinv import DeepinvDenoiser, measured_by
from imprior.inference.operators import check_adjoint
from imprior.inference.posterior import solve
from imprior.inference.schedule import Schedule
from tests.inference.gaussian import Gaussian, seeded

SHAPE = (1, 16, 16)
PRIOR = Gaussian(SHAPE, torch.tensor([1, 0.5], dtype=torch.float64))


@dataclass(frozen=True)
class Config:
    channels: int = 1


class Wiener(Denoiser):
    """The best denoiser of the Gaussian prior."""

    receptive_field = 31

    def __init__(self) -> None:
        super().__init__(Config())

    def denoise(self, y: Tensor) -> Tensor:
        return PRIOR.denoise(y)


class Scaling:
    """Twice every other column: rows that are orthogonal, but not of length 1."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        return 2 * x[..., ::2]

    def A_dagger(self, y: Tensor) -> Tensor:  # noqa: N802
        return torch.stack([y / 2, torch.zeros_like(y)], -1).flatten(-2)


def solves(physics: Any, tolerance: float) -> None:
    """The image comes back from measurements that determine it."""
    x = PRIOR.sample(2, generator=seeded(1)).float()
    y = physics.A(x)
    operator, measured = measured_by(physics, y, SHAPE)
    check_adjoint(operator, dtype=torch.float32)
    schedule = Schedule(sigma_end=1e-3)
    image = solve(PRIOR.denoise, operator, measured, schedule, generator=seeded()).images[0]
    assert (physics.A(image) - y).abs().amax() < tolerance
    assert (image - x).square().mean().sqrt() < 0.01 * x.std()


def test_measurements_without_orthonormal_rows() -> None:
    solves(Scaling(), 1e-6)


def test_denoiser_has_the_signature_of_deepinv() -> None:
    y = torch.rand(2, *SHAPE)
    denoiser = DeepinvDenoiser(Wiener())
    assert torch.equal(denoiser(y, 0.1), PRIOR.denoise(y))
    assert torch.equal(denoiser(y, torch.tensor([0.1, 0.2])), denoiser(y))


@pytest.fixture
def deepinv() -> Any:
    return pytest.importorskip("deepinv", reason="deepinv (which needs torchvision) is missing")


def test_physics_of_deepinv(deepinv: Any) -> None:
    known = (torch.rand(SHAPE, generator=seeded()) < 0.5).float()
    solves(deepinv.physics.Inpainting(SHAPE, mask=known), 1e-6)
    # Its pseudo-inverse is found by conjugate gradients.
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    physics = deepinv.physics.Downsampling(
        img_size=SHAPE, filter=kernel.outer(kernel)[None, None], factor=2, padding="circular"
    )
    solves(physics, 1e-4)


def test_denoiser_in_an_algorithm_of_deepinv(deepinv: Any) -> None:
    x = PRIOR.sample(1, generator=seeded(1)).float()
    known = (torch.rand(SHAPE, generator=seeded()) < 0.5).float()
    physics = deepinv.physics.Inpainting(SHAPE, mask=known)
    solver = deepinv.optim.optim_builder(
        "PGD",
        prior=deepinv.optim.prior.PnP(denoiser=DeepinvDenoiser(Wiener())),
        data_fidelity=deepinv.optim.data_fidelity.L2(),
        params_algo={"stepsize": 1.0, "g_param": 0.1},
        max_iter=100,
    )
    restored = solver(physics.A(x), physics)
    assert (restored - x).square().mean() < 0.1 * (physics.A(x) - x).square().mean()
