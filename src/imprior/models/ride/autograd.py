"""The log-density of a mixture as operations that PyTorch can differentiate."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from imprior.models.ride import kernels
from imprior.models.ride.kernels import CHUNK, Bins, Folded
from imprior.models.ride.score import score


def chunks(x: Tensor, y: Tensor | Bins) -> Iterator[tuple[Tensor, Tensor | Bins]]:
    """Cuts paired rows into pieces that stay in a core's cache."""
    for start in range(0, max(1, len(x)), CHUNK):
        rows = slice(start, start + CHUNK)
        yield x[rows], Bins(*(part[rows] for part in y)) if isinstance(y, Bins) else y[rows]


class LogProb(Function):
    """`kernels` as one differentiable operation; the backward pass recomputes the forward."""

    @staticmethod
    def forward(ctx, x, matrix, means, beta2, eta, alpha, *targets):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, matrix, means, beta2, eta, alpha, *targets)
        p = Folded(matrix, means, beta2, eta, alpha, alpha.exp())
        y = Bins(*targets) if len(targets) > 1 else targets[0]
        return torch.cat([kernels.log_prob(p, *chunk) for chunk in chunks(x, y)])

    @staticmethod
    @once_differentiable
    def backward(ctx, weight):  # type: ignore[no-untyped-def]
        x, matrix, means, beta2, eta, alpha, *targets = ctx.saved_tensors
        p = Folded(matrix, means, beta2, eta, alpha, alpha.exp())
        y = Bins(*targets) if len(targets) > 1 else targets[0]
        gradient, by_x, by_mean = kernels.zero_gradient(p, x.dtype), [], []
        for (rows, part), w in zip(chunks(x, y), weight.split(CHUNK), strict=True):
            f = kernels.forward(p, rows)
            of_chunk, by_rows = kernels.backward(p, rows, f, kernels.likelihood(p, f, part), w)
            gradient.add_(of_chunk)
            by_x.append(by_rows.T @ matrix)
            by_mean.append(by_rows[p.num_features :].sum(0))
        by_y = (-torch.cat(by_mean),) if len(targets) == 1 else (None,) * len(targets)
        by_eta, by_alpha = gradient.eta[:, :, None], gradient.alpha[:, :, None]
        by_parts = (gradient.matrix, gradient.means[:, None], gradient.beta2, by_eta, by_alpha)
        return torch.cat(by_x), *by_parts, *by_y


class Total(Function):
    """The sum of log-probabilities, which in one pass gives its gradient too."""

    @staticmethod
    def forward(ctx, x, matrix, means, beta2, eta, alpha, *targets):  # type: ignore[no-untyped-def]
        p = Folded(matrix, means, beta2, eta, alpha, alpha.exp())
        y = Bins(*targets) if len(targets) > 1 else targets[0]
        gradient, by_x = kernels.zero_gradient(p, x.dtype), torch.empty_like(x)
        total = 0.0
        for (rows, part), place in zip(chunks(x, y), by_x.split(CHUNK), strict=True):
            value, of_chunk, by_rows = score(p, rows, part)
            total += value
            gradient.add_(of_chunk)
            torch.mm(by_rows.T, matrix, out=place)
        ctx.save_for_backward(by_x, *gradient)
        ctx.num_targets = len(targets)
        return torch.tensor(total, dtype=torch.float64, device=x.device)

    @staticmethod
    @once_differentiable
    def backward(ctx, scale):  # type: ignore[no-untyped-def]
        scale = scale.to(ctx.saved_tensors[0].dtype)
        by_x, matrix, means, beta2, eta, alpha = (scale * t for t in ctx.saved_tensors)
        by_parts = (matrix, means[:, None], beta2, eta[:, :, None], alpha[:, :, None])
        return by_x, *by_parts, *(None,) * ctx.num_targets
