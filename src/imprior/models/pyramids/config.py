"""What a PixelPyramid is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Context = Literal["published", "residual", "none"]
Fine = Literal["pixel", "difference"]


@dataclass(frozen=True)
class LevelConfig:
    """The network of one level of the pyramid.

    Attributes:
        context: What looks at the coarse image: the "published" U-Net, a "residual" one that
            computes most at low resolutions, or "none": the pixels of the coarse image as they are.
        neighbours: Whether that also sees the coarse pixels around each fine one relative to what
            the mixture is centred on, and magnified: they differ by hundredths of the range.
        width: Channels of the U-Net's first layers.
        depth: How often the U-Net halves its resolution.
        features: Channels that it hands on.
        squeeze: The fine part is done in squeeze^2 interleaved parts, one after another.
        num_lstms, hidden: Conv-LSTMs on top of each other, and their channels; without any, parts
            are predicted from the coarse image alone.
        direct: Whether a part is told from all parts before it, instead of from the last one and
            the state of the conv-LSTM alone; mixtures then see that, too, not the state alone.
        kernel: Side of the kernel that turns the last output into mixtures, 1 or 3.
        num_components: Of each pixel's mixture of logistics.
    """

    context: Context = "published"
    neighbours: bool = False
    width: int = 64
    depth: int = 4
    features: int = 100
    squeeze: int = 2
    num_lstms: int = 2
    hidden: int = 128
    direct: bool = False
    kernel: int = 3
    num_components: int = 10

    def __post_init__(self) -> None:
        for name in ("width", "features", "squeeze", "hidden", "kernel", "num_components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("depth", "num_lstms"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        if self.squeeze == 1 and self.num_lstms:
            raise ValueError("a fine image in one part has no sequence: squeeze 1, num_lstms 0")
        if self.direct and not self.num_lstms:
            raise ValueError("there is no conv-LSTM that direct could go past: num_lstms 0")


@dataclass(frozen=True)
class PixelPyramidConfig:
    """What a PixelPyramid is made of.

    Attributes:
        channels: Channels of the images.
        bits: Bit depth of the images, 1 to 16.
        levels: The networks, of the finest level first.
        repeat: Whether images that need more levels use the last two networks again and again;
            else their coarsest image is larger.
        coarsest: No side of the coarsest image is longer, unless levels run out.
        coarse_filters, coarse_blocks, coarse_components, coarse_dropout: Size of the PixelCNN++
            that models the coarsest image.
        fine: How a fine pixel is told: as the "pixel" itself, its mixture centred on the mean of
            its coarse neighbours, or as the "difference" from its pair, as published.
        tile: Larger images are modelled as tiles, each no longer than this, independent of each
            other: that bounds the memory.
    """

    channels: int = 3
    bits: int = 8
    levels: tuple[LevelConfig, ...] = field(default_factory=lambda: (LevelConfig(),) * 2)
    repeat: bool = False
    coarsest: int = 4
    coarse_filters: int = 32
    coarse_blocks: int = 2
    coarse_components: int = 10
    coarse_dropout: float = 0.0
    fine: Fine = "pixel"
    tile: int = 1024

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits must be 1 to 16, got {self.bits}")
        for name in ("channels", "coarsest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.levels or (self.repeat and len(self.levels) < 2):
            raise ValueError("a pyramid needs a level, and two to repeat them")
        if self.tile < 2 * self.coarsest or self.tile % 2:
            raise ValueError(f"tile must be even, at least {2 * self.coarsest}, got {self.tile}")
