"""The abilities a model can have, and the words every part of imprior shares.

A task asks for an ability, never for a model: `evaluate` takes any `LikelihoodModel`, `compress`
any `ExactModel`. A new model inherits only what it honestly has.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from imprior.distributions.binned import BinnedMixture

Ability = TypeVar("Ability")


def bits_per_dim(log_prob: Tensor, num_dims: int) -> Tensor:
    r"""Converts log-probabilities of whole images to bits per dimension.

    .. math:: -\frac{\log p(x)}{D \ln 2}

    Arguments:
        log_prob: Natural log-probabilities, in nats, shape (B,).
        num_dims: Number of values per image, :math:`D = C H W`; at least 1.

    Returns:
        Bits per dimension, shape (B,). Lower is better; uniform 8-bit images give 8.

    Raises:
        ValueError: If `num_dims` is not positive.

    Example:
        >>> round(bits_per_dim(torch.tensor([-12 * 8 * math.log(2)]), num_dims=12).item(), 4)
        8.0
    """
    if num_dims < 1:
        raise ValueError(f"num_dims must be at least 1, got {num_dims}")
    return -log_prob / (num_dims * math.log(2))


@dataclass(frozen=True)
class Step:
    """One step of a walk: which subpixels come next, and what each of them may be.

    Attributes:
        where: Positions in the flattened canvas (B, C, H, W), int64, shape (n,).
        pmfs: The distribution of each of them given everything already on the canvas; n rows.
    """

    where: Tensor
    pmfs: BinnedMixture


class Part(NamedTuple):
    """A part of a model that is trained by itself.

    Attributes:
        name: For people; empty if the part is the whole model.
        model: The part, or what its training lowers.
        images: Makes what the part takes of the integer images (B, C, H, W) of the whole model.
        finer: The same at twice, four times, ... the resolution: since photographs look alike at
            all scales, a part of a coarse one, which sees few pixels, may learn from these as well.
    """

    name: str
    model: nn.Module
    images: Callable[[Tensor], Tensor]
    finer: tuple[Callable[[Tensor], Tensor], ...] = ()


class ImageModel(nn.Module, ABC):
    """A model of images with `channels` channels of `bits` bits (None: continuous values).

    A model is built from one frozen dataclass, `config`, which together with its tensors is all
    that a checkpoint holds. Height and width are free unless a paper's model has a fixed size.
    """

    config_class: ClassVar[type]
    config: Any

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @property
    def channels(self) -> int:
        """Number of channels of the images that this model takes."""
        return int(self.config.channels)

    @property
    def bits(self) -> int | None:
        """Bit depth of the images that this model takes; None if values are continuous."""
        return getattr(self.config, "bits", None)

    def check_shape(self, x: Tensor) -> None:
        """Raises ValueError, saying what is wrong, unless `x` has the shape of a batch."""
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f"{type(self).__name__} takes images of shape (B, {self.channels}, H, W), "
                f"got {tuple(x.shape)}"
            )

    def check(self, x: Tensor) -> None:
        """Raises ValueError, saying what is wrong, unless `x` is a batch this model can take."""
        self.check_shape(x)
        if self.bits is None or x.numel() == 0:
            return
        if x.is_floating_point():
            raise ValueError(f"{type(self).__name__} takes integers, got {x.dtype}")
        low, high = int(x.min()), int(x.max())
        if low < 0 or high >= 2**self.bits:
            raise ValueError(
                f"{type(self).__name__} takes {self.bits}-bit values 0 to {2**self.bits - 1}, "
                f"got values {low} to {high}"
            )

    def parts(self) -> list[Part]:
        """What is trained independently: the model itself, unless it is made of several."""
        return [Part("", self, lambda x: x)]

    def extra_repr(self) -> str:
        fields = dataclasses.fields(self.config)
        return ", ".join(f"{field.name}={getattr(self.config, field.name)!r}" for field in fields)


class LikelihoodModel(ImageModel):
    """A model that says how probable an image is."""

    likelihood: ClassVar[Literal["mass", "density", "bound"]]

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Natural log-probability (or density, or bound) of each whole image, float64 (B,)."""

    def bits_per_dim(self, x: Tensor) -> Tensor:
        """Bits per dimension of each image, shape (B,); see `imprior.bits_per_dim`."""
        return bits_per_dim(self.log_prob(x), x[0].numel())


class Sampler(ImageModel):
    """A model that draws images."""

    @abstractmethod
    def sample(self, shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
        """Draws images; `shape` is (B, H, W), the result (B, C, H, W)."""


class ExactModel(LikelihoodModel, Sampler):
    """A probability mass on integer images that can be walked, one group of subpixels at a time.

    The parallel pass, `log_prob_map`, and the walk, `conditionals`, describe the same
    distribution. Whoever walks writes the values: a sampler draws them, an encoder copies them
    from an image, a decoder reads them from a bit stream.
    """

    likelihood = "mass"

    @abstractmethod
    def log_prob_map(self, x: Tensor) -> Tensor:
        """Log-probability of every value given those before it, nats, float64 (B, C, H, W)."""

    @abstractmethod
    def conditionals(self, canvas: Tensor) -> Iterator[Step]:
        """Walks over `canvas`, int64 (B, C, H, W), whose values need not be known yet.

        Before asking for the next step, the caller writes the values of the last one to
        `canvas.view(-1)[step.where]`. The steps together name every position exactly once.
        """

    def to_canvas(self, x: Tensor) -> Tensor:
        """Maps integer images to what the walk writes: a bijection, the identity by default.

        For the identity the result must still be a copy that may be overwritten.
        """
        return x.clone(memory_format=torch.contiguous_format)

    def from_canvas(self, canvas: Tensor) -> Tensor:
        """The inverse of `to_canvas`."""
        return canvas

    def log_prob(self, x: Tensor) -> Tensor:
        """Natural log-probability of each whole image, float64 (B,)."""
        return self.log_prob_map(x).double().flatten(1).sum(1)

    def sample(self, shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
        """Draws images from the model itself: int64, (B, H, W) -> (B, C, H, W)."""
        batch, height, width = shape
        canvas = torch.zeros(batch, self.channels, height, width, dtype=torch.int64)
        flat = canvas.view(-1)
        for step in self.conditionals(canvas):
            flat[step.where] = step.pmfs.sample(generator)
        return self.from_canvas(canvas)


@runtime_checkable
class Differentiable(Protocol):
    """A model with a density of continuous images that tells which way is more likely.

    A protocol, not a base class: an exact model may have such a density beside its mass.
    """

    def log_density_map(self, x: Tensor) -> Tensor:
        """Log-density of every value given those before it, nats, float64 (B, C, H, W).

        Differentiable by `x`: floats in [0, 1], shape (B, C, H, W); the integer k of b bits is
        the interval [k, k + 1] / 2^b.
        """
        ...


class Multiscale(ImageModel):
    """A model that factors an image: p(x) = p(coarse) p(detail | coarse), scale by scale.

    Coarse images have half the height and width, and are images themselves: those of level 0, the
    finest, are split again at level 1, and so on. Up-scaling by 2^k is, for level k - 1 to 0,
    `coarse = join(coarse, detail)` with a detail drawn from `given(coarse, level)`.
    """

    @abstractmethod
    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Splits images into the next coarser ones and the detail that is lost.

        Arguments:
            x: (B, C, H, W), H and W even.

        Returns:
            The coarse images, (B, C, H/2, W/2), and the detail, (B, 3 C, H/2, W/2).
        """

    @abstractmethod
    def join(self, coarse: Tensor, detail: Tensor) -> Tensor:
        """The inverse of `split`."""

    @abstractmethod
    def given(self, coarse: Tensor, level: int = 0) -> ImageModel:
        """The conditional model of the detail of a level, given its coarse images.

        It is a `Sampler`, whose `sample` takes the shape (B, H/2, W/2) of `coarse`, or a
        `Denoiser`, from which one draws by `imprior.inference.ascent`.

        Raises:
            ValueError: If the model has no such level.
        """


def require(model: ImageModel, ability: type[Ability], task: str) -> Ability:
    """Returns `model` if it has `ability`; otherwise says what is missing and who has it.

    Raises:
        ValueError: If the model lacks the ability.
    """
    if isinstance(model, ability):
        return model
    raise ValueError(
        f"{task} needs a model that is a {ability.__name__}; "
        f"{type(model).__name__} is not (`imprior info` lists what a model can do)"
    )
