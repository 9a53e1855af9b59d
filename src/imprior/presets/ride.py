"""Presets of MCGSMs and RIDEs."""

from __future__ import annotations

from typing import Any, Literal

from imprior.models.ride.colour import ColourRIDEConfig
from imprior.models.ride.mcgsm import MCGSMConfig
from imprior.models.ride.model import RIDEConfig
from imprior.models.ride.multiscale import MultiscaleRIDEConfig
from imprior.presets.table import COLOUR, GRAY, ImageData, Preset
from imprior.train.config import FitConfig
from imprior.train.recurrent import RecurrentStage, RecurrentTraining
from imprior.train.samples import Drawing
from imprior.train.shallow import ShallowTraining
from imprior.train.stages import Stage

THEIS_2015 = "Theis & Bethge, Generative Image Modeling Using Spatial LSTMs, NIPS 2015"


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


def _recurrent(
    layers: int,
    steps: int,
    *,
    size: int = 36,
    batch: int = 16,
    rate: float = 0.005,
    target: Literal["density", "mass"] = "density",
    lbfgs: int = 0,
    check: int = 1000,
) -> RecurrentStage:
    """Adam with a moving average of the weights."""
    fit = FitConfig(
        steps,
        batch,
        rate,
        betas=(0.9, 0.99),
        warmup_steps=min(200, steps // 10),
        final_fraction=0.01,
        gradient_clip=1.0,
        weight_average=0.999,
        validate_every=min(check, steps),
        validation_batch=50,
    )
    return RecurrentStage(layers, size, target, fit, lbfgs)


def _ride_bsds300(layers: int, bits_per_pixel: float, *stages: RecurrentStage) -> Preset:
    published = {"bsds300/inf": (bits_per_pixel, "bit/px")}
    training = RecurrentTraining(stages)
    source = f"{THEIS_2015}, Table 2; trained by Adam instead of plain gradient descent"
    return Preset(RIDEConfig(num_layers=layers), training, GRAY, published, source)


def _published(layers: int, bits_per_pixel: float) -> Preset:
    """The published schedule: patches of 8 to 22 pixels, falling rates, L-BFGS after each."""
    rates = (1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 0.0005)
    stages = []
    for number, rate in enumerate(rates):
        size = 8 + 2 * number
        # One pass over the 180 pictures and their mirror images, in patches side by side.
        steps = 180 * 2 * (481 // size) * (321 // size) // 50
        fit = FitConfig(
            steps, 50, rate, optimizer="sgd", momentum=0.9, schedule="constant",
            validation_batch=50,
        )  # fmt: skip
        stages.append(RecurrentStage(min(layers, 1 + number), size, "density", fit, 500))
    published = {"bsds300/inf": (bits_per_pixel, "bit/px")}
    training = RecurrentTraining(tuple(stages))
    return Preset(
        RIDEConfig(num_layers=layers, rows=3, columns=3),
        training,
        GRAY,
        published,
        f"{THEIS_2015}, as published",
    )


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


def _tiny_ride(channels: int) -> RIDEConfig:
    return RIDEConfig(
        channels=channels,
        num_layers=2,
        num_units=8,
        num_components=4,
        num_scales=2,
        num_features=4,
        rows=2,
        columns=2,
        num_first=4,
    )


_TINY = RecurrentTraining(
    (
        _recurrent(1, 60, size=20, batch=8, target="mass"),
        _recurrent(2, 40, size=20, batch=8, target="mass", lbfgs=10),
    ),
    borders=True,
    validation_patches=20,
    sampled_patches=50,
)


def _texture(config: Any, training: Any) -> Preset:
    return Preset(
        config,
        training,
        ImageData(),
        {},
        "One texture: about a minute on a core, thrice that in colour.",
    )


_TEXTURE = RecurrentTraining(
    (_recurrent(1, 500, batch=8, rate=0.01, target="mass", lbfgs=30, check=25),),
    borders=True,
    mirrored=False,
    validation_size=64,
    validation_patches=32,
    sampled_patches=150,
)

RIDES: dict[str, Preset] = {
    "mcgsm-gray-tiny": Preset(
        _tiny(1), _fit(40_000, 200, 100, 2048, 50), GRAY, {}, "For tests: seconds on a CPU."
    ),
    "mcgsm-rgb-tiny": Preset(
        _tiny(3), _fit(40_000, 200, 100, 2048, 50), COLOUR, {}, "For tests: seconds on a CPU."
    ),
    "ride-gray-tiny": Preset(_tiny_ride(1), _TINY, GRAY, {}, "For tests: a minute on a CPU."),
    "ride-rgb-tiny": Preset(_tiny_ride(3), _TINY, COLOUR, {}, "For tests: a minute on a CPU."),
    "ride-colour-tiny": Preset(
        ColourRIDEConfig(luma=_tiny(1), chroma=_tiny(1)),
        _fit(40_000, 200, 100, 2048, 50),
        COLOUR,
        {},
        "For tests: seconds on a CPU. Luma is an MCGSM's.",
    ),
    "ride-multiscale-tiny": Preset(
        MultiscaleRIDEConfig(coarse=_tiny(1), detail=_tiny(1)),
        _fit(40_000, 200, 100, 2048, 50),
        GRAY,
        {},
        "For tests: seconds on a CPU. The low-pass is an MCGSM's.",
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
    "mcgsm-texture": _texture(MCGSMConfig(), _fit(200_000, 1_500, 500, 4096)),
    "mcgsm-texture-rgb": _texture(
        MCGSMConfig(channels=3, order="pixels"), _fit(200_000, 1_500, 500, 4096)
    ),
    "ride-texture": _texture(RIDEConfig(num_components=16), _TEXTURE),
    "ride-texture-rgb": _texture(RIDEConfig(channels=3, num_components=16), _TEXTURE),
    "ride-gray": Preset(
        RIDEConfig(),
        RecurrentTraining((_recurrent(1, 16_000), _recurrent(1, 800, target="mass", rate=0.001))),
        GRAY,
        {},
        "Grey photographs: an hour on a core. The bundled model is ride-bsds300-1, tuned.",
    ),
    "ride-gray-tune": Preset(
        RIDEConfig(),
        RecurrentTraining((_recurrent(1, 800, size=40, rate=0.001, target="mass"),), borders=True),
        GRAY,
        {},
        "To go on from ride-gray, or a model like it, with other pictures: --start ride-gray.",
    ),
    "ride-rgb-32": Preset(
        RIDEConfig(channels=3, direct=True, num_components=24),
        RecurrentTraining(
            (_recurrent(1, 2_500, size=32), _recurrent(1, 500, size=32, rate=0.001, target="mass")),
            borders=True,
            validation_size=32,
        ),
        COLOUR,
        {},
        f"{THEIS_2015}, Sec. 3.3: colour images of 32 x 32 pixels; CIFAR-10 is theirs",
    ),
    "ride-bsds300-1": _ride_bsds300(
        1,
        3.802,
        _recurrent(1, 16_000, lbfgs=50),
        _recurrent(1, 5_000, rate=0.003, lbfgs=50),
        _recurrent(1, 1_200, size=104, batch=2, rate=0.002),
    ),
    "ride-bsds300-2": _ride_bsds300(
        2,
        3.869,
        _recurrent(1, 5_000),
        _recurrent(2, 12_000, lbfgs=50),
        _recurrent(2, 1_200, size=104, batch=2, rate=0.002),
        _recurrent(2, 8_000, size=104, batch=4, rate=0.004, check=500),
        _recurrent(2, 600, size=220, batch=1, rate=0.001, check=200),
    ),
    "ride-bsds300-2-published": _published(2, 3.869),
    "mcgsm-bsds300-16": _bsds300(16, 3.688, 48, 30_000, 100),
    "mcgsm-bsds300-32": _bsds300(32, 3.706, 48, 30_000, 50),
    "mcgsm-bsds300-64": _bsds300(64, 3.716, 64, 20_000, 20),
    "mcgsm-bsds300-128": _bsds300(128, 3.717, 64, 15_000, 20),
}
