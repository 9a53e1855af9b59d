"""The file format: what goes in comes out, and anything else is refused in one line."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imprior.codec import container
from imprior.codec.container import HEADER, START, Container

SMALL = Container(
    shape=(3, 5, 7),
    bits=8,
    band_height=2,
    digest="0123456789abcdef" * 4,
    checksum=b"checksum",
    metadata=b"",
    bands=(b"first", b"", b"third"),
)


def kept(whole: Container) -> Container:
    """What a file keeps of it."""
    return replace(whole, digest=whole.digest[:32])


def sealed(rest: bytes) -> bytes:
    """A file with a valid checksum, whatever is in it."""
    return START.pack(container.MAGIC, container.VERSION, zlib.crc32(rest)) + rest


@given(
    st.integers(1, 16),
    st.tuples(st.integers(1, 2**12), st.integers(1, 40), st.integers(1, 300)),
    st.binary(max_size=300),
    st.binary(min_size=8, max_size=8),
    st.lists(st.binary(max_size=20), min_size=1, max_size=9),
)
def test_what_goes_in_comes_out(
    bits: int, shape: tuple[int, int, int], metadata: bytes, checksum: bytes, bands: list[bytes]
) -> None:
    channels, height, width = shape
    whole = Container(
        shape=(channels, height * len(bands), width),
        bits=bits,
        band_height=height,
        digest=checksum.hex() * 4,
        checksum=checksum,
        metadata=metadata,
        bands=tuple(bands),
    )
    assert Container.from_bytes(whole.to_bytes()) == kept(whole)


def test_header_is_small() -> None:
    one_band = replace(SMALL, band_height=5, bands=(b"",))
    assert len(one_band.to_bytes()) == 57


def test_metadata_are_deflated_where_that_helps() -> None:
    plain, long = b"unique", b"again and " * 1000
    empty = len(SMALL.to_bytes())
    assert len(replace(SMALL, metadata=plain).to_bytes()) == empty + len(plain)
    assert len(replace(SMALL, metadata=long).to_bytes()) < empty + 100


def test_format_does_not_change() -> None:
    whole = replace(SMALL, metadata=b"unique")
    golden = (
        "89494d5001cb4c35f80803000500000007000000020000000123456789abcdef0123456789abcdef"
        "636865636b73756d0006000000050000000000000005000000756e69717565666972737474686972"
        "64"
    )
    assert whole.to_bytes().hex() == golden


def test_every_cut_is_refused() -> None:
    data = SMALL.to_bytes()
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"cut off or damaged|not a file that imprior"):
            Container.from_bytes(data[:length])
    with pytest.raises(ValueError, match="checksum"):
        Container.from_bytes(data + b"\0")


def test_every_changed_byte_is_refused() -> None:
    data = SMALL.to_bytes()
    for i in range(len(data)):
        for change in (1, 0x80, 0xFF):
            damaged = data[:i] + bytes([data[i] ^ change]) + data[i + 1 :]
            with pytest.raises(ValueError, match=r"not a file|update imprior|checksum") as caught:
                Container.from_bytes(damaged)
            assert "\n" not in str(caught.value)


def test_a_newer_format_asks_for_an_update() -> None:
    data = bytearray(SMALL.to_bytes())
    data[4] = 2
    with pytest.raises(ValueError, match=r"format 2; this imprior reads up to 1: update"):
        Container.from_bytes(bytes(data))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(60), b"text" * 20])
def test_other_files_are_told_apart(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a file that imprior compressed"):
        Container.from_bytes(data)


def header(**changes: int) -> bytes:
    fields = {
        "bits": 8, "channels": 3, "height": 5, "width": 7, "band_height": 2,
        "is_deflated": 0, "metadata_length": 0,
    } | changes  # fmt: skip
    *sizes, is_deflated, metadata_length = fields.values()
    return HEADER.pack(*sizes, bytes(16), bytes(8), is_deflated, metadata_length)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (header(height=0), "declares 7 x 0 pixels"),
        (header(band_height=0), "bands of 0 rows"),
        (header(bits=17), "17 bits"),
        (header(height=2**32 - 1, width=2**32 - 1), "declares"),
        (header(height=2**29, width=1, channels=1, band_height=1), "bands do not fit"),
        (header() + struct.pack("<III", 1, 2, 3) + bytes(5), "do not add up"),
        (header() + struct.pack("<III", 1, 2, 3) + bytes(7), "do not add up"),
        (header() + struct.pack("<III", 2**32 - 1, 2, 3) + bytes(7), "do not add up"),
        (header(is_deflated=1, metadata_length=4) + bytes(16), "metadata cannot be read"),
        (header(is_deflated=1, metadata_length=4) + bytes(12) + zlib.compress(b"x" * 99)[:4],
         "metadata are cut off"),
    ],
)  # fmt: skip
def test_files_that_were_made_to_deceive_are_refused(rest: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Container.from_bytes(sealed(rest))


def test_metadata_that_inflate_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_METADATA", 1000)
    assert Container.from_bytes(replace(SMALL, metadata=bytes(999)).to_bytes())
    with pytest.raises(ValueError, match="too long"):
        Container.from_bytes(replace(SMALL, metadata=bytes(10**6)).to_bytes())


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_will_do(convert: Callable[[bytes], bytes]) -> None:
    assert Container.from_bytes(convert(SMALL.to_bytes())) == kept(SMALL)
