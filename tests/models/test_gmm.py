"""The mixture of Gaussians: a density, its two faces, its samples and its conditionals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from imprior.models.baselines.gmm import GMM, GMMConfig


def toy(num_components: int = 3, height: int = 1, width: int = 4, channels: int = 1) -> GMM:
    """A mixture with unequal weights and correlated components, float64."""
    model = GMM(GMMConfig(channels, height, width, num_components)).double()
    with torch.no_grad():
        model.log_weights.copy_(torch.randn(num_components))
        model.means.copy_(torch.randn(model.means.shape))
        noise = 0.5 * torch.randn(model.factors.shape)
        model.factors.copy_(noise + torch.diag_embed(1 + torch.rand(model.means.shape)))
    return model


def oracle(model: GMM) -> list[tuple[float, MultivariateNormal]]:
    """Weights and Gaussians by the textbook."""
    weights = model.log_weights.softmax(0).tolist()
    factors = model.factors.detach().triu()
    precisions = factors @ factors.mT
    means = model.means.detach()
    return [
        (weight, MultivariateNormal(mean, precision_matrix=precision))
        for weight, mean, precision in zip(weights, means, precisions, strict=True)
    ]


def moments(model: GMM) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the mixture."""
    parts = oracle(model)
    mean = sum((w * normal.mean for w, normal in parts), torch.zeros(()))
    second = sum(
        (w * (n.covariance_matrix + n.mean.outer(n.mean)) for w, n in parts), torch.zeros(())
    )
    return mean, second - mean.outer(mean)


def test_density_is_the_textbook_mixture() -> None:
    model, x = toy(), torch.randn(50, 4).double()
    expected = sum((w * n.log_prob(x).exp() for w, n in oracle(model)), torch.zeros(()))
    torch.testing.assert_close(model.log_density(x), expected.log(), rtol=1e-12, atol=1e-12)


def test_one_component_is_the_closed_form_gaussian() -> None:
    model, x = toy(num_components=1), torch.randn(20, 4).double()
    (_, normal), *_ = oracle(model)
    torch.testing.assert_close(model.log_density(x), normal.log_prob(x), rtol=1e-12, atol=1e-12)


def test_responsibilities_are_bayes_rule() -> None:
    model, x = toy(), torch.randn(30, 4).double()
    r = model.responsibilities(x)
    torch.testing.assert_close(r.sum(1), torch.ones(30).double(), rtol=0, atol=1e-14)
    joint = r * model.log_density(x).exp()[:, None]
    expected = torch.stack([w * n.log_prob(x).exp() for w, n in oracle(model)], 1)
    torch.testing.assert_close(joint, expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(dim: int) -> None:
    model = toy(width=dim)
    step = 0.05
    axis = torch.arange(-20, 20, step, dtype=torch.float64)
    points = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
    total = model.log_density(points).exp().sum().item() * step**dim
    assert total == pytest.approx(1, abs=1e-9)


def test_log_density_has_the_right_gradients() -> None:
    model = toy(num_components=2, width=3)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    parameters = tuple(model.parameters())

    def log_density(x: Tensor, *_: Tensor) -> Tensor:
        return model.log_density(x)

    assert torch.autograd.gradcheck(log_density, (x, *parameters))
    assert all(p.grad is None or p.grad.abs().sum() > 0 for p in parameters)


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = toy(), torch.randn(11, 4).double()
    whole = model.log_density(x)
    monkeypatch.setattr("imprior.models.baselines.gmm.CHUNK_NUMBERS", 1)
    torch.testing.assert_close(model.log_density(x), whole, rtol=1e-14, atol=1e-14)
    assert model.log_density(x[:0]).shape == (0,) and model.log_joint(x[:0]).shape == (0, 3)


def test_patches_are_vectors_in_row_major_order() -> None:
    model = toy(channels=2, height=2, width=3)
    x = torch.randn(5, 2, 2, 3).double()
    assert model.log_prob(x).shape == (5,) and model.log_prob(x).dtype == torch.float64
    torch.testing.assert_close(model.log_prob(x), model.log_density(x.reshape(5, 12)))
    torch.testing.assert_close(model.log_prob(x[:1]), model.log_prob(x)[:1], rtol=0, atol=1e-12)
    bits = -model.log_prob(x) / (12 * math.log(2))
    torch.testing.assert_close(model.bits_per_dim(x), bits)


def test_samples_have_the_mean_and_covariance_of_the_mixture() -> None:
    model = toy(channels=1, height=2, width=2)
    x = model.sample((200_000, 2, 2), generator=torch.Generator().manual_seed(0))
    assert x.shape == (200_000, 1, 2, 2)
    vectors = x.flatten(1)
    mean, covariance = moments(model)
    scale = covariance.diagonal().max().item()
    assert (vectors.mean(0) - mean).abs().max() < 5 * (scale / 200_000) ** 0.5
    assert (torch.cov(vectors.T) - covariance).abs().max() < 0.03 * scale


def test_same_generator_same_draw() -> None:
    model = toy(height=2, width=2)
    first, second = (
        model.sample((9, 2, 2), generator=torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_conditional_is_joint_over_marginal() -> None:
    model, x = toy(width=5), torch.randn(6, 5).double()
    known = torch.tensor([True, False, True, False, False])
    x[:, known] = x[0, known]
    conditional = model.given(x[0, known], known)
    marginal = sum(
        (
            w
            * MultivariateNormal(n.mean[known], n.covariance_matrix[known][:, known])
            .log_prob(x[0, known])
            .exp()
            for w, n in oracle(model)
        ),
        torch.zeros(()),
    )
    expected = model.log_density(x) - marginal.log()
    actual = conditional.log_density(x[:, ~known])
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_given_nothing_is_the_model_itself() -> None:
    model, x = toy(), torch.randn(6, 4).double()
    same = model.given(torch.zeros(0).double(), torch.zeros(4, dtype=torch.bool))
    torch.testing.assert_close(same.log_density(x), model.log_density(x))


def test_says_what_is_wrong() -> None:
    model = toy(height=2, width=2)
    with pytest.raises(ValueError, match=r"\(B, 1, 2, 2\), got \(3, 1, 2, 3\)"):
        model.log_prob(torch.zeros(3, 1, 2, 3))
    with pytest.raises(ValueError, match=r"floating-point values, got torch\.int64"):
        model.log_prob(torch.zeros(3, 1, 2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"\(N, 4\), got \(3, 5\)"):
        model.log_density(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="asked for 3 x 2"):
        model.sample((1, 3, 2), generator=torch.Generator())
    with pytest.raises(ValueError, match="at least one of them False"):
        model.given(torch.zeros(4), torch.ones(4, dtype=torch.bool))
    with pytest.raises(ValueError, match="must be the 2 known numbers"):
        model.given(torch.zeros(3), torch.tensor([True, True, False, False]))
    with pytest.raises(ValueError, match="num_components must be at least 1, got 0"):
        GMMConfig(num_components=0)
