"""The factorized mixture of conditional Gaussian scale mixtures, on vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from imprior.models.ride import kernels
from imprior.models.ride.autograd import LogProb, Total, chunks
from imprior.models.ride.kernels import Bins, Folded
from imprior.models.ride.score import score


class FactorizedMCGSM(nn.Module):
    r"""A distribution of a scalar y given a vector x: experts that x itself gates.

    .. math::
        p(y \mid x) &= \sum_{c,s} p(c, s \mid x)\, \mathcal N(y; a_c^\top x + u_c, e^{-\alpha_{cs}})

        p(c, s \mid x) &\propto \exp\Big(\eta_{cs} - \tfrac12 e^{\alpha_{cs}}
            \sum_n \beta_{cn}^2 (b_n^\top x)^2\Big)

    Without inputs and features but with means it is a mixture of Gaussian scale mixtures (MoGSM)
    of y alone.

    Arguments:
        num_inputs: Length D of x; 0 for a marginal distribution.
        num_components: Number C of components.
        num_scales: Number S of scales of each component.
        num_features: Number F of features that the components share.
        means: Whether experts have means :math:`u_c` of their own; the paper's have none.

    Source: Theis & Bethge (2015), Eqs. 4-6; Theis, Hosseini & Bethge (2012).
    """

    def __init__(
        self,
        num_inputs: int,
        num_components: int,
        num_scales: int,
        num_features: int,
        *,
        means: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("num_components", num_components), ("num_scales", num_scales)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.eta = nn.Parameter(torch.zeros(num_components, num_scales))
        self.alpha = nn.Parameter(torch.zeros(num_components, num_scales))
        self.beta = nn.Parameter(torch.zeros(num_components, num_features))
        self.features = nn.Parameter(torch.zeros(num_inputs, num_features))
        self.predictors = nn.Parameter(torch.zeros(num_components, num_inputs))
        self.means = nn.Parameter(torch.zeros(num_components)) if means else None

    @property
    def num_inputs(self) -> int:
        """Length of the conditioning vector."""
        return self.predictors.shape[1]

    def folded(self) -> Folded:
        """The parameters as the kernels take them."""
        means = self.eta.new_zeros(len(self.eta)) if self.means is None else self.means
        return Folded(
            matrix=torch.cat([self.features.T, self.predictors]),
            means=means[:, None],
            beta2=self.beta.square(),
            eta=self.eta[:, :, None],
            alpha=self.alpha[:, :, None],
            precision=self.alpha.exp()[:, :, None],
        )

    def log_prob(self, x: Tensor, y: Tensor | Bins) -> Tensor:
        """Log-density of points `y`, or log-mass of `Bins`.

        Arguments:
            x: Conditioning vectors, shape (N, D).
            y: Targets, shape (N,).

        Returns:
            Nats, shape (N,). Differentiable by x, by y (points) and by the parameters.
        """
        if not torch.is_grad_enabled():
            p = self.folded()
            return torch.cat([kernels.log_prob(p, *chunk) for chunk in chunks(x, y)])
        p = self.folded()
        parts = (p.matrix, p.means, p.beta2, p.eta, p.alpha)
        targets = y if isinstance(y, Bins) else (y,)
        return LogProb.apply(x, *parts, *targets)

    def total_log_prob(self, x: Tensor, y: Tensor | Bins) -> Tensor:
        """The sum of `log_prob` over all rows, a scalar, in nats, in float64.

        Gradients are computed along with it, in one pass: two thirds of the cost of going through
        `log_prob`. They reach x and the parameters, but not y.
        """
        if not torch.is_grad_enabled():
            return self.log_prob(x, y).sum(dtype=torch.float64)
        p = self.folded()
        targets = y if isinstance(y, Bins) else (y,)
        return Total.apply(x, p.matrix, p.means, p.beta2, p.eta, p.alpha, *targets)

    @torch.no_grad()
    def gates(self, x: Tensor) -> Tensor:
        """p(c, s | x), shape (N, C, S); without gradients."""
        return kernels.forward(self.folded(), x).gates.permute(2, 0, 1)

    @torch.no_grad()
    def posterior(self, x: Tensor, y: Tensor) -> Tensor:
        """p(c, s | x, y), shape (N, C, S); without gradients."""
        p = self.folded()
        return kernels.density(p, kernels.forward(p, x), y).posterior.permute(2, 0, 1)

    @torch.no_grad()
    def value_and_gradient(self, x: Tensor, y: Tensor | Bins) -> float:
        """Mean log-probability, nats; *sets* every parameter's `.grad` to that of its negative.

        One pass, chunk by chunk: half the cost of `log_prob` followed by `backward`.
        """
        if len(x) == 0:
            raise ValueError("no pixels to fit: x has no rows")
        p = self.folded()
        total, gradient = 0.0, kernels.zero_gradient(p, torch.float64)
        for rows, targets in chunks(x, y):
            value, of_chunk, _ = score(p, rows, targets)
            total += value
            gradient.add_(of_chunk)
        self._set_gradient(gradient, -1.0 / len(x))
        return total / len(x)

    def _set_gradient(self, gradient: kernels.Gradient, scale: float) -> None:
        num_features = self.features.shape[1]
        by_parameter = {
            "eta": gradient.eta,
            "alpha": gradient.alpha,
            "beta": 2 * self.beta * gradient.beta2,
            "features": gradient.matrix[:num_features].T,
            "predictors": gradient.matrix[num_features:],
            "means": gradient.means,
        }
        for name, parameter in self.named_parameters():
            parameter.grad = (by_parameter[name] * scale).to(parameter.dtype).contiguous()

    @torch.no_grad()
    def initialize(
        self, x: Tensor, y: Tensor, generator: torch.Generator, *, silent: int = 0
    ) -> None:
        r"""Starts from the statistics of whitened data, so that training starts near a GSM.

        A Gaussian scale mixture of x has :math:`\log p(s|x) = \tfrac d2 \alpha_s - \tfrac12
        e^{\alpha_s} \|x\|^2 d / D + ...` for d effective dimensions: the gates start as that, with
        scales at the quantiles of the local energy, random features, and components that differ
        by noise.

        Arguments:
            x: Whitened inputs, (N, D).
            y: Whitened outputs, (N,).
            generator: Of the noise.
            silent: Number of further inputs, before those of `x`, that say nothing yet.
        """
        num_scales = self.eta.shape[1]
        if self.num_inputs == 0:
            self._initialize_marginal(y, generator)
            return
        energy = x.square().mean(1)[:100_000]
        levels = (torch.arange(num_scales, dtype=x.dtype) + 0.5) / num_scales
        variances = energy.quantile(levels) if num_scales > 1 else energy.mean()
        num_features = self.features.shape[1]
        # Gates that do not depend on x must not prefer the narrow scales.
        effective_dims = min(8.0, float(self.num_inputs - silent)) if num_features else 0.0
        self.alpha.copy_(-variances.clamp(min=1e-6).log().expand_as(self.alpha))
        self.alpha.add_(_normal(self.alpha, generator), alpha=0.3)
        self.eta.copy_(0.5 * effective_dims * self.alpha)
        self.features.copy_(_normal(self.features, generator) / math.sqrt(self.num_inputs - silent))
        spread = 1 + 0.3 * _normal(self.beta, generator)
        self.beta.copy_(math.sqrt(effective_dims / max(num_features, 1)) * spread)
        self.predictors.copy_(0.01 * _normal(self.predictors, generator))
        if self.means is not None:
            self.means.zero_()

    def _initialize_marginal(self, y: Tensor, generator: torch.Generator) -> None:
        num_components, num_scales = self.eta.shape
        spread = y.std().clamp(min=1e-3)
        precision = (num_components / spread).log() * 2
        self.eta.zero_()
        octaves = torch.linspace(-1.5, 1.5, num_scales, dtype=self.alpha.dtype)
        self.alpha.copy_((precision + octaves).expand_as(self.alpha))
        self.alpha.add_(_normal(self.alpha, generator), alpha=0.1)
        if self.means is not None:
            levels = (torch.arange(num_components, dtype=y.dtype) + 0.5) / num_components
            self.means.copy_(y[:100_000].quantile(levels))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, dtype=like.dtype, generator=generator)
