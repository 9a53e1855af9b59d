"""Presets of denoisers: local models across scales, and flat ones."""

from __future__ import annotations

import dataclasses

from imprior.models.local.config import (
    FlatDenoiserConfig,
    LocalModelConfig,
    NetworkConfig,
    NoiseConfig,
)
from imprior.presets.table import COLOUR, GRAY, Preset
from imprior.train.config import FitConfig
from imprior.train.networks import Budget, NetworkTraining

KADKHODAIE_2023 = "Kadkhodaie, Guth, Mallat & Simoncelli, Local conditional models, ICLR 2023"
MOHAN_2020 = "Mohan, Kadkhodaie, Simoncelli & Fernandez-Granda, Bias-free CNNs, ICLR 2020"


def _training(steps: int, crop: int, *budgets: Budget, batch: int = 32) -> NetworkTraining:
    """Muon, its rate falling as a cosine, in half precision.

    After 1,200 steps errors are 1 dB lower than with Adam at its best rate, 0.01.
    """
    fit = FitConfig(
        steps,
        batch,
        0.05,
        optimizer="muon",
        betas=(0.9, 0.95),
        momentum=0.95,
        weight_decay=0.02,
        warmup_steps=min(100, steps // 10),
        final_fraction=0.001,
        precision="bf16-mixed",
        validate_every=min(1_000, steps),
        monitor="error_db",
    )
    return NetworkTraining(
        fit,
        crop,
        budgets,
        turned=True,
        scales=(0.7, 0.5),
        validation_share=0.05,
        validation_size=crop,
        validation_patches=256,
    )


def _tuning(training: NetworkTraining) -> NetworkTraining:
    """What makes a trained network better: small steps with settled norms, and their average."""
    fit = dataclasses.replace(
        training.fit, learning_rate=0.0005, optimizer="adam", betas=(0.9, 0.99), momentum=0.9,
        weight_decay=0.0, weight_average=0.995,
    )  # fmt: skip
    return dataclasses.replace(training, fit=fit, settled=True)


MODERATE = NoiseConfig(0.4, power=1.25, rescale=False, weight=1.0)
_LIGHT = NetworkConfig(depth=9, width=64, receptive_field=19)
_LOCAL = NetworkConfig(depth=11, width=64, receptive_field=9)
_GLOBAL = NetworkConfig(depth=11, width=48, receptive_field=23)


_FLAT_GRAY = FlatDenoiserConfig(1, _LIGHT, MODERATE, blocks=2)
_FLAT_RGB = FlatDenoiserConfig(3, _LIGHT, MODERATE, blocks=2)
_LOCAL_GRAY = LocalModelConfig(
    1,
    (_LOCAL,) * 3,
    _LIGHT,
    noise=dataclasses.replace(MODERATE, sigma=0.25),
    low_noise=dataclasses.replace(MODERATE, sigma=0.5),
    low_blocks=2,
)
# For denoising: what is given has been denoised, and is not clean.
_LOCAL_FIELDS = dataclasses.replace(
    _LOCAL_GRAY, noise=dataclasses.replace(_LOCAL_GRAY.noise, given=0.5), low_noise=MODERATE
)
# The low-pass image of a photograph has an eighth of its noise.
_LOCAL_RGB = LocalModelConfig(
    3, (_LOCAL,) * 3, _GLOBAL, low_noise=NoiseConfig(power=3.0, rescale=False, weight=1.5)
)


def _scales(steps: int, low_steps: int) -> NetworkTraining:
    """A local model's: the coarser the images, the larger the crops, and from finer ones too."""
    coarser = (
        Budget("scale-1", crop=144),
        Budget("scale-2", batch_size=32, crop=192),
        Budget("low", low_steps, 32, crop=256),
    )
    return dataclasses.replace(_training(steps, 96, *coarser, batch=16), finer=True)


_TINY_NETWORK = NetworkConfig(depth=3, width=8, receptive_field=5)
_TINY_TRAINING = _training(30, 16, batch=4)
_TUNE = "to go on from a trained model of its kind: --start"
_FOR_FIELDS = "photographs, to compare receptive fields; 13 minutes on a core"


def _as_published(images: int, epochs: int, crop: int, batch: int) -> NetworkTraining:
    """Adam in single precision, and so many passes; how its rate fell is not told."""
    steps = epochs * images // batch
    fit = FitConfig(
        steps, batch, 0.001, schedule="linear", validate_every=max(1, images // batch),
        monitor="error_db",
    )  # fmt: skip
    return NetworkTraining(fit, crop, validation_size=crop)


def _faces(side: int, scales: int, images: int) -> Preset:
    network = NetworkConfig(depth=21, width=64, receptive_field=9)
    config = LocalModelConfig(1, (network,) * scales)
    return Preset(config, _as_published(images, 70, side, 512), GRAY, {}, KADKHODAIE_2023)


def _flat_faces(field: int) -> Preset:
    config = FlatDenoiserConfig(1, NetworkConfig(receptive_field=field))
    return Preset(config, _as_published(202_499, 70, 160, 512), GRAY, {}, KADKHODAIE_2023)


def _field(field: int) -> Preset:
    config = FlatDenoiserConfig(1, NetworkConfig(21, 32, field))
    return Preset(config, _training(1_000, 64), GRAY, {}, _FOR_FIELDS)


DENOISERS: dict[str, Preset] = {
    "flat-gray-tiny": Preset(
        FlatDenoiserConfig(1, _TINY_NETWORK, MODERATE, blocks=2), _TINY_TRAINING, GRAY, {},
        "seconds, for tests",
    ),
    "local-gray-tiny": Preset(
        LocalModelConfig(1, (_TINY_NETWORK,) * 2, _TINY_NETWORK), _TINY_TRAINING, GRAY, {},
        "seconds, for tests",
    ),
    "local-rgb-tiny": Preset(
        LocalModelConfig(3, (_TINY_NETWORK,) * 2, _TINY_NETWORK), _TINY_TRAINING, COLOUR, {},
        "seconds, for tests",
    ),
    "flat-gray": Preset(
        _FLAT_GRAY, _training(36_000, 64), GRAY, {},
        "grey photographs of any size; 0.26 M parameters, two hours on a core; then flat-gray-tune",
    ),
    "flat-gray-tune": Preset(
        _FLAT_GRAY, _tuning(_training(3_000, 96, batch=16)), GRAY, {}, f"{_TUNE} flat-gray",
    ),
    "local-gray-tune": Preset(
        _LOCAL_GRAY, _tuning(_scales(3_000, 3_000)), GRAY, {}, f"{_TUNE} local-gray",
    ),
    "local-rgb-tune": Preset(
        _LOCAL_RGB, _tuning(_scales(1_500, 1_500)), COLOUR, {}, f"{_TUNE} local-rgb",
    ),
    "flat-rgb": Preset(
        _FLAT_RGB, _training(12_000, 64), COLOUR, {},
        "colour photographs of any size; 0.27 M parameters, 40 minutes on a core",
    ),
    "local-gray": Preset(
        _LOCAL_GRAY, _scales(5_000, 6_000), GRAY, {},
        "grey photographs of any size; 0.6 M parameters, half an hour on a core",
    ),
    "local-rgb": Preset(
        _LOCAL_RGB, _scales(2_000, 2_500), COLOUR, {},
        "colour photographs of any size; 0.5 M parameters, a quarter of an hour on a core",
    ),
    "flat-gray-13": _field(13),
    "flat-gray-43": _field(43),
    "local-gray-9": Preset(_LOCAL_FIELDS, _scales(1_500, 3_000), GRAY, {}, _FOR_FIELDS),
    "flat-bsd400": Preset(
        FlatDenoiserConfig(
            1, NetworkConfig(20, 64, 41, first_relu=True), NoiseConfig(0.4, power=1, rescale=False)
        ),
        _as_published(400 * 500, 70, 50, 128), GRAY, {},
        f"{MOHAN_2020}; 500 patches of each image and pass",
    ),
    "flat-celeba-13": _flat_faces(13),
    "flat-celeba-43": _flat_faces(43),
    "local-celeba-160": _faces(160, 2, 202_499),
    "local-celeba-320": _faces(320, 3, 29_900),
}  # fmt: skip
