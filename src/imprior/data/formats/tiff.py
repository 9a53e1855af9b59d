"""TIFF: 1 to 16 bits or floats, any channels, any number of pages, through tifffile.

Source: TIFF Revision 6.0, Adobe 1992; tag numbers and names are from there.
"""

from __future__ import annotations

import io
import itertools
import logging
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from tifffile import EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT, TiffPage

from imprior.data.formats import exif
from imprior.data.formats.raster import (
    ImageError,
    Metadata,
    Raster,
    Samples,
    check_size,
    per_inch,
    smallest_dtype,
)

# What tifffile logs about a damaged file is said again, with its path, by the error that follows;
# without a handler of its own Python would print it to the terminal as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT, _ICC = 274, 282, 283, 296, 34675
_JPEG = 7


def decode(path: Path, first: int, *, floats: bool = False) -> Iterator[Raster]:
    """Reads the pages from `first` on; thumbnails (reduced-resolution pages) do not count.

    With `floats`, pages of 16, 32 or 64-bit floats are read as well, as they are.
    """
    with tifffile.TiffFile(path) as file:
        pages = (page for page in file.pages if isinstance(page, TiffPage))
        whole = (page for page in pages if not page.is_reduced)
        start = next(whole, None)
        if start is None:
            raise ImageError("holds no picture; it may be cut short")
        for page in itertools.islice(itertools.chain((start,), whole), first, None):
            yield _raster(page, path.stat().st_size, floats)


def encode(raster: Raster) -> bytes:
    """The bytes of a TIFF of one page: deflated at 8 and 16 bits and of floats, else packed."""
    channels, metadata = raster.samples.shape[2], raster.metadata
    base = 3 if channels - raster.alpha == 3 else 1
    extra = [EXTRASAMPLE.UNSPECIFIED] * (channels - base)
    if raster.alpha:
        extra[-1] = EXTRASAMPLE.UNASSALPHA
    options: dict[str, Any] = {"photometric": "rgb" if base == 3 else "minisblack"}
    if channels > 1:
        options |= {"planarconfig": "contig", "extrasamples": extra}
    if raster.bits in (8, 16) or raster.samples.dtype.kind == "f":
        options |= {"compression": "zlib", "predictor": True}
    else:
        options["bitspersample"] = raster.bits
    if metadata.resolution is not None:
        options |= {"resolution": metadata.resolution, "resolutionunit": "INCH"}
    if metadata.icc is not None:
        options["iccprofile"] = metadata.icc
    samples = raster.samples if channels > 1 else raster.samples[..., 0]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, metadata=None, **options)
    return buffer.getvalue()


def _raster(page: TiffPage, file_size: int, floats: bool) -> Raster:
    _check_complete(page, file_size)
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel)
    _check_kind(page, floats)
    samples = _samples(page)
    bits = int(page.bitspersample)
    if page.photometric == PHOTOMETRIC.PALETTE:
        samples, bits = _expanded(samples, page.colormap)
    extra = page.extrasamples
    alpha = bool(extra) and extra[-1] == EXTRASAMPLE.UNASSALPHA
    icc = page.tags.valueof(_ICC)
    metadata = Metadata(bytes(icc) if icc else None, _resolution(page))
    raster = Raster(samples, bits, alpha, metadata)
    orientation = page.tags.valueof(_ORIENTATION, default=1)
    return exif.upright(raster, orientation if orientation in range(1, 9) else 1)


def _check_complete(page: TiffPage, file_size: int) -> None:
    """Refuses a cut file: tifffile would fill what it lacks with zeros and defaults."""
    layout, file = page.parent.tiff, page.parent.filehandle
    file.seek(page.offset)
    (entries,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    if len(page.tags) < entries:
        raise ImageError(f"is damaged: {entries - len(page.tags)} of its {entries} tags are lost")
    ends = (at + size for at, size in zip(page.dataoffsets, page.databytecounts, strict=True))
    if (end := max(ends, default=0)) > file_size:
        raise ImageError(f"is truncated: it has {file_size} bytes, its pixels need {end}")


def _check_kind(page: TiffPage, floats: bool) -> None:
    """Raises ImageError unless the page is grey, RGB, further channels, of unsigned integers."""
    if floats and _is_float(page):
        _check_colours(page, [PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB])
        return
    if page.sampleformat in (SAMPLEFORMAT.IEEEFP, SAMPLEFORMAT.COMPLEXIEEEFP):
        nan = " (some of them NaN)" if np.isnan(page.asarray()).any() else ""
        raise ImageError(f"holds floating-point values{nan}; scale it to 8- or 16-bit integers")
    if page.sampleformat != SAMPLEFORMAT.UINT or page.bitspersample not in range(1, 17):
        raise ImageError(
            f"holds {page.dtype} values; convert it to unsigned integers of at most 16 bits"
        )
    kinds = [PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB]
    if page.samplesperpixel == 1:
        kinds += [PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE]
    if page.compression == _JPEG:
        kinds.append(PHOTOMETRIC.YCBCR)  # tifffile makes RGB of it
    _check_colours(page, kinds)


def _is_float(page: TiffPage) -> bool:
    return page.sampleformat == SAMPLEFORMAT.IEEEFP and page.bitspersample in (16, 32, 64)


def _check_colours(page: TiffPage, kinds: Sequence[PHOTOMETRIC]) -> None:
    if page.photometric not in kinds or page.imagedepth != 1:
        name = getattr(page.photometric, "name", page.photometric)
        name = "CMYK" if page.photometric == PHOTOMETRIC.SEPARATED else name
        name = name if page.imagedepth == 1 else "a volume"
        raise ImageError(
            f"is {name} of {page.samplesperpixel} channels; "
            "convert it to flat grey or RGB with a program that knows its colour profile"
        )


def _samples(page: TiffPage) -> Samples:
    """The samples, (H, W, C), black at 0 whatever the file's convention."""
    planes = page.asarray(squeeze=False)[:, 0]  # (P, H, W, C): P or C is 1
    stacked = np.moveaxis(planes, 0, 2)
    samples = stacked.reshape(*stacked.shape[:2], -1)
    if samples.dtype.kind == "f":
        return samples
    samples = samples.astype(smallest_dtype(page.bitspersample), copy=False)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        samples = samples.dtype.type(2**page.bitspersample - 1) - samples
    return samples


def _expanded(indices: Samples, colours: Samples | None) -> tuple[Samples, int]:
    """Looks up the palette, whose 16-bit entries are 8-bit ones times 257 or 256 as a rule."""
    if colours is None or indices.max() >= colours.shape[1]:
        raise ImageError("is damaged: its palette lacks colours that the pixels use")
    table = np.ascontiguousarray(colours.T)
    high = (table >> 8).astype(np.uint8)
    if any(np.array_equal(table, high.astype(np.uint16) * scale) for scale in (256, 257)):
        return high[indices[..., 0]], 8
    return table[indices[..., 0]], 16


def _resolution(page: TiffPage) -> tuple[float, float] | None:
    scale = exif.UNITS_PER_INCH.get(page.tags.valueof(_UNIT, default=2))
    values = [page.tags.valueof(tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
    if scale is None or not all(isinstance(v, tuple) and len(v) == 2 and v[1] for v in values):
        return None
    across, down = (scale * top / bottom for top, bottom in values)
    return per_inch(across, down)
