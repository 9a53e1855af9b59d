"""A chunk's total log-probability with its gradient, by whichever kernel is the fastest."""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.models.ride import fused, kernels
from imprior.models.ride.kernels import Bins, Folded, Gradient


def score(p: Folded, x: Tensor, y: Tensor | Bins) -> tuple[float, Gradient, Tensor]:
    """The sum of log-probabilities of a chunk, nats, and its gradient.

    Returns:
        The sum; the gradient by the parameters; that by the rows (features and means) of
        `p.matrix @ x.T`, shape (F + C, n).
    """
    compiled = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    if compiled and isinstance(y, Tensor):
        return _fused(p, x, y)
    f = kernels.forward(p, x)
    fit = kernels.likelihood(p, f, y)
    total = float(fit.log_prob.sum(dtype=torch.float64))
    return total, *kernels.backward(p, x, f, fit)


def _fused(p: Folded, x: Tensor, y: Tensor) -> tuple[float, Gradient, Tensor]:
    z = x @ p.matrix.T
    beta2 = p.beta2.T.contiguous()
    parts = [part[:, :, 0].T.contiguous() for part in (p.eta, p.alpha, p.precision)]
    sums = [torch.zeros_like(part) for part in (beta2, *parts[:2])]
    half = torch.tensor(0.5, dtype=x.dtype)
    inputs = (z, y, p.means[:, 0], beta2, *parts, half, *sums)
    arrays = [part.detach().contiguous().numpy() for part in inputs]
    arrays[7] = arrays[7][()]
    total = fused.density(*arrays)
    by_beta2, by_eta, by_alpha = sums
    by_means = z[:, p.num_features :].sum(0)
    gradient = Gradient(z.T @ x, by_means, by_beta2.T, by_eta.T, by_alpha.T)
    return total, gradient, z.T
