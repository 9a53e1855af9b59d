"""PNG files made by hand, chunk by chunk, against what the standard says they hold."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from imprior.data.formats import png
from imprior.data.images import Image, ImageError, Metadata, read, write

GREY, RGB, PALETTE = 0, 2, 3


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def handmade(
    size: tuple[int, int], depth: int, colour: int, rows: bytes, *extra: bytes, interlaced: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    pieces = (
        chunk(b"IHDR", header),
        *extra,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    )
    return png.SIGNATURE + b"".join(pieces)


def test_grey_of_few_bits_keeps_its_depth(tmp_path: Path) -> None:
    packed = {
        1: (b"\x50", [0, 1, 0, 1]),
        2: (b"\x1b", [0, 1, 2, 3]),
        4: (b"\x01\x2f", [0, 1, 2, 15]),
    }
    for depth, (row, values) in packed.items():
        (tmp_path / "x.png").write_bytes(handmade((4, 1), depth, GREY, b"\0" + row))
        image = read(tmp_path / "x.png")
        assert (image.bits, image.pixels.tolist()) == (depth, [[values]])


def test_palette_and_transparent_colour_are_expanded(tmp_path: Path) -> None:
    colours = chunk(b"PLTE", bytes(range(12)))
    (tmp_path / "p.png").write_bytes(handmade((4, 1), 2, PALETTE, b"\0\x1b", colours))
    image = read(tmp_path / "p.png")
    assert (image.bits, image.alpha) == (8, False)
    assert image.pixels[:, 0].T.flatten().tolist() == list(range(12))

    ink = chunk(b"PLTE", b"\0\0\0\xff\xff\xff")
    (tmp_path / "i.png").write_bytes(handmade((2, 1), 1, PALETTE, b"\0\x40", ink))
    image = read(tmp_path / "i.png")
    assert (image.bits, image.pixels.tolist()) == (8, [[[0, 255]]] * 3)

    opacity = chunk(b"tRNS", b"\1\2")
    (tmp_path / "a.png").write_bytes(handmade((4, 1), 2, PALETTE, b"\0\x1b", colours, opacity))
    image = read(tmp_path / "a.png")
    assert image.alpha
    assert image.pixels[3, 0].tolist() == [1, 2, 255, 255]

    key = chunk(b"tRNS", b"\0\1")
    (tmp_path / "k.png").write_bytes(handmade((4, 1), 2, GREY, b"\0\x1b", key))
    image = read(tmp_path / "k.png")
    assert (image.bits, image.alpha) == (2, True)
    assert image.pixels.tolist() == [[[0, 1, 2, 3]], [[3, 0, 3, 3]]]


def test_interlaced_16_bit_rgb(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2**16, (11, 9, 3)).astype(">u2")
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    rows = b""
    for top, left, down, across in [*starts, (1, 0, 2, 1)]:
        rows += b"".join(b"\0" + row.tobytes() for row in x[top::down, left::across])
    (tmp_path / "x.png").write_bytes(handmade((9, 11), 16, RGB, rows, interlaced=1))
    image = read(tmp_path / "x.png")
    assert image.bits == 16
    assert np.array_equal(image.pixels.permute(1, 2, 0).numpy(), x)


@pytest.mark.parametrize("bits", range(1, 17))
def test_true_depth_is_noted_and_the_picture_fills_its_range(tmp_path: Path, bits: int) -> None:
    x = torch.arange(2**bits).reshape(1, -1, min(2**bits, 256))
    write(tmp_path / "x.png", Image(x, bits))
    assert read(tmp_path / "x.png").bits == bits
    with PIL.Image.open(tmp_path / "x.png") as picture:
        shown = np.asarray(picture).astype(np.float64)
    full = 255 if bits <= 8 else 65535
    assert (shown.min(), shown.max()) == (0, full)
    assert np.abs(shown - full * x[0].numpy() / (2**bits - 1)).max() <= full / 2**bits


def test_a_depth_that_the_pixels_belie_is_not_believed(tmp_path: Path) -> None:
    lie = chunk(b"sBIT", bytes([5]))
    (tmp_path / "x.png").write_bytes(handmade((3, 1), 8, GREY, b"\0\x00\x07\xff", lie))
    image = read(tmp_path / "x.png")
    assert (image.bits, image.pixels.tolist()) == (8, [[[0, 7, 255]]])
    lie = chunk(b"sBIT", bytes([3]))
    (tmp_path / "x.png").write_bytes(handmade((4, 1), 4, GREY, b"\0\x01\x2f", lie))
    image = read(tmp_path / "x.png")
    assert (image.bits, image.pixels.tolist()) == (4, [[[0, 1, 2, 15]]])


def test_every_chunk_is_checked(tmp_path: Path) -> None:
    write(
        tmp_path / "x.png", Image(torch.zeros(1, 4, 4, dtype=torch.int64), 8, Metadata(exif=b"MM"))
    )
    data = bytearray((tmp_path / "x.png").read_bytes())
    data[data.index(b"eXIf") + 4] ^= 1
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(ImageError, match="chunk 'eXIf' fails its checksum"):
        read(tmp_path / "x.png")


def test_a_damaged_or_endless_profile_is_refused(tmp_path: Path) -> None:
    for content in (zlib.compress(bytes(2**24 + 1)), zlib.compress(b"profile")[:-6]):
        profile = chunk(b"iCCP", b"name\0\0" + content)
        (tmp_path / "x.png").write_bytes(handmade((1, 1), 8, GREY, b"\0\0", profile))
        with pytest.raises(ImageError, match="colour profile that is damaged or over"):
            read(tmp_path / "x.png")


def test_a_size_that_no_memory_holds_is_refused_before_decoding(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(handmade((100_000, 100_000), 8, RGB, b"\0\0"))
    with pytest.raises(ImageError, match="declares 100000 x 100000 pixels of 3 channels; at most"):
        read(tmp_path / "x.png")


def test_metadata_is_what_pillow_reads_and_writes(tmp_path: Path) -> None:
    record = PIL.Image.Exif()
    record[0x010E] = "a description"
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (4, 5)).save(
        buffer, "PNG", exif=record, dpi=(254, 127), icc_profile=b"any"
    )
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    image = read(tmp_path / "x.png")
    assert image.metadata.icc == b"any"
    assert image.metadata.resolution == pytest.approx((254, 127))
    write(tmp_path / "y.png", image)
    with PIL.Image.open(tmp_path / "y.png") as picture:
        assert picture.getexif() == record
        assert picture.info["dpi"] == pytest.approx((254, 127))
