"""What a RIDE is made of."""

from __future__ import annotations

from dataclasses import dataclass

from imprior.transforms import causal


@dataclass(frozen=True)
class RIDEConfig:
    """What a RIDE is made of.

    Attributes:
        channels: Channels of the images.
        bits: Bit depth of the images, 1 to 16.
        num_layers, num_units: Spatial LSTMs on top of each other, and the units of each.
        extended: Whether their gates see the neighbours' memory states too.
        num_components, num_scales, num_features: Size of each channel's mixture.
        rows, columns, radius: The causal neighbourhood: rows above, columns to each side, and
            the largest distance, in pixels.
        direct: Whether mixtures see the neighbourhood beside the last layer's outputs; the
            published ones see those outputs alone.
        num_first: Components of the mixture of the very first pixel, which has no context.
    """

    channels: int = 1
    bits: int = 8
    num_layers: int = 1
    num_units: int = 64
    extended: bool = False
    num_components: int = 32
    num_scales: int = 4
    num_features: int = 32
    rows: int = 4
    columns: int = 4
    radius: float = 99.0
    direct: bool = False
    num_first: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits must be 1 to 16, got {self.bits}")
        sizes = ("num_layers", "num_units", "num_components", "num_scales", "num_first", "rows")
        for least, names in ((1, ("channels", *sizes)), (0, ("num_features", "columns"))):
            for name in names:
                if getattr(self, name) < least:
                    raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


def contexts(config: RIDEConfig, inputs: int = 0) -> list[causal.Context]:
    """What each plane is predicted from: all planes before the pixel, earlier planes at it.

    Arguments:
        inputs: Planes behind the channels that are seen before the pixel too.
    """
    window = causal.causal_window(config.rows, config.columns, config.radius)
    shared = [(plane, *offset) for plane in range(config.channels + inputs) for offset in window]
    result = []
    for plane in range(config.channels):
        offsets = (*shared, *((other, 0, 0) for other in range(plane)))
        result.append(causal.Context(plane, offsets, (True,) * len(offsets)))
    return result
