"""What belongs to an image besides the values that a model codes, as bytes.

A sequence of records: a tag of 4 bytes, a length of 4 bytes, little-endian, and the content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from imprior.data.images import Metadata

RECORD = struct.Struct("<4sI")
PER_INCH = struct.Struct("<dd")


@dataclass(frozen=True)
class Extras:
    """What a compressed image remembers beyond its model's values.

    Attributes:
        metadata: Colour profile, resolution, Exif record.
        alpha: Whether the last of the model's channels is opacity.
        opacity: Samples of an opacity channel that is not among the model's; None without.
    """

    metadata: Metadata = field(default_factory=Metadata)
    alpha: bool = False
    opacity: bytes | None = None

    def to_bytes(self) -> bytes:
        """The records; none if there is nothing to remember."""
        resolution = self.metadata.resolution
        records = {
            b"ICC ": self.metadata.icc,
            b"EXIF": self.metadata.exif,
            b"PPI ": None if resolution is None else PER_INCH.pack(*resolution),
            b"LAST": b"" if self.alpha else None,
            b"ALPH": self.opacity,
        }
        return b"".join(
            RECORD.pack(tag, len(content)) + content
            for tag, content in records.items()
            if content is not None
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Extras:
        """The inverse of `to_bytes`.

        Raises:
            ValueError: If the data are not such records.
        """
        records = dict(_records(data))
        per_inch = records.get(b"PPI ")
        if per_inch is not None and len(per_inch) != PER_INCH.size:
            raise ValueError(f"the metadata are damaged: a resolution of {len(per_inch)} bytes")
        metadata = Metadata(
            icc=records.get(b"ICC "),
            resolution=None if per_inch is None else PER_INCH.unpack(per_inch),
            exif=records.get(b"EXIF"),
        )
        return cls(metadata, b"LAST" in records, records.get(b"ALPH"))


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start < len(data):
        end = start + RECORD.size
        if end > len(data):
            raise ValueError("the metadata are damaged: they are cut off")
        tag, length = RECORD.unpack_from(data, start)
        start = end + length
        if start > len(data):
            raise ValueError("the metadata are damaged: they are cut off")
        yield tag, data[end:start]
