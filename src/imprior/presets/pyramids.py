"""Presets of PixelPyramids and PixelCNN++."""

from __future__ import annotations

import dataclasses

from imprior.models.baselines.pixelcnn import PixelCNNConfig
from imprior.models.pyramids.config import LevelConfig, PixelPyramidConfig
from imprior.presets.table import COLOUR, GRAY, ImageData, Preset
from imprior.train.config import FitConfig
from imprior.train.networks import Budget, NetworkTraining

MAHAJAN_2021 = "Mahajan & Roth, PixelPyramids, ICCV 2021"
SALIMANS_2017 = "Salimans et al., PixelCNN++, ICLR 2017"
FIVE_BITS = ImageData(reduce_bits=True)


def _training(
    steps: int, crop: int, *budgets: Budget, batch: int = 16, rate: float = 0.002
) -> NetworkTraining:
    """Adam, its rate falling as a cosine, in half precision, and a moving average."""
    fit = FitConfig(
        steps,
        batch,
        rate,
        betas=(0.9, 0.99),
        warmup_steps=min(100, steps // 10),
        final_fraction=0.01,
        gradient_clip=1.0,
        weight_average=0.998,
        precision="bf16-mixed",
        validate_every=min(500, steps),
    )
    size = min(128, 2 * crop)
    return NetworkTraining(fit, crop, budgets, validation_size=size, validation_patches=64)


def _photographs(steps: int, *budgets: Budget) -> NetworkTraining:
    """Crops of photographs and of the same made smaller, which JPEG has left no traces in."""
    training = _training(steps, 64, *budgets, rate=0.003)
    return dataclasses.replace(training, scales=(0.7, 0.5))


def _as_published(images: int, batch: int, crop: int) -> NetworkTraining:
    """100 passes; the rate falls by 5e-6 a step, which a straight line is close to."""
    steps = 100 * images // batch
    fit = FitConfig(
        steps,
        batch,
        0.0005,
        betas=(0.95, 0.9995),
        schedule="linear",
        final_fraction=(1 - 5e-6) ** steps,
        weight_average=0.9995,
        validate_every=images // batch,
    )
    return NetworkTraining(fit, crop, validation_size=crop)


def published_levels(num: int, depths: tuple[int, ...], wide: int) -> tuple[LevelConfig, ...]:
    """Levels of the published widths: the last depth again and again, the first `wide` 4 x 4."""
    depths += depths[-1:] * (num - len(depths))
    return tuple(
        LevelConfig(depth=depth, squeeze=4 if number < wide else 2)
        for number, depth in enumerate(depths)
    )


def _published(
    levels: tuple[LevelConfig, ...],
    bits: int,
    figure: tuple[str, float],
    training: NetworkTraining,
    coarse: tuple[int, int] = (96, 5),
) -> Preset:
    filters, blocks = coarse
    config = PixelPyramidConfig(
        bits=bits,
        levels=levels,
        coarse_filters=filters,
        coarse_blocks=blocks,
        coarse_dropout=0.5,
        fine="difference",
    )
    name, value = figure
    data = FIVE_BITS if bits < 8 else COLOUR
    return Preset(config, training, data, {name: (value, "bits/dim")}, MAHAJAN_2021)


def _lsun(name: str, images: int, value: float) -> Preset:
    training = _as_published(images, 4, 128)
    return _published(_OF_128, 5, (f"lsun-{name}/5bit", value), training)


_OF_256 = published_levels(12, (4, 4, 4, 3, 2, 1), 4)
_OF_1024 = published_levels(16, (4, 4, 4, 4, 4, 4, 4, 3, 2, 1), 0)
_OF_128 = published_levels(10, (4, 4, 4, 4, 3, 3, 2, 2, 1, 1), 4)

LIGHT = LevelConfig(
    context="residual",
    neighbours=True,
    width=32,
    depth=3,
    features=32,
    squeeze=2,
    num_lstms=1,
    hidden=32,
    direct=True,
    kernel=3,
)
_SMALLER = dataclasses.replace(LIGHT, width=24, features=24, hidden=28)
_TINY_LEVEL = dataclasses.replace(LIGHT, width=4, depth=1, features=4, hidden=4, num_components=2)
_TINY = PixelPyramidConfig(
    levels=(_TINY_LEVEL, _TINY_LEVEL), repeat=True, coarsest=2, coarse_filters=4,
    coarse_blocks=1, coarse_components=2,
)  # fmt: skip
_LAPTOP = PixelPyramidConfig(levels=(LIGHT,) * 4, repeat=True, coarse_filters=16, coarse_blocks=1)
_COARSEST = Budget("coarsest", steps=1_000, learning_rate=0.002)
_TINY_TRAINING = _training(30, 16, batch=4)

PYRAMIDS: dict[str, Preset] = {
    "pyramid-gray-tiny": Preset(
        dataclasses.replace(_TINY, channels=1), _TINY_TRAINING, GRAY, {}, "seconds, for tests"
    ),
    "pyramid-rgb-tiny": Preset(_TINY, _TINY_TRAINING, COLOUR, {}, "seconds, for tests"),
    "pyramid-difference-tiny": Preset(
        dataclasses.replace(_TINY, fine="difference"), _TINY_TRAINING, COLOUR, {},
        "seconds, for tests; fine pixels told as published",
    ),
    "pyramid-gray": Preset(
        dataclasses.replace(_LAPTOP, channels=1, levels=(_SMALLER,) * 2),
        _photographs(6_000, _COARSEST),
        GRAY, {}, "grey photographs of any size; 0.84 M parameters, half an hour on a core",
    ),
    "pyramid-rgb": Preset(
        _LAPTOP,
        _photographs(9_000, Budget("level-1", steps=12_000), _COARSEST),
        COLOUR, {}, "colour photographs of any size; 2.6 M parameters, an hour on two cores",
    ),
    "pyramid-celeba-256": _published(
        _OF_256, 5, ("celeba-hq-256/5bit", 0.61), _as_published(27_000, 48, 256), (32, 2)
    ),
    "pyramid-celeba-1024": _published(
        _OF_1024, 8, ("celeba-hq-1024/8bit", 0.58), _as_published(27_000, 32, 1024)
    ),
    "pyramid-lsun-bedroom": _lsun("bedroom", 3_033_042, 0.88),
    "pyramid-lsun-church": _lsun("church", 126_227, 1.07),
    "pyramid-lsun-tower": _lsun("tower", 708_264, 0.95),
    "pyramid-imagenet-128": _published(
        _OF_128, 8, ("imagenet-128/8bit", 3.40), _as_published(1_281_167, 32, 128)
    ),
    "pixelcnn-tiny": Preset(
        PixelCNNConfig(num_filters=4, num_blocks=1, num_components=2, dropout=0.0),
        _training(30, 8, batch=4), COLOUR, {}, "seconds, for tests",
    ),
    "pixelcnn-32": Preset(
        PixelCNNConfig(num_filters=48, num_blocks=2, dropout=0.0),
        _training(3_000, 32), COLOUR, {}, "folders of images of 32 x 32 pixels, on a laptop",
    ),
    "pixelcnn-cifar10": Preset(
        PixelCNNConfig(),
        NetworkTraining(
            FitConfig(
                800_000, 64, 0.001, betas=(0.95, 0.9995), schedule="linear",
                final_fraction=0.02, weight_average=0.9995, validate_every=800,
            ),
            32, validation_size=32, validation_patches=5_000,
        ),
        COLOUR, {"cifar-10/8bit": (2.92, "bits/dim")}, f"{SALIMANS_2017}, Sec. 3.1",
    ),
}  # fmt: skip
