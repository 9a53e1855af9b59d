"""The three facts of an Exif record that concern pixels: orientation and resolution.

An Exif record is a small TIFF: 8 bytes of header, then a directory of 12-byte entries (tag, type,
count, value or its position). Records are edited in place or at their end, never rewritten: camera
makers store positions that only hold while nothing moves.

Source: CIPA DC-008 (Exif 2.32), sections 4.5 and 4.6.4.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import NamedTuple

from imprior.data.formats.raster import Raster, per_inch

MARK = b"Exif\0\0"
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
UNITS_PER_INCH = {2: 1.0, 3: 2.54}
_SHORT, _RATIONAL = 3, 5
_EMPTY = struct.pack("<2sHIHI", b"II", 42, 8, 0, 0)
_DENOMINATOR = 10_000


class _Directory(NamedTuple):
    order: str  # of bytes, as `struct` writes it
    entries: dict[int, int]  # tag -> position of its entry
    end: int  # position of the link to the next directory


def _directory(exif: bytes) -> _Directory:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError("an Exif record begins with II*\\0 or MM\\0*")
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    end = start + 2 + 12 * count
    positions = range(start + 2, end, 12)
    entries = {struct.unpack_from(order + "H", exif, at)[0]: at for at in positions}
    struct.unpack_from(order + "I", exif, end)
    return _Directory(order, entries, end)


def orientation(exif: bytes | None) -> int:
    """Which way the picture lies, 1 (upright) to 8; 1 if the record does not say or is damaged."""
    try:
        order, entries, _ = _directory(exif or b"")
        (value,) = struct.unpack_from(order + "H", exif or b"", entries[ORIENTATION] + 8)
    except (ValueError, KeyError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def upright(raster: Raster, orientation: int) -> Raster:
    """Turns a picture that lies as `orientation` says, and has its Exif record say so.

    Nothing is copied: the samples become a view.
    """
    if orientation == 1:
        return raster
    samples, metadata = raster.samples, raster.metadata
    resolution = metadata.resolution
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
        resolution = resolution and (resolution[1], resolution[0])
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    exif = metadata.exif and _set_upright(metadata.exif, swap=orientation >= 5)
    metadata = dataclasses.replace(metadata, resolution=resolution, exif=exif)
    return dataclasses.replace(raster, samples=samples, metadata=metadata)


def _set_upright(exif: bytes, swap: bool) -> bytes:
    """Resets the orientation; where the sides changed places, so do the tags of resolution."""
    order, entries, _ = _directory(exif)
    edited = bytearray(exif)
    struct.pack_into(order + "H", edited, entries[ORIENTATION] + 8, 1)
    if swap and X_RESOLUTION in entries and Y_RESOLUTION in entries:
        x, y = (slice(entries[tag] + 2, entries[tag] + 12) for tag in (X_RESOLUTION, Y_RESOLUTION))
        edited[x], edited[y] = edited[y], edited[x]
    return bytes(edited)


def resolution(exif: bytes | None) -> tuple[float, float] | None:
    """Pixels per inch across and down; None if the record does not say or is damaged."""
    try:
        order, entries, _ = _directory(exif or b"")
        values = []
        for tag in (X_RESOLUTION, Y_RESOLUTION):
            (at,) = struct.unpack_from(order + "I", exif or b"", entries[tag] + 8)
            top, bottom = struct.unpack_from(order + "II", exif or b"", at)
            values.append(top / bottom)
        unit = 2
        if RESOLUTION_UNIT in entries:
            (unit,) = struct.unpack_from(order + "H", exif or b"", entries[RESOLUTION_UNIT] + 8)
        return per_inch(*(value * UNITS_PER_INCH[unit] for value in values))
    except (ValueError, KeyError, ZeroDivisionError, struct.error):
        return None


def with_resolution(exif: bytes | None, per_inch: tuple[float, float]) -> bytes:
    """A record that says `per_inch`; the rest of `exif`, if any, stays where it is.

    The first directory is written again at the end of the record, with the new entries.

    Raises:
        ValueError: If `exif` is damaged.
    """
    exif = exif or _EMPTY
    try:
        order, positions, end = _directory(exif)
    except struct.error as error:
        raise ValueError(f"the Exif record is damaged: {error}") from error
    exif += bytes(len(exif) % 2)  # a directory begins at an even position
    entries = {tag: exif[at : at + 12] for tag, at in positions.items()}
    new = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
    values = len(exif) + 2 + 12 * len(entries.keys() | set(new)) + 4
    for i, tag in enumerate((X_RESOLUTION, Y_RESOLUTION)):
        entries[tag] = struct.pack(order + "HHII", tag, _RATIONAL, 1, values + 8 * i)
    entries[RESOLUTION_UNIT] = struct.pack(order + "HHIHH", RESOLUTION_UNIT, _SHORT, 1, 2, 0)
    numbers = [n for x in per_inch for n in (round(x * _DENOMINATOR), _DENOMINATOR)]
    return b"".join(
        (
            exif[:4],
            struct.pack(order + "I", len(exif)),
            exif[8:],
            struct.pack(order + "H", len(entries)),
            *(entries[tag] for tag in sorted(entries)),
            exif[end : end + 4],
            struct.pack(order + "4I", *numbers),
        )
    )
