"""Mixtures binned to integers: what every exact model says of one value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imprior.distributions import frequencies, gaussian, logistic
from imprior.distributions.tables import Family, table

# Most masses of single components that `pmf` works on at a time: arrays of 16 MiB.
MAX_TERMS = 1 << 21


@dataclass(frozen=True)
class BinnedMixture:
    r"""One distribution on integers per row: a mixture, integrated over bins, over a floor.

    .. math::
        p(k) = \frac{(2^P - N) m(k) + 1}{2^P}, \quad N = high - low + 1,

        m(k) = \sum_j w_j \left[ F((k + \tfrac12 - \mu_j) r_j) - F((k - \tfrac12 - \mu_j) r_j)
        \right],

    where the first bin also takes the tail below it and the last bin the tail above. Every value
    from low to high thus has at least :math:`2^{-P}`, the masses sum to 1, and they are what a
    codec codes, up to the rounding of cumulative frequencies to multiples of :math:`2^{-P}`
    (`imprior.distributions.frequencies`).

    Attributes:
        weights: :math:`w`, float64, not negative, (n, K); rows sum to 1 up to rounding.
        means: :math:`\mu`, float64, in grey levels, (n, K).
        inverse_scales: :math:`r`, float64, positive, in 1 / grey level, (n, K).
        low: Smallest possible value of each row, int64, (n,).
        high: Largest possible value of each row, inclusive, int64, (n,).
        precision: :math:`P`, 1 to 32, with :math:`N \le 2^P`; see `frequencies.precision`.
        family: Which distribution F is, "gaussian" or "logistic".

    Raises:
        ValueError: If shapes or types are not these. Values are checked when they are used.

    Example:
        >>> half = torch.full((1, 1), 0.5, dtype=torch.float64)
        >>> one = torch.tensor([1])
        >>> mixture = BinnedMixture(2 * half, half, half, 0 * one, one, precision=24)
        >>> mixture.pmf()
        tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """

    weights: Tensor
    means: Tensor
    inverse_scales: Tensor
    low: Tensor
    high: Tensor
    precision: int
    family: Family = "gaussian"

    def __post_init__(self) -> None:
        shape = self.weights.shape
        if len(shape) != 2 or not (shape == self.means.shape == self.inverse_scales.shape):
            raise ValueError(
                "weights, means and inverse_scales must have one shape (n, K), got "
                f"{tuple(shape)}, {tuple(self.means.shape)}, {tuple(self.inverse_scales.shape)}"
            )
        if not (self.low.shape == self.high.shape == shape[:1]):
            raise ValueError(
                f"low and high must have shape ({shape[0]},), got {tuple(self.low.shape)} and "
                f"{tuple(self.high.shape)}"
            )
        if not (
            self.weights.dtype is self.means.dtype is self.inverse_scales.dtype is torch.float64
            and self.low.dtype is self.high.dtype is torch.int64
        ):
            raise ValueError("a BinnedMixture takes float64 parameters and int64 low and high")

    def rows(self, rows: Tensor) -> BinnedMixture:
        """The distributions of some rows only, int64 (m,)."""
        return replace(
            self,
            weights=self.weights[rows],
            means=self.means[rows],
            inverse_scales=self.inverse_scales[rows],
            low=self.low[rows],
            high=self.high[rows],
        )

    def log_mass(self, values: Tensor) -> Tensor:
        """Natural logarithm of the probability of a value per row; differentiable.

        Arguments:
            values: int64, (n,).

        Returns:
            Nats, float64, (n,); at least -P ln 2, and -inf outside of low to high.
        """
        scale = (1 << self.precision) - (self.high - self.low + 1)
        mass = self._mixture_mass(values[:, None])[:, 0]
        log_mass = torch.log1p(scale * mass) - self.precision * math.log(2)
        return torch.where((values < self.low) | (values > self.high), -math.inf, log_mass)

    def pmf(self) -> Tensor:
        """The probabilities of low, low + 1, ..., high in each row.

        Returns:
            float64, (n, largest N); 0 where a row has fewer values. Rows sum to 1.
        """
        sizes = (self.high - self.low + 1)[:, None]
        offsets = torch.arange(int(sizes.max()) if len(sizes) else 0, device=sizes.device)
        part = max(1, MAX_TERMS // max(1, self.weights.numel()))
        symbols = (self.low[:, None] + offsets).split(part, dim=1)
        mass = torch.cat([self._mixture_mass(values) for values in symbols], dim=1)
        pmf = (((1 << self.precision) - sizes) * mass + 1) / 2.0**self.precision
        return torch.where(offsets < sizes, pmf, 0.0)

    def sample(self, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        r"""Draws a value per row.

        At temperature 1 a uniform integer in :math:`[0, 2^P)` is looked up in the cumulative
        frequencies, so a draw has exactly the distribution that a codec codes with. At any other
        temperature it has probabilities proportional to :math:`p^{1/T}`; at 0 it is the first of
        the most probable values.

        Arguments:
            generator: The source of randomness.
            temperature: T, at least 0; below 1 for more probable values than the model's own.

        Returns:
            int64, (n,), on the device of the parameters.

        Raises:
            ValueError: If the temperature is negative or infinite.
        """
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be at least 0 and finite, got {temperature}")
        device = generator.device
        if temperature == 0:
            return self.low + self.pmf().argmax(1)
        if temperature != 1:
            tempered = torch.softmax(self.pmf().log() / temperature, dim=1).to(device)
            offsets = torch.multinomial(tempered, 1, generator=generator)[:, 0]
            return self.low + offsets.to(self.low.device)
        targets = torch.randint(
            1 << self.precision, self.low.shape, generator=generator, device=device
        )
        values, _, _ = frequencies.invert(targets.cpu().numpy(), *self.compiled_arguments())
        return torch.from_numpy(values).to(self.low.device)

    def compiled_arguments(self) -> tuple[Any, ...]:
        """The arguments that every compiled function on frequencies ends with."""
        tensors = (self.weights, self.means, self.inverse_scales, self.low, self.high)
        # Thousands of steps of a walk ask: one call each instead of detach, cpu, contiguous, numpy.
        arrays = (np.ascontiguousarray(tensor.numpy(force=True)) for tensor in tensors)
        return *arrays, self.precision, table(self.family)

    def _mixture_mass(self, values: Tensor) -> Tensor:
        """m(k): (n, M) -> (n, M)."""
        bin_mass = gaussian.bin_mass if self.family == "gaussian" else logistic.bin_mass
        centred = values[:, :, None] - self.means[:, None]
        inverse_scales = self.inverse_scales[:, None]
        first, last = values == self.low[:, None], values == self.high[:, None]
        # Constants, not infinite edges times scales: their gradients would be 0 times infinity.
        lower = torch.where(first[:, :, None], -math.inf, (centred - 0.5) * inverse_scales)
        upper = torch.where(last[:, :, None], math.inf, (centred + 0.5) * inverse_scales)
        return (self.weights[:, None] * bin_mass(lower, upper)).sum(2)
