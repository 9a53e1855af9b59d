"""Images between files and integer tensors: the one way in, and the one way out.

Files are told apart by their first bytes when read, by their suffix when written.

| format | channels | bits | keeps |
| --- | --- | --- | --- |
| PNG | grey, RGB, each with or without alpha | 1–16 | ICC, resolution, Exif |
| TIFF | any | 1–16 | ICC, resolution; pages are read |
| WebP, lossless | RGB, RGBA | 8 | ICC, resolution, Exif |
| JPEG, only if asked for | grey, RGB | 8 | ICC, resolution, Exif |
| .npy, (H, W) or (H, W, C) | any | 1, 8, 16 | the values only |

What is refused, each with its reason: animations; CMYK and other colour spaces that need a profile
to become RGB; floating-point and signed values; files that are cut short; more than 2^30 values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imprior.data.files import replace_file
from imprior.data.formats import jpeg_webp, npy, png, tiff
from imprior.data.formats.raster import (
    ImageError,
    Metadata,
    Raster,
    Samples,
    explained,
    smallest_dtype,
    without_wrong_profile,
)

__all__ = [
    "LOSSY", "SUFFIXES", "Image", "ImageError", "Metadata",
    "read", "read_pages", "to_float", "to_int", "write",
]  # fmt: skip

_ENCODERS: dict[str, Callable[[Raster], bytes]] = {
    ".jpeg": jpeg_webp.encode_jpeg,
    ".jpg": jpeg_webp.encode_jpeg,
    ".npy": npy.encode,
    ".png": png.encode,
    ".tif": tiff.encode,
    ".tiff": tiff.encode,
    ".webp": jpeg_webp.encode_webp,
}
LOSSY = (".jpeg", ".jpg")
_DECODERS: dict[bytes, Callable[[Path], Raster]] = {
    png.SIGNATURE: png.decode,
    b"\xff\xd8\xff": jpeg_webp.decode_jpeg,
    b"RIFF": jpeg_webp.decode_webp,
    b"\x93NUMPY": npy.decode,
}
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two: beyond 4 GiB

SUFFIXES = tuple(_ENCODERS)


@dataclass(frozen=True, eq=False)
class Image:
    """A picture as integers, with what its file says about it.

    Attributes:
        pixels: int64, (C, H, W), in [0, 2^bits).
        bits: Depth of every channel, 1 to 16.
        metadata: Colour profile, resolution, Exif record.
        alpha: Whether the last channel is opacity (not premultiplied).
        path: Where it came from; empty if it was made.

    Raises:
        ImageError: If shape, type or depth are not as above; values are checked when written.
    """

    pixels: Tensor
    bits: int
    metadata: Metadata = field(default_factory=Metadata)
    alpha: bool = False
    path: str = ""

    def __post_init__(self) -> None:
        _check_bits(self.bits)
        if self.pixels.dim() != 3 or self.pixels.dtype != torch.int64 or not self.pixels.numel():
            raise ImageError(
                "an image has pixels of shape (C, H, W), int64, at least one of them; "
                f"got {tuple(self.pixels.shape)}, {self.pixels.dtype}"
            )
        if self.alpha and len(self.pixels) == 1:
            raise ImageError("an image with alpha has at least 2 channels, got 1")


def read(path: str | os.PathLike[str], page: int = 0) -> Image:
    """Reads one picture, upright: the orientation that a camera noted is applied to the pixels.

    Arguments:
        path: A file of one of the formats above, whatever its suffix.
        page: Which page of a TIFF, from 0; other formats have one page.

    Raises:
        ImageError: If the file cannot be read faithfully.
    """
    with explained(path, "read"):
        found = rasters(Path(path), page) if page >= 0 else iter(())
        raster = next(found, None)
        if raster is None:
            raise ImageError(f"has no page {page} (the first is 0)")
        return _image(raster, path)


def read_pages(path: str | os.PathLike[str]) -> Iterator[Image]:
    """Reads the pages of a file one after another; see `read`."""
    with explained(path, "read"):
        for raster in rasters(Path(path), first=0):
            yield _image(raster, path)


def write(path: str | os.PathLike[str], image: Image, *, lossy: bool = False) -> None:
    """Writes a picture in the format of the suffix, wholly or not at all.

    A colour profile is left out if it describes other colours than the pixels have, as after a
    conversion to grey.

    Arguments:
        path: Where to; a file of that name is replaced.
        image: What to write.
        lossy: Allows JPEG, which changes the values. WebP is always written without loss.

    Raises:
        ImageError: If the format cannot hold the pixels as they are, or the disk the file.
    """
    with explained(path, "written"):
        raster = _raster(image)
    write_raster(path, raster, lossy=lossy)


def write_raster(path: str | os.PathLike[str], raster: Raster, *, lossy: bool = False) -> None:
    """Writes samples as their file has them; see `write`."""
    with explained(path, "written"):
        suffix = Path(path).suffix.lower()
        if suffix not in _ENCODERS:
            raise ImageError(f"cannot be written: the suffix is one of {', '.join(SUFFIXES)}")
        if suffix in LOSSY and not lossy:
            raise ImageError("JPEG changes pixel values; ask for it with lossy=True, or write PNG")
        replace_file(Path(path), _ENCODERS[suffix](without_wrong_profile(raster)))


def to_float(x: Tensor, bits: int, dtype: torch.dtype = torch.float32) -> Tensor:
    r"""Scales integers to [0, 1].

    .. math:: x / (2^{\text{bits}} - 1)

    Arguments:
        x: Integers in [0, 2^bits), any shape.
        bits: Depth, 1 to 16.
        dtype: Type of the result.

    Raises:
        ValueError: If `x` is not of an integer type (it may have been scaled already).

    Example:
        >>> to_float(torch.tensor([0, 51, 255]), bits=8)
        tensor([0.0000, 0.2000, 1.0000])
    """
    _check_bits(bits)
    if x.is_floating_point():
        raise ValueError(f"to_float takes integers, got {x.dtype}")
    return x.to(dtype).div_(2**bits - 1)


def to_int(x: Tensor, bits: int) -> Tensor:
    r"""Rounds floats in [0, 1] to integers; what lies outside becomes the nearest end.

    .. math:: \operatorname{round}(\min(\max(x, 0), 1) \cdot (2^{\text{bits}} - 1))

    Halves go to the even neighbour, so that rounding has no drift. Undoes `to_float` exactly.

    Arguments:
        x: Floats, any shape.
        bits: Depth, 1 to 16.

    Returns:
        int64, same shape, in [0, 2^bits).

    Raises:
        ValueError: If `x` is not of a floating type, or holds NaN.

    Example:
        >>> to_int(torch.tensor([-0.1, 0.2, 0.5, 7.0]), bits=8)
        tensor([  0,  51, 128, 255])
    """
    _check_bits(bits)
    if not x.is_floating_point():
        raise ValueError(f"to_int takes floats, got {x.dtype}")
    if bool(x.isnan().any()):
        raise ValueError("to_int takes numbers, got NaN")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide.clamp(0, 1) * (2**bits - 1)).round().to(torch.int64)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 16:
        raise ImageError(f"bits is 1 to 16, got {bits}")


def rasters(path: Path, first: int, *, floats: bool = False) -> Iterator[Raster]:
    """What a file of any format holds from page `first` on; see `tiff.decode` for `floats`."""
    if path.exists() and not path.is_file():
        raise ImageError("is a folder or a device, not an image file")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise ImageError("is empty (0 bytes)")
    if head.startswith(_TIFF_SIGNATURES):
        return tiff.decode(path, first, floats=floats)
    for signature, decode in _DECODERS.items():
        if head.startswith(signature):
            return iter([decode(path)] if first == 0 else [])
    raise ImageError("is not a PNG, TIFF, WebP, JPEG or .npy file")


def _image(raster: Raster, path: str | os.PathLike[str]) -> Image:
    channels_first = raster.samples.transpose(2, 0, 1)
    pixels = torch.from_numpy(channels_first.astype(np.int64, order="C"))
    return Image(pixels, raster.bits, raster.metadata, raster.alpha, os.fspath(path))


def _raster(image: Image) -> Raster:
    low, high = (int(x) for x in image.pixels.aminmax())
    if low < 0 or high >= 2**image.bits:
        raise ImageError(
            f"values of {image.bits} bits lie in 0 to {2**image.bits - 1}, got {low} to {high}"
        )
    channels_last = image.pixels.cpu().permute(1, 2, 0).numpy()
    samples: Samples = channels_last.astype(smallest_dtype(image.bits), order="C")
    return Raster(samples, image.bits, image.alpha, image.metadata)
