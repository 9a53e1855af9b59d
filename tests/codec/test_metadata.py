"""What a compressed image remembers beyond its values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imprior.codec.metadata import RECORD, Extras
from imprior.data.images import Metadata

maybe_bytes = st.none() | st.binary(max_size=50)
per_inch = st.floats(0.001, 65535)


@given(
    maybe_bytes, maybe_bytes, st.none() | st.tuples(per_inch, per_inch), st.booleans(), maybe_bytes
)
def test_what_goes_in_comes_out(
    icc: bytes | None,
    exif: bytes | None,
    resolution: tuple[float, float] | None,
    alpha: bool,
    opacity: bytes | None,
) -> None:
    extras = Extras(Metadata(icc=icc, exif=exif, resolution=resolution), alpha, opacity)
    assert Extras.from_bytes(extras.to_bytes()) == extras


def test_nothing_takes_no_bytes() -> None:
    assert Extras().to_bytes() == b""


def test_format_does_not_change() -> None:
    extras = Extras(Metadata(icc=b"profile", exif=b"II", resolution=(300.0, 72.0)), True, b"\1\2")
    golden = (
        "494343200700000070726f66696c654558494602000000494950504920100000000000000000c072"
        "4000000000000052404c41535400000000414c5048020000000102"
    )
    assert extras.to_bytes().hex() == golden


@pytest.mark.parametrize(
    "data",
    [b"ICC", RECORD.pack(b"ICC ", 3) + b"ab", RECORD.pack(b"PPI ", 3) + b"abc"],
)
def test_damaged_records_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="metadata are damaged"):
        Extras.from_bytes(data)


def test_a_resolution_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="resolution"):
        Extras.from_bytes(RECORD.pack(b"PPI ", 16) + bytes(16))


def test_records_of_the_future_are_passed_over() -> None:
    extras = Extras(alpha=True)
    assert Extras.from_bytes(RECORD.pack(b"NEW ", 3) + b"abc" + extras.to_bytes()) == extras
