"""Arrays: the rule for axes, types and depth, and no pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imprior.data.images import ImageError, read


@pytest.mark.parametrize("dtype, bits", [(np.bool_, 1), (np.uint8, 8), ("<u2", 16), (">u2", 16)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_channels_are_last_and_bits_are_the_types(
    tmp_path: Path, dtype: Any, bits: int, order: Any
) -> None:
    x = np.random.default_rng(0).integers(0, 2**bits, (4, 5, 6)).astype(dtype, order=order)
    for array in (x, x[..., 0]):
        np.save(tmp_path / "x.npy", array)
        image = read(tmp_path / "x.npy")
        assert (image.bits, image.alpha) == (bits, False)
        expected = array.reshape(4, 5, -1).transpose(2, 0, 1).astype(np.int64)
        assert np.array_equal(image.pixels.numpy(), expected)


@pytest.mark.parametrize(
    "array, reason",
    [
        (np.zeros((3, 4)), "holds float64 values; images are"),
        (np.full((3, 4), np.nan, np.float32), r"float32 values \(some of them NaN\)"),
        (np.zeros((3, 4), np.int64), "holds int64 values; images are bool, uint8 or uint16"),
        (np.zeros(3, np.uint8), r"has shape \(3,\); images are"),
        (np.zeros((3, 0, 2), np.uint8), "cannot be read|is empty"),
        (np.array([{"an": "object"}], dtype=object), "objects"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: Any, reason: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ImageError, match=reason):
        read(tmp_path / "x.npy")


def test_a_size_that_the_file_or_the_memory_lacks_is_refused(tmp_path: Path) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (40_000, 40_000)}
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ImageError, match="may be damaged or cut short"):
        read(tmp_path / "x.npy")
    with (tmp_path / "x.npy").open("r+b") as file:
        file.truncate(2**31)  # a hole: no disk is filled
    with pytest.raises(ImageError, match="declares 40000 x 40000 pixels of 1 channels; at most"):
        read(tmp_path / "x.npy")
