"""The closed form that a trained score is compared with is itself the gradient of a log-density."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments import gaussian_score
from experiments.gaussian_score import DEVIATION, SIDE, Fields, error, residual, transfer
from imprior.denoisers import Denoiser
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig


class Wiener(Denoiser):
    """The best denoiser of the field at one level of noise; `share` of its residual."""

    def __init__(self, sigma: float, share: float = 1) -> None:
        super().__init__(FlatDenoiserConfig())
        self.sigma, self.share = sigma, share

    @property
    def receptive_field(self) -> int:
        return 9

    def denoise(self, y: Tensor) -> Tensor:
        return y + self.share * residual(y, self.sigma)


def test_residual_is_the_score_of_a_normal_distribution() -> None:
    side, sigma = 4, 0.3
    pixels = torch.eye(side**2).view(-1, 1, side, side)
    smooth = torch.fft.ifft2(torch.fft.fft2(pixels) * transfer(side)).real.flatten(1).double()
    covariance = smooth.T @ smooth + sigma**2 * torch.eye(side**2)
    y = torch.randn(3, 1, side, side).requires_grad_()
    normal = torch.distributions.MultivariateNormal(torch.zeros(side**2).double(), covariance)
    normal.log_prob(y.flatten(1).double()).sum().backward()
    assert y.grad is not None
    assert torch.allclose(residual(y, sigma), sigma**2 * y.grad, atol=1e-5)


def test_fields_have_their_deviation_and_smoothness() -> None:
    images = torch.stack([Fields(1, seed=0)[number] for number in range(64)])
    assert images.shape == (64, 1, SIDE, SIDE)
    assert abs(float(images.std()) / DEVIATION - 1) < 0.02
    neighbours = float((images * images.roll(1, -1)).mean() / images.square().mean())
    assert abs(neighbours - 2 / 3) < 0.02  # of a binomial filter: (1, 4, 6, 4, 1) / 6


@pytest.mark.parametrize("sigma", [0.1, 0.4])
def test_error_is_relative(sigma: float) -> None:
    images = torch.stack([Fields(1, seed=1)[number] for number in range(2)])
    assert error(Wiener(sigma), images, sigma) < 1e-6  # type: ignore[arg-type]
    assert abs(error(Wiener(sigma, 0.9), images, sigma) - 0.1) < 1e-5  # type: ignore[arg-type]


@pytest.mark.parametrize("blind", [False, True])
def test_a_network_learns_the_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blind: bool
) -> None:
    monkeypatch.setattr(gaussian_score, "NETWORK", NetworkConfig(3, 4, 7))
    monkeypatch.setattr(gaussian_score, "RESULTS", tmp_path / "results.json")
    gaussian_score.main(60, blind, tmp_path / "runs")
    records = json.loads((tmp_path / "results.json").read_text())
    assert [record["name"][-3:] for record in records] == ["0.1", "0.2", "0.4"]
    assert all(0 < record["value"] < 100 for record in records)  # 100 % is no denoiser at all
    assert len(list((tmp_path / "runs").iterdir())) == (1 if blind else 3)
