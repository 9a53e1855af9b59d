"""Where a PixelPyramid spends its bits, level by level: figures and a chart of them."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from imprior.models.pyramids.model import PixelPyramid
from imprior.report.figures import ACCENT, INK, MUTED


@dataclass(frozen=True)
class LevelBits:
    """What the levels of a pyramid need for some images.

    Attributes:
        bits: Name of a level -> bits for its part of all images; the finest first.
        values: Name of a level -> how many values that part has.
    """

    bits: dict[str, float]
    values: dict[str, int]

    @property
    def bits_per_dim(self) -> float:
        """Of the images as a whole."""
        return sum(self.shares.values())

    @property
    def shares(self) -> dict[str, float]:
        """What each level adds to `bits_per_dim`."""
        count = sum(self.values.values())
        return {name: bits / count for name, bits in self.bits.items()}

    @property
    def own(self) -> dict[str, float]:
        """Bits per value of a level's own part."""
        return {name: bits / self.values[name] for name, bits in self.bits.items()}


@torch.no_grad()
def measure(model: PixelPyramid, images: Iterable[Tensor]) -> LevelBits:
    """The bits of images, int64 (C, H, W), of any sizes.

    Raises:
        ValueError: If an image is larger than a tile of the model: its tiles have own pyramids.
    """
    bits: dict[str, float] = {}
    values: dict[str, int] = {}
    for image in images:
        if max(image.shape[1:]) > model.config.tile:
            raise ValueError(f"sides are at most {model.config.tile} here, got {image.shape[1:]}")
        x = image[None]
        found = model.level_log_probs(x)
        left = [model.coarse(x, number).numel() for number in range(len(found))]
        counts = [a - b for a, b in pairwise([*left, 0])]
        for (name, nats), count in zip(found.items(), counts, strict=True):
            bits[name] = bits.get(name, 0.0) - float(nats) / math.log(2)
            values[name] = values.get(name, 0) + count
    bits["coarsest"] = bits.pop("coarsest")  # last: larger images may have brought more levels
    return LevelBits(bits, values)


def draw(found: LevelBits) -> bytes:
    """An SVG: what each level adds to the bits of a value, and the bits of its own values."""
    figure = Figure(figsize=(9.0, 0.9 + 0.3 * len(found.bits)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _bars(left, found.shares, ACCENT, "bits per value of the image")
    _bars(right, found.own, MUTED, "bits per value of the level")
    left.invert_yaxis()  # the finest on top
    left.set_title(f"{found.bits_per_dim:.3f} bits in all", fontsize=10, color=INK)
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _bars(axes: Axes, values: dict[str, float], colour: str, label: str) -> None:
    drawn = axes.barh(list(values), list(values.values()), color=colour, height=0.66)
    axes.bar_label(drawn, fmt="%.3f", padding=4, color=INK)
    axes.set_xlabel(label, color=INK)
    axes.margins(x=0.15)
    axes.tick_params(left=False, colors=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)
