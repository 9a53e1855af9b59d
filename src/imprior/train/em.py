r"""Expectation maximization for `GMM`: classical and stepwise EM are one loop.

Source: Dempster, Laird & Rubin (1977); the running average of statistics is stepwise EM, Cappé &
Moulines (2009), "On-line expectation-maximization for latent data models".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from imprior.models.baselines.gmm import GMM
from imprior.train.gaussians import (
    CHUNK,
    Gaussians,
    Whitening,
    expect,
    features,
    maximize,
    mean_log_density,
    revive,
)

INITIAL_VECTORS = 50_000  # what the start looks at


@dataclass(frozen=True)
class EMConfig:
    """How to run EM.

    Attributes:
        max_passes: Passes over the data.
        batch_size: Vectors per update. At least the size of the data: classical EM.
        forgetting: The t-th update replaces the fraction (t + 1)^-forgetting of the statistics,
            but never less than batch size / data size: they remember one pass.
        patience: Stop after so many passes in a row ...
        tolerance: ... that did not raise the mean log density by this much, in nats.
        prior_count: Weight, in vectors, of the inverse Wishart prior of each covariance ...
        prior_variance: ... whose mode is this fraction of the covariance of the data. With a
            count of 0, classical EM never lowers the likelihood, else the posterior density.
        min_count: A component that owns fewer vectors is dead; it gets half of the largest.
        init: Responsibilities to start from: "kmeans" gives each vector to the nearest of K
            centres (k-means++); "energy" to a random one of the few components that share its
            level of contrast, which suits image patches: they differ in variance, not in mean.
        seed: Of the order of the data and of the start.
    """

    max_passes: int = 100
    batch_size: int = 50_000
    forgetting: float = 0.6
    patience: int = 3
    tolerance: float = 1e-3
    prior_count: float = 1.0
    prior_variance: float = 1e-4
    min_count: float = 1.0
    init: Literal["kmeans", "energy"] = "kmeans"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_passes < 1 or self.batch_size < 1 or self.patience < 1:
            raise ValueError(
                "max_passes, batch_size and patience must be at least 1, "
                f"got {self.max_passes}, {self.batch_size} and {self.patience}"
            )
        if not 0.5 < self.forgetting <= 1:
            raise ValueError(f"forgetting must be in (0.5, 1], got {self.forgetting}")
        if self.prior_count < 0 or self.prior_variance <= 0:
            raise ValueError(
                "prior_count must not be negative and prior_variance must be positive, "
                f"got {self.prior_count} and {self.prior_variance}"
            )
        if self.init not in ("kmeans", "energy"):
            raise ValueError(f"init must be 'kmeans' or 'energy', got {self.init!r}")


@dataclass(frozen=True)
class EMState:
    """Where a run is after a pass: all that is needed to go on to the same result.

    Attributes:
        passes: Passes done.
        updates: Updates done.
        train: Mean log density of the vectors of the last pass, each seen by the model as it
            was just before its update, nats.
        score: Mean log density of the validation vectors after the pass (`train` without any).
        best_score: The best score of all passes.
        stale: Passes since a score rose by the tolerance.
        statistics: Mean responsibilities times features, float64 (K, F).
        best_statistics: Those of the best score.
    """

    passes: int
    updates: int
    train: float
    score: float
    best_score: float
    stale: int
    statistics: Tensor
    best_statistics: Tensor


def start(z: Tensor, num_components: int, config: EMConfig) -> Tensor:
    """Statistics of hard assignments (see `EMConfig.init`), a tenth of them spread evenly."""
    generator = torch.Generator().manual_seed(config.seed)
    z = z[:INITIAL_VECTORS]
    if config.init == "energy":
        levels = math.isqrt(num_components - 1) + 1
        level = z.square().sum(1).argsort().argsort() * levels // len(z)
        place = level + torch.rand(len(z), generator=generator)
        labels = (place * num_components / levels).long().clamp_(max=num_components - 1)
    else:
        labels = torch.cdist(z, centres(z, num_components, generator)).argmin(1)
    one_hot = torch.nn.functional.one_hot(labels, num_components).to(z.dtype)
    responsibilities = 0.9 * one_hot + 0.1 / num_components
    statistics = torch.zeros(num_components, len(features(z[:1])), dtype=torch.float64)
    for chunk, rows in zip(z.split(CHUNK), responsibilities.split(CHUNK), strict=True):
        statistics += rows.T @ features(chunk).T
    return statistics / len(z)


def centres(z: Tensor, num_components: int, generator: torch.Generator) -> Tensor:
    """k-means++ (Arthur & Vassilvitskii 2007): each centre is drawn far from those before it."""
    chosen = z[torch.randint(len(z), (1,), generator=generator)]
    nearest = z.new_full((len(z),), math.inf)
    while len(chosen) < num_components:
        nearest = torch.minimum(nearest, (z - chosen[-1]).square().sum(1))
        nearest = nearest.clamp_(min=1e-30)  # where all that is left repeats a centre
        chosen = torch.cat([chosen, z[nearest.multinomial(1, generator=generator)]])
    return chosen


@torch.no_grad()
def fit(
    model: GMM,
    data: Tensor,
    config: EMConfig,
    *,
    validation: Tensor | None = None,
    state: EMState | None = None,
    callback: Callable[[EMState], None] | None = None,
) -> EMState:
    """Fits a mixture to vectors and leaves the best of all passes in `model`.

    Arguments:
        model: The mixture to fit; its parameters are overwritten.
        data: Vectors (N, D); the arithmetic is done in their dtype.
        config: How to run.
        validation: Vectors (M, D) that choose the pass and stop the run; without them the
            training vectors do.
        state: Where to go on; the same data, configuration and state give the same result.
        callback: Called with the state after every pass, to show or to save it.

    Returns:
        The state after the last pass.

    Raises:
        ValueError: If the vectors do not fit the model, are fewer than the components, do not
            fill their dimensions, or the state is of another model.
    """
    check(model, data, state)
    whitening = Whitening.of(data)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(config.seed))
    z = whitening(data[order])
    z_validation = None if validation is None else whitening(validation.to(data.dtype))
    if state is None:
        first = start(z, model.config.num_components, config)
        state = EMState(0, 0, -math.inf, -math.inf, -math.inf, 0, first, first)
    while state.passes < config.max_passes and state.stale < config.patience:
        state = one_pass(state, z, z_validation, whitening.log_det, config)
        if callback is not None:
            callback(state)
    prior = config.prior_count / len(data), config.prior_variance
    install(model, maximize(state.best_statistics, *prior), whitening)
    return state


def one_pass(
    state: EMState, z: Tensor, validation: Tensor | None, log_det: float, config: EMConfig
) -> EMState:
    """Updates the statistics batch by batch, then scores what they say."""
    statistics, updates, train = state.statistics, state.updates, 0.0
    prior = config.prior_count / len(z), config.prior_variance
    gaussians = maximize(statistics, *prior)
    for batch in z.split(config.batch_size):
        updates += 1
        fresh, log_density = expect(batch, gaussians)
        rate = max((updates + 1) ** -config.forgetting, len(batch) / len(z))
        statistics = revive(torch.lerp(statistics, fresh, rate), config.min_count / len(z))
        gaussians = maximize(statistics, *prior)
        train += log_density * len(batch) / len(z)
    score = train if validation is None else mean_log_density(validation, gaussians)
    score += log_det
    better = score > state.best_score
    return EMState(
        passes=state.passes + 1,
        updates=updates,
        train=train + log_det,
        score=score,
        best_score=max(score, state.best_score),
        stale=0 if score > state.best_score + config.tolerance else state.stale + 1,
        statistics=statistics,
        best_statistics=statistics if better else state.best_statistics,
    )


def install(model: GMM, gaussians: Gaussians, whitening: Whitening) -> None:
    """Writes Gaussians of whitened vectors into a model of the vectors themselves."""
    model.log_weights.copy_(gaussians.log_weights.log_softmax(0))
    inverse = torch.linalg.inv(whitening.factor)
    model.means.copy_(gaussians.means @ inverse + whitening.mean)
    model.factors.copy_(whitening.factor @ gaussians.factors)


def check(model: GMM, data: Tensor, state: EMState | None) -> None:
    """Raises ValueError unless the model can be fitted to `data`, going on from `state`."""
    num_components, dim = model.means.shape
    if data.dim() != 2 or data.shape[1] != dim or not data.is_floating_point():
        raise ValueError(
            f"fit takes floating-point vectors of shape (N, {dim}), "
            f"got {data.dtype} of shape {tuple(data.shape)}"
        )
    if len(data) < num_components:
        raise ValueError(
            f"{num_components} components need at least as many vectors, got {len(data)}"
        )
    if not bool(data.isfinite().all()):
        raise ValueError("fit takes finite vectors; the data hold NaN or infinite values")
    shape = num_components, (dim + 1) * (dim + 2) // 2
    if state is not None and state.statistics.shape != shape:
        raise ValueError(
            f"the state to go on from must have statistics of shape {shape}, got "
            f"{tuple(state.statistics.shape)}: it is of another model"
        )
