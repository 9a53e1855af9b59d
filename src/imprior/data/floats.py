"""Images as floats, black 0 and white 1, between files and models of continuous values.

Integer files are scaled to [0, 1]. Floating-point TIFFs, which `imprior.data.images` refuses, are
taken as they are, beyond [0, 1] too. Either is written in the depth that it came in.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imprior.data import images
from imprior.data.formats.raster import ImageError, Metadata, Raster, explained, smallest_dtype
from imprior.data.images import to_float, to_int
from imprior.data.loading import to_gray

TIFF = (".tif", ".tiff")
BAND = 256  # rows that are rounded at a time, so that memory does not grow with the image


@dataclass(frozen=True, eq=False)
class FloatImage:
    """A picture as floats, with what its file says about it.

    Attributes:
        pixels: Floats (C, H, W), finite; float64 for files of such, else float32.
        bits: Depth of the file: 1 to 16 for integers; 16, 32 or 64 for floats.
        is_float: Whether the file has floats.
        metadata: Colour profile, resolution, Exif record.
        alpha: Whether the last channel is opacity.
        path: Where it came from; empty if it was made.
    """

    pixels: Tensor
    bits: int
    is_float: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    alpha: bool = False
    path: str = ""

    @property
    def colours(self) -> Tensor:
        """The channels without opacity, a view."""
        return self.pixels[: len(self.pixels) - self.alpha]


def read(path: str | os.PathLike[str], *, gray: bool = False) -> FloatImage:
    """Reads the picture of a file that holds one; see `read_pages`.

    Raises:
        ImageError: If the file cannot be read faithfully, or holds several.
    """
    first, *more = itertools.islice(read_pages(path, gray=gray), 2)
    if more:
        raise ImageError(f"{path}: has several pages; save each as a file of its own")
    return first


def read_pages(path: str | os.PathLike[str], *, gray: bool = False) -> Iterator[FloatImage]:
    """Reads the pages of a file one after another, upright.

    Arguments:
        path: A file of any format that `images.read` takes, or a floating-point TIFF.
        gray: Whether to make RGB grey, see `imprior.data.loading.to_gray`; opacity is then dropped.

    Raises:
        ImageError: If the file cannot be read faithfully, or holds NaN or infinity.
    """
    with explained(path, "read"):
        for raster in images.rasters(Path(path), first=0, floats=True):
            yield _image(raster, os.fspath(path), gray)


def write(path: str | os.PathLike[str], image: FloatImage) -> None:
    """Writes a picture in the format of the suffix and in its depth, wholly or not at all.

    For integers values are rounded, and what is beyond [0, 1] becomes 0 or 1; floats stay.

    Raises:
        ImageError: If the format cannot hold the picture, or the disk the file.
    """
    with explained(path, "written"):
        if image.is_float and Path(path).suffix.lower() not in TIFF:
            raise ImageError("floats are written as TIFF: give it the suffix .tiff")
        raster = Raster(_samples(image), image.bits, image.alpha, image.metadata)
    images.write_raster(path, raster)


def _samples(image: FloatImage) -> Any:
    """What the file holds, (H, W, C), some rows at a time: integers are int64 in between."""
    kind = np.dtype(f"float{image.bits}") if image.is_float else smallest_dtype(image.bits)
    channels, height, width = image.pixels.shape
    samples = np.empty((height, width, channels), kind)
    for top in range(0, height, BAND):
        x = image.pixels[:, top : top + BAND]
        x = x if image.is_float else to_int(x, image.bits)
        samples[top : top + BAND] = x.cpu().permute(1, 2, 0).numpy()
    return samples


def _image(raster: Raster, path: str, gray: bool) -> FloatImage:
    samples, is_float = raster.samples, raster.samples.dtype.kind == "f"
    wide = np.dtype("float64" if samples.dtype.itemsize == 8 else "float32")
    kind = wide if is_float else samples.dtype
    native = np.array(samples.transpose(2, 0, 1), kind.newbyteorder("="), order="C")
    pixels, alpha = torch.from_numpy(native), raster.alpha
    if gray and len(pixels) - alpha == 3:
        pixels, alpha = _to_gray(pixels[:3]), False
    if not is_float:
        pixels = to_float(pixels, raster.bits)
    elif wrong := int((~pixels.isfinite()).sum()):
        raise ImageError(f"holds {wrong} values that are NaN or infinite; put numbers there")
    return FloatImage(pixels, raster.bits, is_float, raster.metadata, alpha, path)


def _to_gray(rgb: Tensor) -> Tensor:
    if not rgb.is_floating_point():
        return to_gray(rgb.long())
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=rgb.dtype)
    return torch.einsum("c,chw->hw", weights, rgb)[None]
