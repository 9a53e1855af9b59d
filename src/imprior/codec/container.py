"""The file format of compressed images.

All numbers are little-endian and unsigned.

| bytes | what |
| --- | --- |
| 4 | `89 49 4D 50` ("IMP" after a byte that no text has) |
| 1 | format version |
| 4 | CRC-32 of everything that follows |
| 1, 2, 4, 4 | bits; channels, height and width of the image |
| 4 | height of a band |
| 16 | first half of the model's digest |
| 8 | BLAKE2b of the values: channels, rows, columns; 1 byte each up to 8 bits, else 2 |
| 1, 4 | whether the metadata are deflated; their stored length |
| 4 each | length of each band's code |
| | metadata |
| | the bands' codes, from top to bottom |

53 bytes, and 4 for each band. Any change of what version 1 means, coded bytes included, is a new
version.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from imprior.data.formats.raster import MAX_VALUES

MAGIC = b"\x89IMP"
VERSION = 1
START = struct.Struct("<4sBI")
HEADER = struct.Struct("<BHIII16s8sBI")
LENGTH = struct.Struct("<I")
DIGEST_DIGITS = 32  # of 64
MAX_METADATA = 1 << 31
DAMAGED = "the compressed file is cut off or damaged"


@dataclass(frozen=True)
class Container:
    """What a compressed file holds.

    Attributes:
        shape: Channels, height, width.
        bits: Depth of every channel, 1 to 16.
        band_height: Rows that are coded together; the last band may have fewer.
        digest: The first 32 hexadecimal digits, or more, of the model's digest.
        checksum: 8 bytes that depend on all values.
        metadata: What else belongs to the image.
        bands: The code of each band.
    """

    shape: tuple[int, int, int]
    bits: int
    band_height: int
    digest: str
    checksum: bytes
    metadata: bytes
    bands: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The file."""
        deflated = zlib.compress(self.metadata, 9)
        is_deflated = len(deflated) < len(self.metadata)
        metadata = deflated if is_deflated else self.metadata
        digest = bytes.fromhex(self.digest[:DIGEST_DIGITS])
        sizes = (self.bits, *self.shape, self.band_height)
        header = HEADER.pack(*sizes, digest, self.checksum, is_deflated, len(metadata))
        lengths = (LENGTH.pack(len(band)) for band in self.bands)
        rest = b"".join((header, *lengths, metadata, *self.bands))
        return START.pack(MAGIC, VERSION, zlib.crc32(rest)) + rest

    @classmethod
    def from_bytes(cls, data: bytes) -> Container:
        """Takes a file apart: the inverse of `to_bytes`.

        Raises:
            ValueError: If it is not a compressed file, needs a newer imprior, or is damaged.
        """
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError("this is not a file that imprior compressed")
        if len(data) < START.size + HEADER.size:
            raise ValueError(f"{DAMAGED}: it has {len(data)} bytes, fewer than its header")
        _, version, checksum = START.unpack_from(data)
        if version > VERSION:
            raise ValueError(
                f"the compressed file has format {version}; this imprior reads up to {VERSION}: "
                "update imprior"
            )
        if version != VERSION or zlib.crc32(data[START.size :]) != checksum:
            raise ValueError(f"{DAMAGED}: its checksum does not match")
        return cls._parse(memoryview(data)[START.size :])

    @classmethod
    def _parse(cls, rest: memoryview) -> Container:
        """Reads what the checksum has found intact, but whoever wrote it may mean harm."""
        bits, channels, height, width, band_height, *others = HEADER.unpack_from(rest)
        digest, checksum, is_deflated, metadata_length = others
        sizes = (bits, channels, height, width, band_height)
        if min(sizes) < 1 or bits > 16 or channels * height * width > MAX_VALUES:
            raise ValueError(
                f"{DAMAGED}: it declares {width} x {height} pixels of {channels} channels of "
                f"{bits} bits in bands of {band_height} rows"
            )
        count = -(-height // band_height)
        start = HEADER.size + LENGTH.size * count
        if start > len(rest):
            raise ValueError(f"{DAMAGED}: its {count} bands do not fit in")
        lengths = [length for (length,) in LENGTH.iter_unpack(rest[HEADER.size : start])]
        parts = []
        for length in (metadata_length, *lengths):
            parts.append(bytes(rest[start : start + length]))
            start += length
        if start != len(rest):
            raise ValueError(f"{DAMAGED}: its parts do not add up to its length")
        metadata = _inflate(parts[0]) if is_deflated else parts[0]
        shape = (channels, height, width)
        return cls(shape, bits, band_height, digest.hex(), checksum, metadata, tuple(parts[1:]))


def _inflate(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    try:
        metadata = inflate.decompress(data, MAX_METADATA)
    except zlib.error as error:
        raise ValueError(f"{DAMAGED}: its metadata cannot be read ({error})") from None
    if not inflate.eof:
        raise ValueError(f"{DAMAGED}: its metadata are cut off or too long")
    return metadata
