"""Orientation against Pillow's, and records that are edited without being disturbed."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile

from imprior.data.formats import exif
from imprior.data.images import read, write

ORIENTATIONS = range(1, 9)
MAKER, DESCRIPTION, EXIF_DIRECTORY, EXPOSURE = 0x927C, 0x010E, 0x8769, 0x829A


def picture() -> PIL.Image.Image:
    x = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    return PIL.Image.fromarray(x)


def record(orientation: int) -> PIL.Image.Exif:
    tags = PIL.Image.Exif()
    tags[exif.ORIENTATION] = orientation
    tags[exif.X_RESOLUTION], tags[exif.Y_RESOLUTION], tags[exif.RESOLUTION_UNIT] = 300.0, 150.0, 2
    tags[DESCRIPTION] = "a description"
    tags[EXIF_DIRECTORY] = {EXPOSURE: 0.25, MAKER: b"the maker's"}
    return tags


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_pictures_are_turned_upright_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"x{suffix}"
    picture().save(path, exif=record(orientation), lossless=True)
    with PIL.Image.open(path) as stored:
        expected = np.asarray(PIL.ImageOps.exif_transpose(stored))
    image = read(path)
    assert np.array_equal(image.pixels.permute(1, 2, 0).numpy(), expected)
    across_and_down = (300, 150) if orientation < 5 else (150, 300)
    assert image.metadata.resolution == pytest.approx(across_and_down)
    assert exif.orientation(image.metadata.exif) == 1

    write(path, image, lossy=True)
    again = read(path)
    assert again.pixels.shape == image.pixels.shape
    assert again.metadata.resolution == pytest.approx(across_and_down, abs=0.02)
    assert again.metadata.exif == image.metadata.exif


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_tiff_is_turned_by_its_own_tag(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "x.tif"
    tag = (exif.ORIENTATION, 3, 1, orientation, True)
    x = np.asarray(picture())
    tifffile.imwrite(path, x, extratags=[tag], resolution=(300, 150), resolutionunit="INCH")
    with PIL.Image.open(path) as stored:
        expected = np.asarray(PIL.ImageOps.exif_transpose(stored))
    image = read(path)
    assert np.array_equal(image.pixels.permute(1, 2, 0).numpy(), expected)
    assert image.metadata.resolution == ((300, 150) if orientation < 5 else (150, 300))
    write(path, image)
    assert np.array_equal(read(path).pixels, image.pixels)


def tags_of(blob: bytes) -> PIL.Image.Exif:
    tags = PIL.Image.Exif()
    tags.load(exif.MARK + blob)
    return tags


def test_a_record_keeps_all_else(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "JPEG", exif=record(6))
    (tmp_path / "x.jpg").write_bytes(buffer.getvalue())
    blob = read(tmp_path / "x.jpg").metadata.exif
    assert blob is not None
    for edited in (blob, exif.with_resolution(blob, (72.0, 96.5))):
        tags = tags_of(edited)
        assert tags[DESCRIPTION] == "a description"
        assert tags.get_ifd(EXIF_DIRECTORY) == {EXPOSURE: 0.25, MAKER: b"the maker's"}


@pytest.mark.parametrize(
    "first", [None, b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"]
)
def test_resolution_is_set_and_found(first: bytes | None) -> None:
    blob = exif.with_resolution(first, (72.0, 96.5))
    assert exif.resolution(blob) == (72.0, 96.5)
    assert tags_of(blob)[exif.Y_RESOLUTION] == 96.5
    again = exif.with_resolution(blob, (600.0, 601.0))
    assert exif.resolution(again) == (600.0, 601.0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_directory_that_moves_keeps_its_order_and_its_link(order: str) -> None:
    link, tags = 1234, (256, exif.ORIENTATION, exif.X_RESOLUTION, 305)
    entries = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, 7, 0) for tag in tags)
    start = b"II*\0" if order == "<" else b"MM\0*"
    blob = start + struct.pack(order + "IH", 8, len(tags)) + entries
    edited = exif.with_resolution(blob + struct.pack(order + "I", link), (72.0, 96.5))
    directory = exif._directory(edited)
    assert list(directory.entries) == [256, exif.ORIENTATION, 282, 283, 296, 305]
    assert struct.unpack_from(order + "I", edited, directory.end) == (link,)
    assert exif.orientation(edited) == 7
    assert exif.resolution(edited) == (72.0, 96.5)


def test_damaged_records_say_nothing_and_harm_nothing() -> None:
    blob = record(6).tobytes().removeprefix(exif.MARK)
    assert exif.orientation(blob) == 6
    assert exif.resolution(blob) == (300, 150)
    for size in range(len(blob)):
        assert exif.orientation(blob[:size]) in (1, 6)
        assert exif.resolution(blob[:size]) in (None, (300, 150))
    for nonsense in (b"", b"MM", b"not a record", b"II*\0\xff\xff\xff\xff"):
        assert exif.orientation(nonsense) == 1
        assert exif.resolution(nonsense) is None
    with pytest.raises(ValueError, match="Exif record"):
        exif.with_resolution(b"nonsense", (72.0, 72.0))
