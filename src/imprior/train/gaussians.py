r"""Gaussians as an exponential family: what the E-step and the M-step of EM compute.

A Gaussian with its weight is linear in the features
:math:`\phi(z) = (1, z_i, z_i z_j)_{i \le j}`: :math:`\log \pi_k p_k(z) = \theta_k^\top \phi(z)`.
So the E-step is one matrix product of the features with the natural parameters, and the
sufficient statistics, :math:`\sum_n r_{nk} \phi(z_n)`, are another: several times faster than
whitening the data for every component. Products lose digits when directions differ much in
variance; the data are therefore whitened once, as a whole (:math:`z`), and what is summed over
chunks is summed in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2048  # vectors whose features are held at once: they stay in the cache


@dataclass(frozen=True)
class Whitening:
    """The map z = (x - mean) factor that makes the data white; all float64."""

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, data: Tensor) -> Whitening:
        """Measures `data`, (N, D)."""
        total = torch.zeros(data.shape[1], dtype=torch.float64)
        second = torch.zeros(data.shape[1], data.shape[1], dtype=torch.float64)
        mean = data[:CHUNK].double().mean(0)
        for chunk in data.split(CHUNK):
            centred = chunk.double() - mean
            total += centred.sum(0)
            second += centred.T @ centred
        shift = total / len(data)
        covariance = second / len(data) - shift.outer(shift)
        lower, failed = torch.linalg.cholesky_ex(covariance)
        if failed:
            raise ValueError(
                f"the {len(data)} vectors do not fill their {data.shape[1]} dimensions: their "
                "covariance is singular; add noise, drop constant dimensions or take more data"
            )
        return cls(mean + shift, torch.linalg.inv(lower).T)

    @property
    def log_det(self) -> float:
        """Log determinant of the map: log p(x) = log p(z) + log_det."""
        return self.factor.diagonal().log().sum().item()

    def __call__(self, data: Tensor) -> Tensor:
        """Whitens in the dtype of `data`."""
        mean, factor = self.mean.to(data.dtype), self.factor.to(data.dtype)
        result = torch.empty_like(data)
        for place, chunk in zip(result.split(CHUNK), data.split(CHUNK), strict=True):
            torch.mm(chunk - mean, factor, out=place)
        return result


@dataclass(frozen=True)
class Gaussians:
    """Log weights (K,), means (K, D) and upper precision factors (K, D, D), float64."""

    log_weights: Tensor
    means: Tensor
    factors: Tensor

    def natural(self) -> Tensor:
        """The parameters that multiply `features`: log joint density = natural @ features."""
        dim = self.means.shape[1]
        precisions = self.factors @ self.factors.mT
        linear = torch.einsum("kde,ke->kd", precisions, self.means)
        constants = (
            self.log_weights.log_softmax(0)
            + self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
            - dim / 2 * math.log(2 * math.pi)
            - (linear * self.means).sum(1) / 2
        )
        rows, columns = torch.triu_indices(dim, dim)
        halves = torch.where(rows == columns, 0.5, 1.0)
        quadratic = -halves * precisions[:, rows, columns]
        return torch.cat([constants[:, None], linear, quadratic], 1)


def features(z: Tensor) -> Tensor:
    """1, the numbers and their products, a vector a column: (N, D) -> (1 + D + D(D+1)/2, N)."""
    n, dim = z.shape
    numbers = z.T.contiguous()
    result = z.new_empty(1 + dim + dim * (dim + 1) // 2, n)
    result[0] = 1
    result[1 : dim + 1] = numbers
    start = dim + 1
    for i in range(dim):
        torch.mul(numbers[i], numbers[i:], out=result[start : start + dim - i])
        start += dim - i
    return result


def expect(z: Tensor, gaussians: Gaussians) -> tuple[Tensor, float]:
    """The E-step: mean responsibilities times features (K, F), and the mean log density."""
    natural = gaussians.natural().to(z.dtype)
    statistics = torch.zeros(natural.shape, dtype=torch.float64)
    total = 0.0
    for chunk in z.split(CHUNK):
        phi = features(chunk)
        log_joint = natural @ phi
        log_density = log_joint.logsumexp(0)
        # Without the clamp most responsibilities are denormal, and the product 8 times slower.
        responsibilities = log_joint.sub_(log_density).clamp_(min=-50).exp_()
        statistics += responsibilities @ phi.T
        total += log_density.sum(dtype=torch.float64).item()
    return statistics / len(z), total / len(z)


def mean_log_density(z: Tensor, gaussians: Gaussians) -> float:
    """The mean log density of the vectors, nats."""
    natural = gaussians.natural().to(z.dtype)
    sums = [
        (natural @ features(chunk)).logsumexp(0).sum(dtype=torch.float64)
        for chunk in z.split(CHUNK)
    ]
    return torch.stack(sums).sum().item() / len(z)


def moments(statistics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (K,), means (K, D) and covariances (K, D, D) that the statistics stand for."""
    dim = math.isqrt(2 * statistics.shape[1]) - 1  # F = (D + 1)(D + 2) / 2
    weights = statistics[:, 0]
    means = statistics[:, 1 : dim + 1] / weights[:, None]
    rows, columns = torch.triu_indices(dim, dim)
    second = statistics.new_empty(len(statistics), dim, dim)
    second[:, rows, columns] = statistics[:, dim + 1 :] / weights[:, None]
    second[:, columns, rows] = second[:, rows, columns]
    return weights, means, second - means[:, :, None] * means[:, None, :]


def maximize(statistics: Tensor, prior_weight: float, prior_variance: float) -> Gaussians:
    """The M-step: the most probable Gaussians.

    Arguments:
        statistics: Mean responsibilities times features, float64 (K, F).
        prior_weight: Weight of the inverse Wishart prior of each covariance, as a fraction of
            the data; with 0 the Gaussians are the most likely ones.
        prior_variance: The mode of the prior is this multiple of the identity.

    Raises:
        ValueError: If a covariance is singular.
    """
    weights, means, covariances = moments(statistics)
    eye = torch.eye(means.shape[1], dtype=means.dtype)
    covariances = weights[:, None, None] * covariances + prior_weight * prior_variance * eye
    covariances /= (weights + prior_weight)[:, None, None]
    lower, failed = torch.linalg.cholesky_ex(covariances)
    if failed.any():
        raise ValueError(
            f"{int((failed > 0).sum())} components collapsed to a singular covariance; "
            "use fewer components, more data or a larger prior_count"
        )
    factors = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False).mT
    return Gaussians(weights.log(), means, factors)


def revive(statistics: Tensor, min_weight: float) -> Tensor:
    """Gives each component of a weight below `min_weight` half of the largest one.

    The halves move half a standard deviation to either side along the first principal axis and
    shrink by as much, so that together they keep their mean and covariance.
    """
    statistics = statistics.clone()
    for dead in (statistics[:, 0] < min_weight).nonzero().flatten().tolist():
        largest = int(statistics[:, 0].argmax())
        weights, means, covariances = moments(statistics[[largest]])  # a copy
        values, vectors = torch.linalg.eigh(covariances[0])
        shift = 0.5 * values[-1].sqrt() * vectors[:, -1]
        rows, columns = torch.triu_indices(len(shift), len(shift))
        second = covariances[0] - shift.outer(shift)
        for component, mean in ((largest, means[0] + shift), (dead, means[0] - shift)):
            products = (second + mean.outer(mean))[rows, columns]
            statistics[component] = torch.cat([mean.new_ones(1), mean, products]) * weights / 2
    return statistics
