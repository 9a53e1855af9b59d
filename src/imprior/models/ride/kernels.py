r"""Value and closed-form gradient of the factorized MCGSM, for one chunk of pixels.

Everything is laid out as (components, scales, pixels), so that each operation runs over
contiguous pixels, and a chunk of about 2,000 pixels stays in a core's cache. With

.. math:: g_{cs} = \eta_{cs} - \tfrac12 e^{\alpha_{cs}} E_c, \quad
          E_c = \sum_n \beta_{cn}^2 (b_n^\top x)^2, \quad \mu_c = a_c^\top x + u_c,

the gates are :math:`q_{cs} = \mathrm{softmax}(g)_{cs}`. If :math:`\ell_{cs}(y)` is an expert's
log-likelihood and :math:`r_{cs}` the posterior, then :math:`\partial \log p / \partial g_{cs} =
r_{cs} - q_{cs}` and :math:`\partial \log p / \partial \ell_{cs} = r_{cs}`; the rest is the chain
rule. Density and mass differ in :math:`\ell` only.

Source: Theis & Bethge (2015), Eqs. 4-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 2048
"""Pixels in a chunk: the largest power of two whose temporaries fit into a 2 MiB cache."""

# exp() of very negative numbers gives denormals, which are tens of times slower than zeros, and
# the terms they stand for are far below rounding: e^-60 is 1e-26.
SMALLEST_EXPONENT = -60.0
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
FAR = 40.0
"""Standard deviations beyond which a normal tail is exactly 0, in float64 too."""


class Bins(NamedTuple):
    """Integer targets as intervals: the mass of a bin is `keep` * mixture + `floor`.

    Attributes:
        lower, upper: Edges in the units of the model's output, shape (n,); infinite if open.
        keep, floor: Weight of the mixture, and mass that every symbol has anyway, shape (n,).
    """

    lower: Tensor
    upper: Tensor
    keep: Tensor
    floor: Tensor


@dataclass(frozen=True)
class Folded:
    """Parameters in the form in which the kernels use them, derived once per pass."""

    matrix: Tensor  # (F + C, D): features above predictors
    means: Tensor  # (C, 1)
    beta2: Tensor  # (C, F)
    eta: Tensor  # (C, S, 1)
    alpha: Tensor  # (C, S, 1)
    precision: Tensor  # (C, S, 1): e^alpha

    @property
    def num_features(self) -> int:
        return self.beta2.shape[1]


class Forward(NamedTuple):
    """What a chunk's forward pass leaves for its backward pass."""

    features: Tensor  # (F, n): b_n . x
    energy: Tensor  # (C, n)
    mean: Tensor  # (C, n)
    gates: Tensor  # (C, S, n): q
    log_normalizer: Tensor  # (n,): log sum exp g


class Likelihood(NamedTuple):
    """An expert family's part: log p(y|x) and its derivatives, already times the posterior."""

    log_prob: Tensor  # (n,)
    posterior: Tensor  # (C, S, n): r
    by_alpha: Tensor  # (C, S, n): r dl/dalpha
    by_mean: Tensor  # (C, n): sum_s r dl/dmu


def softmax_(logits: Tensor) -> Tensor:
    """Replaces logits (C, S, n) by their softmax over (C, S); returns log sum exp, (n,)."""
    flat = logits.view(logits.shape[0] * logits.shape[1], -1)
    largest = flat.amax(0)
    flat.sub_(largest).clamp_(min=SMALLEST_EXPONENT).exp_()
    total = flat.sum(0)
    flat.mul_(total.reciprocal())
    return largest + total.log()


def forward(p: Folded, x: Tensor) -> Forward:
    """Gates and means of a chunk `x` of shape (n, D)."""
    z = p.matrix @ x.T
    features, mean = z[: p.num_features], z[p.num_features :] + p.means
    energy = p.beta2 @ features.square()
    gates = torch.addcmul(p.eta, p.precision, energy[:, None], value=-0.5)
    log_normalizer = softmax_(gates)
    return Forward(features, energy, mean, gates, log_normalizer)


def density(p: Folded, f: Forward, y: Tensor) -> Likelihood:
    """Gaussian experts, N(y; mu_c, e^-alpha_cs); `y` has shape (n,)."""
    residual = y - f.mean
    squared = residual.square()
    posterior = torch.addcmul(
        p.eta + 0.5 * p.alpha, p.precision, (f.energy + squared)[:, None], value=-0.5
    )
    log_joint = softmax_(posterior)
    weighted = posterior * p.precision
    by_mean = weighted.sum(1) * residual
    by_alpha = weighted.mul_(-0.5 * squared[:, None]).add_(posterior, alpha=0.5)
    log_prob = log_joint - f.log_normalizer - HALF_LOG_TWO_PI
    return Likelihood(log_prob, posterior, by_alpha, by_mean)


class BinEdges(NamedTuple):
    """Edges of bins in standard deviations of every expert, (C, S, n), and 1 / deviation."""

    lower: Tensor
    upper: Tensor
    root: Tensor


def bin_masses(p: Folded, f: Forward, bins: Bins) -> tuple[Tensor, Tensor, BinEdges]:
    """Mass that each expert gives its bin, times its gate; the total with the floor; the edges."""
    root = (0.5 * p.alpha).exp()
    # Open ends must be finite: the gradient multiplies them by a density of 0.
    upper = ((bins.upper - f.mean)[:, None] * root).clamp_(-FAR, FAR)
    lower = ((bins.lower - f.mean)[:, None] * root).clamp_(-FAR, FAR)
    # The difference of two probabilities near 1 loses everything: mirror it to the left tail.
    mirrored = upper + lower > 0
    # Phi(z) = erfc(-z / sqrt 2) / 2, which is faster than ndtr and as accurate.
    outer = torch.where(mirrored, upper, -lower).mul_(math.sqrt(0.5)).erfc_()
    inner = torch.where(mirrored, lower, -upper).mul_(math.sqrt(0.5)).erfc_()
    joint = inner.sub_(outer).mul_(f.gates).mul_(0.5)
    prob = bins.keep * joint.sum((0, 1)) + bins.floor
    return joint, prob, BinEdges(lower, upper, root)


def mass(p: Folded, f: Forward, bins: Bins) -> Likelihood:
    """Gaussian experts integrated over bins; see `Bins`."""
    joint, prob, (lower, upper, root) = bin_masses(p, f, bins)
    ratio = bins.keep / prob
    pdf_upper, pdf_lower = _normal_pdf(upper), _normal_pdf(lower)
    weight = f.gates * ratio
    by_mean = (weight * (pdf_lower - pdf_upper) * root).sum(1)
    by_alpha = weight.mul_(0.5 * (upper * pdf_upper - lower * pdf_lower))
    return Likelihood(prob.log(), joint.mul_(ratio), by_alpha, by_mean)


def _normal_pdf(z: Tensor) -> Tensor:
    exponent = (-0.5 * z.square()).clamp_(min=SMALLEST_EXPONENT)
    return exponent.sub_(HALF_LOG_TWO_PI).exp_()


def likelihood(p: Folded, f: Forward, y: Tensor | Bins) -> Likelihood:
    """`mass` of bins, `density` of points."""
    return mass(p, f, y) if isinstance(y, Bins) else density(p, f, y)


def log_prob(p: Folded, x: Tensor, y: Tensor | Bins) -> Tensor:
    """Log-probability (mass or density) of a chunk, nats, shape (n,); no gradient."""
    f = forward(p, x)
    if isinstance(y, Bins):
        return bin_masses(p, f, y)[1].log()
    squared = (y - f.mean).square_()
    joint = torch.addcmul(
        p.eta + 0.5 * p.alpha, p.precision, squared.add_(f.energy)[:, None], value=-0.5
    )
    return softmax_(joint) - f.log_normalizer - HALF_LOG_TWO_PI


class Gradient(NamedTuple):
    """Gradient of a chunk's weighted sum of log-probabilities, by the fields of `Folded`."""

    matrix: Tensor  # (F + C, D)
    means: Tensor  # (C,)
    beta2: Tensor  # (C, F)
    eta: Tensor  # (C, S)
    alpha: Tensor  # (C, S)

    def add_(self, other: Gradient) -> None:
        """Adds another chunk's gradient in place."""
        for total, part in zip(self, other, strict=True):
            total.add_(part)


def zero_gradient(p: Folded, dtype: torch.dtype) -> Gradient:
    """What the gradients of chunks are added to."""
    parts = (p.matrix, p.means[:, 0], p.beta2, p.eta[:, :, 0], p.alpha[:, :, 0])
    return Gradient(*(torch.zeros_like(part, dtype=dtype) for part in parts))


def backward(
    p: Folded, x: Tensor, f: Forward, fit: Likelihood, weight: Tensor | None = None
) -> tuple[Gradient, Tensor]:
    """Gradient of sum_i weight_i log p(y_i | x_i); consumes the tensors of `fit`.

    Returns:
        The gradient by the parameters, and by the rows (features and means) of
        `p.matrix @ x.T`, shape (F + C, n), from which the gradients by x and y follow.
    """
    by_gate = fit.posterior
    # The posterior of a mass sums to less than 1: the rest is the floor, which no gate moves.
    by_gate.sub_(f.gates * by_gate.sum((0, 1)))
    by_alpha, by_mean = fit.by_alpha, fit.by_mean
    if weight is not None:
        by_gate.mul_(weight)
        by_alpha.mul_(weight)
        by_mean = by_mean * weight
    eta = by_gate.sum(2)
    by_exponent = by_gate.mul_(-0.5 * p.precision)
    by_energy = by_exponent.sum(1)
    alpha = by_alpha.sum(2) + (by_exponent * f.energy[:, None]).sum(2)
    by_rows = torch.cat([2 * (p.beta2.T @ by_energy) * f.features, by_mean])
    beta2 = by_energy @ f.features.square().T
    return Gradient(by_rows @ x, by_mean.sum(1), beta2, eta, alpha), by_rows
