"""The mixture of full-covariance Gaussians: the baseline of every paper on patches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from imprior.base import LikelihoodModel, Sampler

CHUNK_NUMBERS = 2**21  # whitened numbers held at once: larger chunks leave the cache


@dataclass(frozen=True)
class GMMConfig:
    """What a GMM is: the size of its patches and how many Gaussians share them.

    Attributes:
        channels: Channels of a patch.
        height: Rows of a patch.
        width: Columns of a patch. Plain vectors of N numbers are patches of 1 x 1 x N.
        num_components: Number of Gaussians.
    """

    channels: int = 1
    height: int = 8
    width: int = 8
    num_components: int = 200

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width", "num_components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def dim(self) -> int:
        """Numbers in a patch, D = C H W."""
        return self.channels * self.height * self.width


@final
class GMM(LikelihoodModel, Sampler):
    r"""A mixture of Gaussians over patches of one size.

    .. math:: p(x) = \sum_k \pi_k\, \mathcal N(x; \mu_k, (U_k U_k^\top)^{-1})

    The factors :math:`U_k` are upper triangular with a positive diagonal, so that
    :math:`U_k^\top (x - \mu_k)` is white and :math:`\log |U_k U_k^\top|^{1/2}` is a sum of logs.
    A new model is K standard Gaussians; `imprior.train.em` fits it to data.

    Attributes:
        log_weights: Log of the weights up to a constant, (K,).
        means: (K, D).
        factors: Upper factors of the precisions, (K, D, D); what lies below the diagonal is
            ignored.

    Example:
        >>> model = GMM(GMMConfig(height=1, width=1, num_components=1))
        >>> round(model.log_prob(torch.zeros(1, 1, 1, 1)).item(), 4)
        -0.9189
    """

    config_class = GMMConfig
    config: GMMConfig
    likelihood: ClassVar[Literal["mass", "density", "bound"]] = "density"

    def __init__(self, config: GMMConfig) -> None:
        super().__init__(config)
        num_components, dim = config.num_components, config.dim
        self.log_weights = nn.Parameter(torch.zeros(num_components))
        self.means = nn.Parameter(torch.zeros(num_components, dim))
        self.factors = nn.Parameter(torch.eye(dim).repeat(num_components, 1, 1))

    def log_joint(self, vectors: Tensor) -> Tensor:
        """Log density of each vector together with each component, nats, (N, D) -> (N, K).

        Raises:
            ValueError: If the vectors do not have `config.dim` numbers.
        """
        return torch.cat([log_joint for _, log_joint in self._chunks(vectors)])

    def log_density(self, vectors: Tensor) -> Tensor:
        """Log density of each vector, nats, (N, D) -> (N,), in the dtype of the parameters.

        Raises:
            ValueError: If the vectors do not have `config.dim` numbers.
        """
        # One tensor for all results: many small ones would pin the heap between large chunks.
        result = self.means.new_empty(len(vectors))
        for where, log_joint in self._chunks(vectors):
            result[where] = log_joint.logsumexp(1)
        return result

    def _chunks(self, vectors: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Log joint densities, chunk by chunk: one product whitens for all components at once."""
        num_components, dim = self.means.shape
        if vectors.dim() != 2 or vectors.shape[1] != dim:
            raise ValueError(
                f"a GMM of {dim} dimensions takes vectors of shape (N, {dim}), "
                f"got {tuple(vectors.shape)}"
            )
        factors = self.factors.triu()
        constants = (
            self.log_weights.log_softmax(0)
            + self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
            - dim / 2 * math.log(2 * math.pi)
        )
        stacked = factors.permute(1, 0, 2).reshape(dim, num_components * dim)
        offsets = torch.einsum("kd,kde->ke", self.means, factors).flatten()
        rows = max(1, CHUNK_NUMBERS // (num_components * dim))
        for start in range(0, max(1, len(vectors)), rows):
            chunk = vectors[start : start + rows].to(stacked.dtype)
            white = torch.addmm(offsets, chunk, stacked, beta=-1).view(-1, num_components, dim)
            log_joint = constants - torch.linalg.vector_norm(white, dim=2).square() / 2
            yield slice(start, start + rows), log_joint

    def responsibilities(self, vectors: Tensor) -> Tensor:
        """Posterior probabilities of the components given each vector, (N, D) -> (N, K)."""
        return self.log_joint(vectors).softmax(1)

    def check(self, x: Tensor) -> None:
        """Raises ValueError unless `x` is a batch of patches of this model's size."""
        size = (self.config.channels, self.config.height, self.config.width)
        if x.dim() != 4 or tuple(x.shape[1:]) != size:
            raise ValueError(
                f"GMM takes patches of shape (B, {size[0]}, {size[1]}, {size[2]}), "
                f"got {tuple(x.shape)}"
            )
        if not x.is_floating_point():
            raise ValueError(f"GMM is a density of floating-point values, got {x.dtype}")

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of each whole patch, nats, float (B, C, H, W) -> float64 (B,)."""
        self.check(x)
        return self.log_density(x.flatten(1)).double()

    @torch.no_grad()
    def sample(self, shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
        """Draws patches, (B, H, W) -> (B, C, H, W); height and width are the model's own."""
        batch, height, width = shape
        if (height, width) != (self.config.height, self.config.width):
            raise ValueError(
                f"this GMM draws patches of {self.config.height} x {self.config.width} pixels, "
                f"asked for {height} x {width}"
            )
        weights = self.log_weights.softmax(0)
        labels = weights.multinomial(batch, replacement=True, generator=generator)
        white = torch.randn(batch, self.config.dim, generator=generator, dtype=weights.dtype)
        vectors = torch.empty_like(white)
        for label in labels.unique().tolist():
            mine = labels == label
            # x - mu = U^-T z has the covariance (U U^T)^-1.
            lower = self.factors[label].triu().T
            centred = torch.linalg.solve_triangular(lower, white[mine].T, upper=False).T
            vectors[mine] = self.means[label] + centred
        return vectors.view(batch, self.config.channels, height, width)

    @torch.no_grad()
    def given(self, values: Tensor, known: Tensor) -> GMM:
        r"""The mixture of the unknown numbers of a patch given the known ones.

        With the known numbers (b) put before the unknown ones (a), :math:`U_{bb}` whitens the
        known ones alone; component k then has the precision factor :math:`U_{aa}`, the mean
        :math:`\mu_a - U_{aa}^{-\top} U_{ba}^\top (x_b - \mu_b)` and a weight in proportion to
        :math:`\pi_k\, p_k(x_b)`.

        Arguments:
            values: The known numbers in the order of the flattened patch, (number known,).
            known: Which numbers of the flattened patch are known, bool (D,).

        Returns:
            A GMM of patches of 1 x 1 x (number unknown).

        Raises:
            ValueError: If everything is known, or `values` does not fit `known`.
        """
        count = int(known.sum())
        if known.shape != (self.config.dim,) or count == self.config.dim:
            raise ValueError(
                f"known must be {self.config.dim} flags, at least one of them False, "
                f"got {count} True in a shape of {tuple(known.shape)}"
            )
        if values.shape != (count,):
            raise ValueError(
                f"values must be the {count} known numbers, got a shape of {tuple(values.shape)}"
            )
        order = torch.cat([known.nonzero(), (~known).nonzero()]).flatten()
        rows = self.factors.triu()[:, order]
        factors = upper_factors(rows @ rows.mT)
        observed, unknown = factors[:, :count, :count], factors[:, count:, count:]
        centred = values - self.means[:, known]
        white = torch.einsum("kb,kbc->kc", centred, observed)
        shifts = torch.einsum("kb,kba->ka", centred, factors[:, :count, count:])
        shifts = torch.linalg.solve_triangular(unknown.mT, shifts[:, :, None], upper=False)
        model = GMM(GMMConfig(1, 1, self.config.dim - count, self.config.num_components))
        model.to(self.means.dtype)
        model.means.copy_(self.means[:, ~known] - shifts[:, :, 0])
        model.factors.copy_(unknown)
        log_dets = observed.diagonal(dim1=1, dim2=2).log().sum(1)
        model.log_weights.copy_(self.log_weights + log_dets - white.square().sum(1) / 2)
        return model


def upper_factors(precisions: Tensor) -> Tensor:
    """The upper triangular U with U U^T = precision and a positive diagonal, (K, D, D)."""
    return torch.linalg.cholesky(precisions.flip(1, 2)).flip(1, 2)
