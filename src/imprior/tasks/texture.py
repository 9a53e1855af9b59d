"""Texture synthesis: what is asked for, and what comes of it. `texture_files` does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from imprior.data.images import Image, read
from imprior.data.loading import match
from imprior.presets import PRESETS, Preset
from imprior.tasks.course import Course
from imprior.tasks.statistics import Distance, Statistics, distance, statistics

TEXTURE_PRESETS = {
    1: ("mcgsm-texture", "ride-texture"),
    3: ("mcgsm-texture-rgb", "ride-texture-rgb"),
}
"""What is trained unless another preset is named, by channels of the texture."""

MIN_SIDE = 64
"""Of the texture and of what is drawn: less has no room for the regions, or no statistics."""
PAGE = "index.html"
REGIONS = ("training", "validation", "held-out")


@dataclass(frozen=True)
class Wanted:
    """What is to be made.

    Attributes:
        size: Height and width of each sample.
        num: Samples of each model.
        seed: Of trainings and samples.
        temperature: As in `inference.walk.draw`.

    Raises:
        ValueError: If a value is out of range.
    """

    size: tuple[int, int] = (512, 512)
    num: int = 2
    seed: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if min(self.size) < MIN_SIDE:
            raise ValueError(
                f"textures have at least {MIN_SIDE} x {MIN_SIDE} pixels, "
                f"got {self.size[0]} x {self.size[1]}"
            )
        if self.num < 1 or self.seed < 0 or self.temperature < 0:
            raise ValueError(
                "samples must be at least 1, seed and temperature at least 0, got "
                f"{self.num}, {self.seed} and {self.temperature}"
            )


@dataclass(frozen=True, eq=False)
class Synthesis:
    """What one model made of the texture.

    Attributes:
        name: The preset.
        folder: The model's.
        num_parameters: Of the model.
        course: How its training went.
        bits_per_dim: Bits per value of the held-out region.
        samples: Drawn textures, int64 (C, H, W).
        files: Where they are.
        sampling_s: Seconds for all of them.
        statistics: Their mean.
    """

    name: str
    folder: Path
    num_parameters: int
    course: Course
    bits_per_dim: float
    samples: list[Tensor]
    files: list[Path]
    sampling_s: float
    statistics: Statistics


@dataclass(frozen=True, eq=False)
class Texture:
    """A texture, and what models made of it.

    Attributes:
        image: The texture as the models saw it.
        regions: Its three regions, see `regions_of`.
        wanted: What was drawn.
        codecs: Bits per value of the held-out region under codecs.
        syntheses: Of each model.
    """

    image: Image
    regions: Mapping[str, Image]
    wanted: Wanted
    codecs: Mapping[str, float]
    syntheses: list[Synthesis]

    @cached_property
    def statistics(self) -> Statistics:
        """Those of the texture."""
        return statistics(self.image.pixels, self.image.bits)

    @cached_property
    def own_distance(self) -> Distance:
        """How far the left half of the texture is from the right: what to measure others by."""
        middle = self.image.pixels.shape[2] // 2
        parts = self.image.pixels[..., :middle], self.image.pixels[..., middle:]
        left, right = (statistics(part, self.image.bits) for part in parts)
        return distance(left, right)

    def bits_per_dim(self) -> dict[str, float]:
        """Bits per value of the held-out region: of models by name, then of codecs."""
        return {made.name: made.bits_per_dim for made in self.syntheses} | dict(self.codecs)

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "image": self.image.path,
            "shape": list(self.image.pixels.shape),
            "bits": self.image.bits,
            **asdict(self.wanted),
            "held_out": {"shape": list(self.regions["held-out"].pixels.shape)}
            | {"codecs": dict(self.codecs)},
            "own_distance": asdict(self.own_distance),
            "models": [self._record(made) for made in self.syntheses],
        }

    def _record(self, made: Synthesis) -> dict[str, Any]:
        return {
            "name": made.name,
            "model": str(made.folder),
            "parameters": made.num_parameters,
            "bits_per_dim": made.bits_per_dim,
            "training_s": made.course.seconds,
            "sampling_s": made.sampling_s,
            "files": [str(path) for path in made.files],
            "distance": asdict(distance(self.statistics, made.statistics)),
        }


def read_texture(
    path: Path, names: Sequence[str] | None = None, *, gray: bool = False
) -> tuple[Image, dict[str, Preset]]:
    """Reads a texture as models of the presets take it; they will have its bit depth.

    Arguments:
        path: An image file.
        names: Presets; by default those for textures of as many channels.
        gray: Whether to make a colour texture grey.

    Returns:
        The texture, without what a camera noted about it; the presets by name.

    Raises:
        ValueError: If the texture cannot be read, does not fit all presets or is too small, or if a
            preset is unknown.
    """
    image = read(path)
    height, width = image.pixels.shape[1:]
    if min(height, width) < MIN_SIDE:
        raise ValueError(
            f"{path} has {height} x {width} pixels: a texture to learn from has at least "
            f"{MIN_SIDE} x {MIN_SIDE}"
        )
    if unknown := [name for name in names or () if name not in PRESETS]:
        raise ValueError(f"unknown preset {unknown[0]}: choose from {', '.join(PRESETS)}")
    in_colour = len(image.pixels) == 3 and not gray
    presets = {name: PRESETS[name] for name in names or TEXTURE_PRESETS[3 if in_colour else 1]}
    image = replace(image, metadata=replace(image.metadata, exif=None))
    for preset in presets.values():
        image = match(image, preset.config.channels, image.bits, gray=gray)
    return image, presets


def regions_of(image: Image) -> dict[str, Image]:
    """Bands of a texture: to learn from, to choose weights by, and, the lowest, to report.

    The latter two have an eighth of the rows each. No pixel is in two of them, so that no patch or
    neighbourhood that is learned from reaches into what is reported.
    """
    height = image.pixels.shape[1]
    band = max(MIN_SIDE // 4, height // 8)
    parts = image.pixels.split([height - 2 * band, band, band], 1)
    return {name: replace(image, pixels=x) for name, x in zip(REGIONS, parts, strict=True)}
