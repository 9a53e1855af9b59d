"""The compiled pass over pixels computes what `kernels` computes."""

from __future__ import annotations

import pytest
import torch

from imprior.models.ride import kernels
from imprior.models.ride.mixture import FactorizedMCGSM
from imprior.models.ride.score import score
from tests.models.mixtures import toy


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize(
    "sizes", [(5, 3, 2, 4), (1, 1, 1, 1), (6, 17, 3, 9), (4, 2, 5, 0), (0, 3, 2, 0)], ids=str
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-3)])
def test_total_and_gradients_are_those_of_the_plain_kernels(
    sizes: tuple[int, int, int, int], means: bool, dtype: torch.dtype, tolerance: float
) -> None:
    mixture = toy((*sizes, means)).to(dtype)
    p = mixture.folded()
    x, y = torch.randn(37, sizes[0], dtype=dtype), torch.randn(37, dtype=dtype)
    total, gradient, by_rows = score(p, x, y)
    f = kernels.forward(p, x)
    fit = kernels.likelihood(p, f, y)
    assert total == pytest.approx(fit.log_prob.sum().item(), rel=tolerance)
    expected, by_expected = kernels.backward(p, x, f, fit)
    for one, other in zip((*gradient, by_rows), (*expected, by_expected), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_targets_far_from_every_expert_have_finite_gradients() -> None:
    mixture = toy((4, 3, 2, 4, False)).float()
    x, y = 30 * torch.randn(20, 4), 1e4 * torch.randn(20)
    total, gradient, by_rows = score(mixture.folded(), x, y)
    assert torch.tensor(total).isfinite()
    assert all(part.isfinite().all() for part in (*gradient, by_rows))


def test_numbers_that_are_not_finite_are_not_hidden() -> None:
    mixture: FactorizedMCGSM = toy((4, 3, 2, 4, False))
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    y[2] = torch.nan
    assert score(mixture.folded(), x, y)[0] != score(mixture.folded(), x, y)[0]
