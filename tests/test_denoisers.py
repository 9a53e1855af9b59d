"""What every denoiser has, on one whose images are known: white and Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from imprior.base import Multiscale
from imprior.denoisers import Denoiser, MultiscaleDenoiser


@dataclass(frozen=True)
class WienerConfig:
    channels: int = 1
    bits: int = 8
    sigma: float = 0.5


class Wiener(Denoiser):
    """The best estimate of white images of deviation 1 whose noise is known."""

    config_class = WienerConfig

    @property
    def receptive_field(self) -> int:
        return 1

    def denoise(self, y: Tensor) -> Tensor:
        self.check(y)
        return y / (1 + self.config.sigma**2)


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 1, 4, 5, dtype=torch.float64)


def test_score_is_the_gradient_of_the_logarithm_of_the_density() -> None:
    model, y = Wiener(WienerConfig()), images().requires_grad_()
    density = torch.distributions.Normal(0.0, torch.tensor(1.25).double().sqrt())
    (expected,) = torch.autograd.grad(density.log_prob(y).sum(), y)
    torch.testing.assert_close(model.score(y, 0.5), expected)


def test_score_takes_a_level_for_each_image() -> None:
    model, y = Wiener(WienerConfig()), images()
    levels = torch.tensor([0.5, 1.0, 0.25])
    each = [model.score(image[None], float(level)) for image, level in zip(y, levels, strict=True)]
    torch.testing.assert_close(model.score(y, levels), torch.cat(each))
    assert model.score(y.float(), levels.double()).dtype == torch.float32


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), torch.tensor([1.0, 1.0, 0.0])])
def test_scores_without_noise_are_refused(sigma: float | Tensor) -> None:
    with pytest.raises(ValueError, match="positive sigma"):
        Wiener(WienerConfig()).score(images(), sigma)


def test_denoisers_are_of_continuous_values_whatever_they_learnt_from() -> None:
    assert Wiener(WienerConfig(bits=8)).bits is None


def test_what_tiles_need_to_know_is_little_for_one_pixel_at_a_time() -> None:
    model = Wiener(WienerConfig())
    assert (model.halo, model.alignment, model.periodic) == (0, 1, False)


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        (torch.zeros(1, 1, 4, 4).long(), r"Wiener takes floats in \[0, 1\], got torch.int64"),
        (torch.full((1, 1, 4, 4), torch.nan), "got NaN or infinity"),
        (torch.full((1, 1, 4, 4), torch.inf), "got NaN or infinity"),
        (torch.zeros(1, 2, 4, 4), r"takes images of shape \(B, 1, H, W\)"),
    ],
)
def test_what_is_no_batch_of_floats_is_refused(y: Tensor, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Wiener(WienerConfig()).denoise(y)


def test_values_beyond_black_and_white_are_taken() -> None:
    assert Wiener(WienerConfig()).denoise(10 * images()).shape == (3, 1, 4, 5)


def test_denoisers_of_scales_can_what_both_can() -> None:
    assert issubclass(MultiscaleDenoiser, Denoiser) and issubclass(MultiscaleDenoiser, Multiscale)
    missing = {"denoise", "receptive_field", "split", "join", "given", "num_scales"}
    assert MultiscaleDenoiser.__abstractmethods__ == missing
