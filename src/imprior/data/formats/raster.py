"""What a decoder gives and an encoder takes: samples as the file holds them, and their context."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.unsignedinteger[Any]]

# 8 GiB as int64: 12,000 x 12,000 RGB fits with room, a header that lies about its size does not.
MAX_VALUES = 2**30
# No scanner or printer comes near; JPEG's 16-bit field sets the limit.
MAX_PER_INCH = 65535

_COLOUR_SPACES = {1: b"GRAY", 3: b"RGB "}  # as a profile's header names them


class ImageError(ValueError):
    """An image cannot be read or written; one line says which, why and what to do."""


@contextmanager
def explained(path: str | os.PathLike[str], done: str) -> Iterator[None]:
    """Makes one line that begins with the path of whatever goes wrong."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{os.fspath(path)}: {error}") from error
    except MemoryError as error:
        raise ImageError(f"{os.fspath(path)}: needs more memory than there is") from error
    except Exception as error:  # on damaged files the libraries raise nearly anything
        system = getattr(error, "strerror", None)
        doubt = "" if system or done == "written" else "; it may be damaged or cut short"
        reason = " ".join((system or str(error) or type(error).__name__).split())
        raise ImageError(f"{os.fspath(path)}: cannot be {done}{doubt}: {reason}") from error


@dataclass(frozen=True)
class Metadata:
    """What a file says about its pixels, in a form that does not depend on the format.

    Attributes:
        icc: The colour profile, unchanged.
        resolution: Pixels per inch across and down, each in (0, 65535].
        exif: The Exif record, without the `Exif` mark that some formats put before it.

    Raises:
        ValueError: If the resolution is out of range.
    """

    icc: bytes | None = None
    resolution: tuple[float, float] | None = None
    exif: bytes | None = None

    def __post_init__(self) -> None:
        if self.resolution is not None and per_inch(*self.resolution) is None:
            raise ValueError(
                f"resolution is two numbers of pixels per inch in (0, {MAX_PER_INCH}], "
                f"got {self.resolution}"
            )


@dataclass(frozen=True, eq=False)
class Raster:
    """The samples of one picture, (H, W, C): unsigned, below 2^bits; where asked for, floats."""

    samples: Samples
    bits: int
    alpha: bool
    metadata: Metadata


@dataclass(frozen=True)
class Capacity:
    """What a format can hold without losing anything.

    Attributes:
        name: As in messages.
        layouts: (channels, last is alpha) -> its name.
        bits: The depths that it keeps.
        side: The largest height and width.
    """

    name: str
    layouts: Mapping[tuple[int, bool], str]
    bits: Collection[int]
    side: int

    def check(self, raster: Raster) -> None:
        """Raises ImageError unless `raster` fits."""
        height, width, channels = raster.samples.shape
        if (channels, raster.alpha) not in self.layouts:
            came = f"{channels} channel{'s' * (channels > 1)}{' with alpha' * raster.alpha}"
            held = ", ".join(self.layouts.values())
            raise ImageError(f"{self.name} holds {held}, not {came}; write TIFF")
        if raster.bits not in self.bits:
            held = ", ".join(map(str, self.bits))
            raise ImageError(
                f"{self.name} holds {held} bits a channel, not {raster.bits}; write PNG or TIFF"
            )
        if max(height, width) > self.side:
            raise ImageError(
                f"{self.name} holds at most {self.side} pixels a side, not {width} x {height}; "
                "write TIFF"
            )


def without_wrong_profile(raster: Raster) -> Raster:
    """Leaves out a colour profile that describes other colours than the samples have."""
    icc, colours = raster.metadata.icc, raster.samples.shape[2] - raster.alpha
    if icc is None or icc[16:20] == _COLOUR_SPACES.get(colours, icc[16:20]):
        return raster
    return replace(raster, metadata=replace(raster.metadata, icc=None))


def per_inch(across: float, down: float) -> tuple[float, float] | None:
    """The resolution, or None where a file gives one that means nothing."""
    plausible = all(math.isfinite(x) and 0 < x <= MAX_PER_INCH for x in (across, down))
    return (float(across), float(down)) if plausible else None


def check_size(width: int, height: int, channels: int) -> None:
    """Raises ImageError if an image of the declared size is empty or too large to be read."""
    if min(width, height, channels) < 1:
        raise ImageError(f"is empty: {width} x {height} pixels, {channels} channels")
    if width * height * channels > MAX_VALUES:
        raise ImageError(
            f"declares {width} x {height} pixels of {channels} channels; at most {MAX_VALUES:,} "
            "values are read at once: cut it into pieces"
        )


def smallest_dtype(bits: int) -> type[np.uint8] | type[np.uint16]:
    """The type that holds samples of `bits` bits, 1 to 16."""
    return np.uint8 if bits <= 8 else np.uint16
