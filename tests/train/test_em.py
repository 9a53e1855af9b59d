"""EM: it climbs, it agrees with the model, it stops, it goes on, it survives dead components."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor

from imprior.models.baselines.gmm import GMM, GMMConfig
from imprior.train.em import EMConfig, EMState, centres, fit
from imprior.train.gaussians import Whitening, expect, features, maximize, moments, revive

CLASSICAL = EMConfig(batch_size=10**6, max_passes=25, prior_count=0, tolerance=0, min_count=0)


def clusters(n: int = 2000) -> Tensor:
    """Three overlapping clouds in 4 dimensions of very different variance, float64."""
    z = torch.randn(n, 4).double() @ (torch.eye(4) + 0.4).double()
    z += 3 * torch.randint(3, (n, 1)) * torch.tensor([1.0, -1, 0.5, 0]).double()
    return z * torch.tensor([1.0, 100, 1e-3, 1]).double() + 5


def contrasts(n: int = 6000) -> Tensor:
    """Two clouds in 4 dimensions with the same mean; one is twice as wide as the other."""
    scales = 1.0 + torch.randint(2, (n, 1)).double()
    return scales * torch.randn(n, 4).double()


def gmm(num_components: int = 3, dim: int = 4) -> GMM:
    return GMM(GMMConfig(1, 1, dim, num_components)).double()


def run(data: Tensor, config: EMConfig, num_components: int = 3) -> tuple[GMM, list[EMState]]:
    model, states = gmm(num_components, data.shape[1]), list[EMState]()
    fit(model, data, config, callback=states.append)
    return model, states


@pytest.mark.parametrize("init", ["kmeans", "energy"])
def test_classical_em_never_lowers_the_likelihood(init: Literal["kmeans", "energy"]) -> None:
    data = clusters()
    model, states = run(data, dataclasses.replace(CLASSICAL, init=init), num_components=4)
    climb = [state.train for state in states]
    assert all(after >= before - 1e-11 for before, after in pairwise(climb))
    assert climb[-1] > climb[0] + 0.02
    assert model.log_density(data).mean().item() >= climb[-1] - 1e-11


def test_posterior_never_falls_under_a_prior() -> None:
    data, config = clusters(), dataclasses.replace(CLASSICAL, prior_count=30, prior_variance=0.01)
    z = Whitening.of(data)(data)
    labels = torch.randint(4, (len(z),))
    statistics = torch.stack([features(z[labels == k]).sum(1) for k in range(4)]) / len(z)
    posterior = []
    for _ in range(20):
        gaussians = maximize(statistics, 30 / len(z), config.prior_variance)
        statistics, log_density = expect(z, gaussians)
        precisions = gaussians.factors @ gaussians.factors.mT
        traces = precisions.diagonal(dim1=1, dim2=2).sum(1)
        log_prior = 15 * (precisions.logdet() - config.prior_variance * traces).sum().item()
        posterior.append(log_density * len(z) + log_prior)
    assert all(b >= a - 1e-8 for a, b in pairwise(posterior))
    assert posterior[-1] > posterior[0] + 1


def test_m_step_is_the_mode_of_the_posterior() -> None:
    z, variance = torch.randn(40, 3).double() + 1, 0.3
    statistics = features(z).mean(1)[None]
    best = maximize(statistics, 20 / 40, variance)

    def posterior(log_scale: float, shift: float) -> float:
        factors = best.factors[0] * math.exp(log_scale)
        precision = factors @ factors.T
        normal = torch.distributions.MultivariateNormal(
            best.means[0] + shift, precision_matrix=precision
        )
        log_prior = 10 * (precision.logdet() - variance * precision.trace())
        return float(normal.log_prob(z).sum() + log_prior)

    for log_scale, shift in ((0.02, 0.0), (-0.02, 0.0), (0.0, 0.02), (0.0, -0.02)):
        assert posterior(log_scale, shift) < posterior(0, 0)
    assert posterior(1e-6, 0) == pytest.approx(posterior(-1e-6, 0), abs=1e-8)


def test_one_component_is_the_mean_and_covariance_of_the_data() -> None:
    data = clusters()
    model, _ = run(data, CLASSICAL, num_components=1)
    factor = model.factors[0].detach()
    torch.testing.assert_close(model.means[0].detach(), data.mean(0), rtol=1e-9, atol=1e-9)
    covariance = torch.linalg.inv(factor @ factor.T)
    torch.testing.assert_close(covariance, torch.cov(data.T, correction=0), rtol=1e-8, atol=1e-12)


def test_both_routes_to_the_density_agree() -> None:
    data = clusters()
    model, states = run(data, CLASSICAL)
    whitening = Whitening.of(data)
    gaussians = maximize(states[-1].best_statistics, 0, 1)
    _, log_density = expect(whitening(data), gaussians)
    expected = model.log_density(data).mean().item()
    assert log_density + whitening.log_det == pytest.approx(expected, abs=1e-10)


def test_statistics_are_the_responsibilities_times_the_features() -> None:
    z = torch.randn(500, 3).double()
    labels = torch.randint(2, (500,))
    statistics = torch.stack([features(z[labels == k]).sum(1) for k in range(2)]) / 500
    weights, means, covariances = moments(statistics)
    for k in range(2):
        assert weights[k].item() == pytest.approx((labels == k).double().mean().item())
        torch.testing.assert_close(means[k], z[labels == k].mean(0))
        expected = torch.cov(z[labels == k].T, correction=0)
        torch.testing.assert_close(covariances[k], expected)


def test_single_precision_is_near_double() -> None:
    data = clusters(5000)
    config = dataclasses.replace(CLASSICAL, max_passes=5)
    double, single = gmm(), gmm()
    fit(double, data, config)
    fit(single, data.float(), config)
    gap = (double.log_density(data).mean() - single.log_density(data).mean()).abs()
    assert gap.item() < 1e-3


def test_finds_well_separated_clusters() -> None:
    truth = torch.tensor([[-10.0, 0], [10, 0], [0, 12]]).double()
    data = truth[torch.randint(3, (3000,))] + torch.randn(3000, 2).double()
    model, _ = run(data, dataclasses.replace(CLASSICAL, init="kmeans"))
    found = model.means.detach()[model.means[:, 0].argsort()]
    torch.testing.assert_close(found, truth[truth[:, 0].argsort()], rtol=0, atol=0.15)
    torch.testing.assert_close(
        model.log_weights.softmax(0).detach(), torch.full((3,), 1 / 3).double(), rtol=0, atol=0.04
    )


def test_stepwise_em_ends_where_classical_em_does_but_sooner() -> None:
    data = contrasts()
    classical = dataclasses.replace(CLASSICAL, max_passes=60)
    _, slow = run(data, classical, num_components=2)
    model, fast = run(data, dataclasses.replace(classical, batch_size=300), num_components=2)
    assert fast[2].train > slow[5].train
    reached = model.log_density(data).mean().item()
    assert reached == pytest.approx(slow[-1].train, abs=1e-3)


def test_stops_when_validation_no_longer_improves() -> None:
    data, validation = clusters(80)[:40], clusters(400)
    config = dataclasses.replace(CLASSICAL, max_passes=200, patience=2, prior_count=0.5)
    model, states = gmm(4), list[EMState]()
    last = fit(model, data, config, validation=validation, callback=states.append)
    assert last.passes < 200 and last.stale == 2
    assert last.best_score == max(state.score for state in states)
    score = model.log_density(validation).mean().item()
    assert score == pytest.approx(last.best_score, rel=1e-9)


def test_goes_on_to_the_same_weights() -> None:
    data = clusters()
    config = dataclasses.replace(CLASSICAL, batch_size=200, max_passes=6)
    whole, states = run(data, config)
    resumed = gmm()
    fit(resumed, data, config, state=states[2])
    for mine, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_interrupted_run_leaves_a_state_to_go_on_from() -> None:
    states: list[EMState] = []

    def stop(state: EMState) -> None:
        states.append(state)
        if state.passes == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(gmm(), clusters(), CLASSICAL, callback=stop)
    assert states[-1].passes == 2 and math.isfinite(states[-1].train)


def test_dead_component_takes_half_of_the_largest() -> None:
    z = torch.randn(500, 3).double() * torch.tensor([3.0, 1, 1]).double()
    statistics = torch.zeros(3, 10).double()
    statistics[0] = 0.8 * features(z).mean(1)
    statistics[1] = 0.2 * features(z[:100]).mean(1)
    revived = revive(statistics, 1e-6)
    torch.testing.assert_close(revived.sum(0), statistics.sum(0))
    torch.testing.assert_close(revived[1], statistics[1])
    weights, means, covariances = moments(revived)
    assert weights.tolist() == pytest.approx([0.4, 0.2, 0.4])
    assert (means[0] - means[2]).norm() > 1
    assert torch.linalg.eigvalsh(covariances).min() > 0
    assert torch.equal(revive(revived, 1e-6), revived)


def test_more_components_than_places_do_not_stop_the_start() -> None:
    z = torch.tensor([[0.0], [1.0]]).repeat(10, 1)
    assert centres(z, 5, torch.Generator().manual_seed(0)).shape == (5, 1)


def test_says_what_is_wrong() -> None:
    model = gmm()
    with pytest.raises(ValueError, match=r"shape \(N, 4\), got torch\.float64 of shape \(9, 5\)"):
        fit(model, torch.zeros(9, 5).double(), CLASSICAL)
    with pytest.raises(ValueError, match="3 components need at least as many vectors, got 2"):
        fit(model, clusters(2), CLASSICAL)
    with pytest.raises(ValueError, match="NaN"):
        fit(model, torch.full((9, 4), torch.nan), CLASSICAL)
    with pytest.raises(ValueError, match="covariance is singular"):
        fit(model, torch.ones(9, 4), CLASSICAL)
    _, states = run(clusters(), dataclasses.replace(CLASSICAL, max_passes=1), num_components=2)
    with pytest.raises(ValueError, match="of another model"):
        fit(model, clusters(), CLASSICAL, state=states[-1])
    for wrong in ({"forgetting": 0.5}, {"patience": 0}, {"prior_variance": 0.0}, {"init": "x"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            EMConfig(**wrong)
    with pytest.raises(ValueError, match="collapsed"):
        maximize(torch.zeros(1, 10).double().index_fill(1, torch.tensor([0]), 1), 0, 1)
