"""What denoisers are made of, and the noise that they learn from."""

from __future__ import annotations

from dataclasses import dataclass, field


def spread(depth: int, receptive_field: int) -> tuple[int, ...]:
    """Which layers of a network are 3×3: the first, the last, the rest evenly between them.

    Example:
        >>> spread(21, 13)
        (0, 4, 8, 12, 16, 20)
    """
    gaps = (receptive_field - 1) // 2 - 1
    return tuple(round(gap * (depth - 1) / gaps) for gap in range(gaps + 1))


@dataclass(frozen=True)
class NetworkConfig:
    """A convolutional network without biases.

    Attributes:
        depth: Layers.
        width: Channels between them.
        receptive_field: Side of the square of its input that an output depends on: odd, from 5 to
            2 depth + 1. Each 3×3 layer widens it by 2; the others are 1×1.
        where: Numbers of the 3×3 layers, from 0; None: spread evenly from the first to the last.
        first_relu: Whether a ReLU follows the first layer, too.
    """

    depth: int = 21
    width: int = 64
    receptive_field: int = 13
    where: tuple[int, ...] | None = None
    first_relu: bool = False

    def __post_init__(self) -> None:
        for name, least in (("depth", 2), ("width", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        odd, largest = self.receptive_field % 2 == 1, 2 * self.depth + 1
        if not (odd and 5 <= self.receptive_field <= largest):
            raise ValueError(
                f"the receptive field of {self.depth} layers is odd, 5 to {largest}, "
                f"got {self.receptive_field}"
            )
        count = (self.receptive_field - 1) // 2
        places = self.places
        if list(places) != sorted(set(places)) or len(places) != count:
            raise ValueError(
                f"a receptive field of {self.receptive_field} takes {count} layers of 3×3, in "
                f"rising order, got where={self.where}"
            )
        if places[0] < 0 or places[-1] >= self.depth:
            raise ValueError(f"where must be layers 0 to {self.depth - 1}, got {self.where}")

    @property
    def places(self) -> tuple[int, ...]:
        """Numbers of the 3×3 layers."""
        return spread(self.depth, self.receptive_field) if self.where is None else self.where

    @property
    def kernels(self) -> tuple[int, ...]:
        """Side of the kernel of each layer, 1 or 3."""
        places = set(self.places)
        return tuple(3 if layer in places else 1 for layer in range(self.depth))


@dataclass(frozen=True)
class NoiseConfig:
    r"""The noise that a denoiser learns from: each image has its own level.

    .. math:: \sigma = \sigma_{\max} u^q, \quad u \sim U(0, 1)

    Attributes:
        sigma: The largest standard deviation, in units of the range of the images.
        power: q; 2 draws low levels more often, 1 all levels alike, 0 the largest alone.
        rescale: Whether each clean image is first darkened by a factor drawn from U(0, 1).
        weight: p of squared errors that are divided by the p-th power of their level: 0 as
            published, 2 for errors relative to the noise. With 0 low levels count for little.
        given: Largest noise of what details are given, as a part of their own; 0 as published. Each
            image has its own level up to that. In denoising, what is given is itself denoised.

    Source: the code of Kadkhodaie et al. (2023), where u is one of 255 grey levels.
    """

    sigma: float = 1.0
    power: float = 2.0
    rescale: bool = True
    weight: float = 0.0
    given: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma must be positive, got {self.sigma}")
        for name in ("power", "weight", "given"):
            if not 0 <= getattr(self, name) < float("inf"):
                value = getattr(self, name)
                raise ValueError(f"{name} must be at least 0 and finite, got {value}")


def _check_images(channels: int, bits: int) -> None:
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be 1 to 16, got {bits}")


@dataclass(frozen=True)
class FlatDenoiserConfig:
    """What a denoiser of images at one scale is made of.

    Attributes:
        channels: Of the images.
        network: Predicts the noise.
        noise: To learn from.
        bits: Depth of the images that it learns from; what it denoises are floats in [0, 1].
        blocks: Side b of the squares of pixels that the network sees as one with more channels: its
            field is b times as wide, its cost 1/b² of what it was; 1: pixels.

    Source: Kadkhodaie et al. (2023); of blocks, Zhang, Zuo & Zhang, FFDNet (2018).
    """

    channels: int = 1
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(receptive_field=43))
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    bits: int = 8
    blocks: int = 1

    def __post_init__(self) -> None:
        _check_images(self.channels, self.bits)
        if self.blocks < 1:
            raise ValueError(f"blocks must be at least 1, got {self.blocks}")


@dataclass(frozen=True)
class LocalModelConfig:
    """What a multi-scale denoiser is made of.

    Attributes:
        channels: Of the images.
        scales: Networks that predict the noise of details given the low-pass, the finest first.
        low: The network of the coarsest low-pass image.
        wavelet: PyWavelets' name of an orthogonal one.
        noise: For the scales to learn from; published is the square of the largest detail, and no
            detail of an image in [0, 1] exceeds 1/2 in a Haar wavelet's.
        low_noise: For the low-pass image.
        low_blocks: Of its network; see `FlatDenoiserConfig.blocks`.
        bits: Depth of the images that it learns from; what it denoises are floats in [0, 1].
    """

    channels: int = 1
    scales: tuple[NetworkConfig, ...] = field(default_factory=lambda: (NetworkConfig(),) * 2)
    low: NetworkConfig = field(default_factory=lambda: NetworkConfig(20, receptive_field=41))
    wavelet: str = "haar"
    noise: NoiseConfig = field(default_factory=lambda: NoiseConfig(0.25, rescale=False))
    low_noise: NoiseConfig = field(default_factory=NoiseConfig)
    low_blocks: int = 1
    bits: int = 8

    def __post_init__(self) -> None:
        _check_images(self.channels, self.bits)
        if self.low_blocks < 1:
            raise ValueError(f"low_blocks must be at least 1, got {self.low_blocks}")
        if not self.scales:
            raise ValueError("a multi-scale denoiser needs a scale; without any it is a flat one")
