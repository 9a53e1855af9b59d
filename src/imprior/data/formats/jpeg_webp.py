"""JPEG and WebP: 8 bits, grey or colour, through Pillow.

The classes of the two formats are called by name. `PIL.Image.open` would try every format that
Pillow knows on a file from a stranger, and its limit on the size is not ours.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imprior.data.formats import exif
from imprior.data.formats.raster import (
    Capacity,
    ImageError,
    Metadata,
    Raster,
    check_size,
    per_inch,
)

JPEG = Capacity("JPEG", {(1, False): "grey", (3, False): "RGB"}, bits=(8,), side=65_500)
WEBP = Capacity("WebP", {(3, False): "RGB", (4, True): "RGBA"}, bits=(8,), side=16_383)
_QUALITY = 95


def decode_jpeg(path: Path) -> Raster:
    """Reads a JPEG, the first picture if a camera stored several."""
    with path.open("rb") as file:
        return _decode(JpegImageFile(file))


def decode_webp(path: Path) -> Raster:
    """Reads a WebP, lossless or lossy; its animations are refused."""
    with path.open("rb") as file:
        picture = WebPImageFile(file)
        if picture.n_frames > 1:
            raise ImageError("is an animation; save the frame you want as a picture of its own")
        return _decode(picture)


def encode_jpeg(raster: Raster) -> bytes:
    """The bytes of a JPEG of quality 95 without chroma subsampling.

    Raises:
        ImageError: If JPEG cannot hold `raster`.
    """
    JPEG.check(raster)
    metadata = raster.metadata
    options: dict[str, Any] = {"quality": _QUALITY, "subsampling": 0}
    if metadata.resolution is not None:
        options["dpi"] = metadata.resolution
    if metadata.exif is not None:
        options["exif"] = exif.MARK + metadata.exif
    return _encode(raster, "JPEG", options)


def encode_webp(raster: Raster) -> bytes:
    """The bytes of a lossless WebP; the resolution travels in the Exif record.

    Raises:
        ImageError: If WebP cannot hold `raster`.
    """
    WEBP.check(raster)
    if raster.alpha and bool((raster.samples[..., -1] == 255).all()):
        raise ImageError("WebP drops an alpha channel that is opaque everywhere; write PNG or TIFF")
    record, resolution = raster.metadata.exif, raster.metadata.resolution
    if resolution is not None and exif.resolution(record) != resolution:
        record = exif.with_resolution(record, resolution)
    # `exact` keeps the colours of transparent pixels.
    return _encode(raster, "WEBP", {"lossless": True, "exact": True, "exif": record or b""})


def _decode(picture: PIL.Image.Image) -> Raster:
    if picture.mode not in ("L", "RGB", "RGBA"):
        raise ImageError(
            f"is {picture.mode}; convert it to grey or RGB with a program that knows its colour "
            "profile"
        )
    check_size(picture.width, picture.height, len(picture.getbands()))
    record = picture.info.get("exif", b"").removeprefix(exif.MARK) or None
    # Without a unit in the JPEG's header, "dpi" is what Pillow makes of half of the Exif record.
    header = picture.info["dpi"] if picture.info.get("jfif_unit") in (1, 2) else (0, 0)
    resolution = per_inch(*header) or exif.resolution(record)
    metadata = Metadata(picture.info.get("icc_profile") or None, resolution, record)
    samples = np.asarray(picture).reshape(picture.height, picture.width, -1)
    raster = Raster(samples, bits=8, alpha=picture.mode == "RGBA", metadata=metadata)
    return exif.upright(raster, exif.orientation(record))


def _encode(raster: Raster, name: str, options: dict[str, Any]) -> bytes:
    samples = raster.samples[..., 0] if raster.samples.shape[2] == 1 else raster.samples
    icc = {} if raster.metadata.icc is None else {"icc_profile": raster.metadata.icc}
    buffer = io.BytesIO()
    PIL.Image.fromarray(samples).save(buffer, name, **options, **icc)
    return buffer.getvalue()
