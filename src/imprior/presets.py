"""ONE table of what can be trained: model, training, data, published figure and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imprior.models.ride.mcgsm import MCGSMConfig
from imprior.train.samples import Drawing
from imprior.train.shallow import ShallowTraining
from imprior.train.stages import Stage

THEIS_2015 = "Theis & Bethge, Generative Image Modeling Using Spatial LSTMs, NIPS 2015"


@dataclass(frozen=True)
class ImageData:
    """What images become before a model sees them.

    Attributes:
        gray: Whether colour images are converted to grey; otherwise they are refused.
        reduce_bits: Whether images with more bits than the model's lose their lowest ones.
    """

    gray: bool = False
    reduce_bits: bool = False


@dataclass(frozen=True)
class Preset:
    """One row of the table.

    Attributes:
        config: The model's config; its class says which model.
        training: How it is trained.
        data: What the images become first.
        published: Figure of the paper, name -> (value, unit).
        source: The paper and what it describes, or how the preset was chosen.
    """

    config: Any
    training: Any
    data: ImageData
    published: dict[str, tuple[float, str]]
    source: str


def _fit(pixels: int, adam: int, mass: int, batch: int = 8192, check: int = 250) -> ShallowTraining:
    """First the density of dequantized values, then the mass of integers."""
    return ShallowTraining(
        Drawing(pixels),
        (
            Stage("adam", "density", adam, batch, learning_rate=0.01, check_every=check),
            Stage("adam", "mass", mass, batch, learning_rate=0.003, check_every=check),
        ),
        validation_pixels=min(100_000, pixels // 4),
    )


def _bsds300(
    components: int, bits_per_pixel: float, features: int, adam: int, lbfgs: int
) -> Preset:
    """The published protocol: noise on all values, whole neighbourhoods only, then L-BFGS."""
    config = MCGSMConfig(num_components=components, num_features=features)
    stages = (
        Stage("adam", "density", adam, learning_rate=0.01, check_every=500),
        Stage("lbfgs", "density", lbfgs, check_every=10),
    )
    training = ShallowTraining(Drawing(3_000_000, noise="all", interior=True), stages)
    published = {"bsds300/inf": (bits_per_pixel, "bit/px")}
    return Preset(config, training, ImageData(gray=True), published, f"{THEIS_2015}, Table 1")


def _tiny(channels: int) -> MCGSMConfig:
    return MCGSMConfig(
        channels=channels,
        num_components=4,
        num_scales=2,
        num_features=8,
        rows=2,
        columns=2,
        cross_radius=1.0,
        colour="ycocg" if channels == 3 else "none",
    )


GRAY = ImageData(gray=True)
COLOUR = ImageData()

PRESETS: dict[str, Preset] = {
    "mcgsm-gray-tiny": Preset(
        _tiny(1), _fit(40_000, 200, 100, 2048, 50), GRAY, {}, "For tests: seconds on a CPU."
    ),
    "mcgsm-rgb-tiny": Preset(
        _tiny(3), _fit(40_000, 200, 100, 2048, 50), COLOUR, {}, "For tests: seconds on a CPU."
    ),
    "mcgsm-gray-demo": Preset(
        MCGSMConfig(), _fit(600_000, 3_000, 1_000), GRAY, {}, "A minute on two cores."
    ),
    "mcgsm-gray": Preset(
        MCGSMConfig(num_components=32, rows=5, columns=5, radius=5.5),
        _fit(3_000_000, 20_000, 10_000),
        GRAY,
        {},
        "The bundled grey model: BSDS500 train and ImageNet 128 train, ten minutes on a core.",
    ),
    "mcgsm-rgb": Preset(
        MCGSMConfig(channels=3, num_components=32, radius=5.0, cross_radius=2.3, order="pixels"),
        _fit(2_400_000, 20_000, 10_000),
        COLOUR,
        {},
        "The bundled colour model, on the same photographs: half an hour on a core.",
    ),
    "mcgsm-bsds300-16": _bsds300(16, 3.688, 48, 30_000, 100),
    "mcgsm-bsds300-32": _bsds300(32, 3.706, 48, 30_000, 50),
    "mcgsm-bsds300-64": _bsds300(64, 3.716, 64, 20_000, 20),
    "mcgsm-bsds300-128": _bsds300(128, 3.717, 64, 15_000, 20),
}
