"""The factorized MCGSM as the paper writes it: slow, and too short to be wrong.

Source: Theis & Bethge (2015), Eqs. 4-6.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Normal

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mixture import FactorizedMCGSM


def experts(m: FactorizedMCGSM, x: Tensor) -> Iterator[tuple[Tensor, Normal]]:
    """Of every component and scale: unnormalized log-gate, (N,), and expert."""
    for c, s in torch.cartesian_prod(*map(torch.arange, m.eta.shape)).tolist():
        energy = torch.zeros(len(x), dtype=x.dtype)
        for n in range(m.beta.shape[1]):
            energy = energy + m.beta[c, n] ** 2 * (x @ m.features[:, n]) ** 2
        mean = x @ m.predictors[c] + (0 if m.means is None else m.means[c])
        logit = m.eta[c, s] - 0.5 * m.alpha[c, s].exp() * energy
        yield logit, Normal(mean, (-0.5 * m.alpha[c, s]).exp(), validate_args=False)


def log_gates(m: FactorizedMCGSM, x: Tensor) -> Tensor:
    """log p(c, s | x), (N, C, S)."""
    logits = torch.stack([logit for logit, _ in experts(m, x)], 1)
    return logits.log_softmax(1).view(-1, *m.eta.shape)


def log_joint(m: FactorizedMCGSM, x: Tensor, y: Tensor) -> Tensor:
    """log p(c, s, y | x), (N, C, S)."""
    densities = torch.stack([expert.log_prob(y) for _, expert in experts(m, x)], 1)
    return log_gates(m, x) + densities.view(-1, *m.eta.shape)


def log_prob(m: FactorizedMCGSM, x: Tensor, y: Tensor | Bins) -> Tensor:
    """log p(y | x), (N,); of bins without open ends only."""
    if not isinstance(y, Bins):
        return log_joint(m, x, y).flatten(1).logsumexp(1)
    masses = [expert.cdf(y.upper) - expert.cdf(y.lower) for _, expert in experts(m, x)]
    mixture = (log_gates(m, x).flatten(1).exp() * torch.stack(masses, 1)).sum(1)
    return (y.keep * mixture + y.floor).log()
