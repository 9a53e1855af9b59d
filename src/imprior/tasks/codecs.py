"""What engineered codecs need for the same pixels: the yardstick of `evaluate`.

Each at its strongest usual lossless settings, on one thread. Values of 1 to 8 bits are stored as
8-bit samples, values of 9 to 16 bits as 16-bit samples; lengths are of whole files, headers too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Codec:
    """A lossless codec and what it can hold.

    Attributes:
        settings: How it is run, in words.
        encode: Pixels (H, W) or (H, W, C) to the bytes of a file.
        channels: The numbers of channels it has a pixel format for.
        max_bits: Its largest bit depth.
        max_side: Its largest height and width.
    """

    settings: str
    encode: Callable[[Pixels], bytes]
    channels: tuple[int, ...]
    max_bits: int
    max_side: int


def _png(pixels: Pixels) -> bytes:
    # Pillow's filter heuristic is the better one, but it has no 16-bit colour.
    if pixels.dtype == np.uint16:
        strategy = imagecodecs.PNG.STRATEGY.FILTERED
        return bytes(imagecodecs.png_encode(pixels, level=9, strategy=strategy, out=_room(pixels)))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def _webp(pixels: Pixels) -> bytes:
    # WebP has no grey; its transform of subtracting green makes equal channels almost free.
    colour = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)
    file = io.BytesIO()
    Image.fromarray(colour).save(file, "WEBP", lossless=True, quality=100, method=6, exact=True)
    return file.getvalue()


def _jpegls(pixels: Pixels) -> bytes:
    return bytes(imagecodecs.jpegls_encode(pixels, out=_room(pixels)))


def _room(pixels: Pixels) -> int:
    """Bytes for the output: the libraries' own guesses are too small for noise in thin shapes."""
    return 2 * pixels.nbytes + 4096


def _jpeg2000(pixels: Pixels) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k"))


def _jxl(effort: int) -> Callable[[Pixels], bytes]:
    return lambda pixels: bytes(
        imagecodecs.jpegxl_encode(pixels, lossless=True, effort=effort, numthreads=1)
    )


CODECS = {
    "png": Codec("level 9, adaptive filters (Pillow's optimize)", _png, (1, 2, 3, 4), 16, 2**31),
    "webp": Codec("lossless, quality 100, method 6", _webp, (1, 3, 4), 8, 16383),
    "jpegls": Codec("lossless, no colour transform (CharLS)", _jpegls, (1, 3, 4), 16, 65535),
    "jpeg2000": Codec("reversible 5/3 wavelet (OpenJPEG)", _jpeg2000, (1, 2, 3, 4), 16, 2**31),
    "jxl": Codec("lossless, effort 7 (libjxl)", _jxl(7), (1, 2, 3, 4), 16, 2**30),
    "jxl9": Codec("lossless, effort 9 (libjxl)", _jxl(9), (1, 2, 3, 4), 16, 2**30),
}


def choose(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names, each once, if all are in `CODECS`.

    Raises:
        ValueError: If a name is unknown.
    """
    if unknown := [name for name in names if name not in CODECS]:
        raise ValueError(f"unknown codec {', '.join(unknown)}: choose from {', '.join(CODECS)}")
    return tuple(dict.fromkeys(names))


def encode(name: str, x: Tensor, bits: int) -> bytes | None:
    """The file that a codec makes of an image.

    Arguments:
        name: One of `CODECS`.
        x: The image, integers (C, H, W) in [0, 2^bits).
        bits: Bit depth, 1 to 16.

    Returns:
        The bytes; None if the codec cannot hold such an image.
    """
    codec = CODECS[name]
    too_large = max(x.shape[1:]) > codec.max_side or bits > codec.max_bits
    if too_large or x.shape[0] not in codec.channels:
        return None
    pixels = np.moveaxis(x.cpu().numpy(), 0, -1).astype(np.uint8 if bits <= 8 else np.uint16)
    return codec.encode(np.ascontiguousarray(pixels[..., 0] if x.shape[0] == 1 else pixels))


def bits_per_dim(names: Sequence[str], x: Tensor, bits: int) -> dict[str, float]:
    """Bits per dimension of an image under each codec that can hold it; see `encode`."""
    files = {name: encode(name, x, bits) for name in names}
    return {name: 8 * len(file) / x.numel() for name, file in files.items() if file is not None}
