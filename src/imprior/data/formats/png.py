"""PNG: pixels of every depth and colour type through libpng, the other chunks by hand.

Depths that PNG does not have (3, 5, 6, 7, 9 to 15 bits) are written as the standard recommends:
scaled to 8 or 16 bits by repeating the leading bits, with the true depth in an sBIT chunk. Grey of
1, 2 and 4 bits is written this way too. A reader that knows no sBIT still shows the right picture.

Source: Portable Network Graphics (Third Edition), W3C 2025, sections 5, 11.3 and 13.12.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import imagecodecs
import numpy as np

from imprior.data.formats import exif
from imprior.data.formats.raster import (
    Capacity,
    ImageError,
    Metadata,
    Raster,
    Samples,
    check_size,
    per_inch,
    smallest_dtype,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CAPACITY = Capacity(
    name="PNG",
    layouts={(1, False): "grey", (2, True): "grey + alpha", (3, False): "RGB", (4, True): "RGBA"},
    bits=range(1, 17),
    side=1_000_000,  # libpng's own limit
)
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; 3 is a palette of RGB
_PALETTE = 3
_INCHES_PER_METRE = 1 / 0.0254
_MAX_ICC = 2**24
_OF_PIXELS = ("IHDR", "PLTE", "tRNS", "IDAT", "IEND")


def decode(path: Path) -> Raster:
    """Reads a PNG; palettes become RGB, a transparent colour becomes alpha."""
    chunks, pixels = _chunks(path.read_bytes())
    try:
        width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks["IHDR"])
        channels = _CHANNELS[colour] + ("tRNS" in chunks)
    except (KeyError, struct.error):
        raise ImageError("is damaged: its header makes no sense") from None
    check_size(width, height, channels)
    if "acTL" in chunks and int.from_bytes(chunks["acTL"][:4]) > 1:
        raise ImageError("is an animation; save the frame you want as a picture of its own")
    samples = imagecodecs.png_decode(pixels).reshape(height, width, -1)
    claims = {depth if colour != _PALETTE else 8}
    if len(noted := set(chunks.get("sBIT", b""))) == 1:
        claims |= noted
    samples, bits = _significant(samples, claims)
    metadata = _metadata(chunks)
    raster = Raster(samples, bits, alpha=samples.shape[2] in (2, 4), metadata=metadata)
    return exif.upright(raster, exif.orientation(metadata.exif))


def encode(raster: Raster) -> bytes:
    """The bytes of a PNG.

    Raises:
        ImageError: If PNG cannot hold `raster`.
    """
    CAPACITY.check(raster)
    samples, depth = raster.samples, 8 if raster.bits <= 8 else 16
    extra = {}
    if raster.bits < depth:
        samples = _repeated_bits(raster.bits, depth)[samples]
        extra["sBIT"] = bytes([raster.bits]) * samples.shape[2]
    if raster.metadata.icc is not None:
        extra["iCCP"] = b"ICC profile\0\0" + zlib.compress(raster.metadata.icc)
    if raster.metadata.resolution is not None:
        across, down = (round(x * _INCHES_PER_METRE) for x in raster.metadata.resolution)
        extra["pHYs"] = struct.pack(">IIB", across, down, 1)
    if raster.metadata.exif is not None:
        extra["eXIf"] = raster.metadata.exif
    grey = samples.shape[2] == 1
    # The library's own guess forgets the filter byte of each row: too small for tall, thin noise.
    size = samples.nbytes + samples.shape[0]
    room = size + size // 100 + 4096
    data = imagecodecs.png_encode(samples.reshape(samples.shape[:2]) if grey else samples, out=room)
    head = len(SIGNATURE) + 25  # the header chunk comes first and has 13 bytes
    pieces = [_chunk(name, content) for name, content in extra.items()]
    return b"".join((data[:head], *pieces, memoryview(data)[head:]))


def _chunks(data: bytes) -> tuple[dict[str, bytes], bytes]:
    """The chunks by name, the first of each, and a PNG of only those that make the pixels.

    libpng never sees the others: it would print to the terminal what it thinks of them.

    Raises:
        ImageError: If any chunk, the pixels' included, is cut short or fails its checksum.
    """
    view = memoryview(data)
    at = len(SIGNATURE)
    chunks: dict[str, bytes] = {}
    pieces = [view[:at]]
    while "IEND" not in chunks:
        size = int.from_bytes(view[at : at + 4])
        name, end = str(view[at + 4 : at + 8], "latin-1"), at + 8 + size
        if end + 4 > len(data):
            raise ImageError("is truncated: its last chunk is missing")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ImageError(f"is damaged: chunk {name!r} fails its checksum")
        if name != "IDAT":
            chunks.setdefault(name, bytes(view[at + 8 : end]))
        if name in _OF_PIXELS:
            pieces.append(view[at : end + 4])
        at = end + 4
    return chunks, b"".join(pieces)


def _chunk(name: str, content: bytes) -> bytes:
    body = name.encode() + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _metadata(chunks: Mapping[str, bytes]) -> Metadata:
    icc, record = None, chunks.get("eXIf")
    resolution = exif.resolution(record)
    if "iCCP" in chunks:
        _, _, compressed = chunks["iCCP"].partition(b"\0")
        stream = zlib.decompressobj()
        icc = stream.decompress(compressed[1:], _MAX_ICC)
        if not stream.eof:
            raise ImageError(f"has a colour profile that is damaged or over {_MAX_ICC:,} bytes")
    if len(chunks.get("pHYs", b"")) == 9:
        across, down, unit = struct.unpack(">IIB", chunks["pHYs"])
        if unit == 1:
            resolution = per_inch(across / _INCHES_PER_METRE, down / _INCHES_PER_METRE)
    return Metadata(icc, resolution, record)


def _significant(samples: Samples, claims: set[int]) -> tuple[Samples, int]:
    """Undoes `_repeated_bits` for the smallest claimed depth by which nothing is lost."""
    depth = 8 * samples.itemsize
    for bits in sorted(claims & set(range(1, depth))):
        values = samples >> samples.dtype.type(depth - bits)
        if np.array_equal(_repeated_bits(bits, depth)[values], samples):
            return values.astype(smallest_dtype(bits), copy=False), bits
    return samples, depth


def _repeated_bits(bits: int, depth: int) -> Samples:
    """The table that scales values of `bits` bits to `depth` bits: 101 -> 10110110."""
    values = np.arange(2**bits, dtype=np.int64)
    table = np.zeros_like(values)
    for shift in range(depth - bits, -bits, -bits):
        table |= values << shift if shift >= 0 else values >> -shift
    return table.astype(smallest_dtype(depth))
