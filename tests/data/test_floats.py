"""Files of integers and of floats come in between black 0 and white 1, and go out as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor

from imprior.data import floats, images
from imprior.data.floats import BAND, FloatImage, read, read_pages, write
from imprior.data.images import Image, ImageError, Metadata
from imprior.data.loading import to_gray


def image(channels: int = 1, bits: int = 8, alpha: bool = False) -> Image:
    pixels = torch.randint(2**bits, (channels, 5, 6))
    return Image(pixels, bits, Metadata(resolution=(72.0, 72.0)), alpha)


def save(path: Path, values: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(
        path, values, photometric="rgb" if values.ndim == 3 else "minisblack", **options
    )
    return path


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".npy"])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_integers_come_back_bit_for_bit(tmp_path: Path, suffix: str, bits: int) -> None:
    before = image(bits=bits)
    images.write(tmp_path / f"a{suffix}", before)
    x = read(tmp_path / f"a{suffix}")
    assert x.pixels.dtype == torch.float32 and not x.is_float and x.bits == bits
    assert torch.equal(x.pixels, images.to_float(before.pixels, bits))
    write(tmp_path / f"b{suffix}", x)
    after = images.read(tmp_path / f"b{suffix}")
    assert torch.equal(after.pixels, before.pixels) and after.bits == bits
    if suffix != ".npy":
        assert after.metadata.resolution == pytest.approx((72.0, 72.0), rel=1e-3)


def test_opacity_is_no_colour(tmp_path: Path) -> None:
    before = image(4, alpha=True)
    images.write(tmp_path / "a.png", before)
    x = read(tmp_path / "a.png")
    assert torch.equal(x.colours, x.pixels[:3])
    write(tmp_path / "b.png", x)
    assert torch.equal(images.read(tmp_path / "b.png").pixels, before.pixels)


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
def test_floats_stay_floats(tmp_path: Path, bits: int, order: str, shape: tuple[int, ...]) -> None:
    values = (3 * np.random.randn(*shape)).astype(f"float{bits}")
    options = {"resolution": (300, 300), "resolutionunit": "INCH", "byteorder": order}
    x = read(save(tmp_path / "a.tif", values, **options))
    assert x.is_float and x.bits == bits and x.metadata.resolution == (300.0, 300.0)
    assert x.pixels.dtype == (torch.float64 if bits == 64 else torch.float32)
    write(tmp_path / "b.tif", x)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        again = file.pages[0].asarray()
    assert again.dtype == values.dtype and (again == values).all()
    assert read(tmp_path / "b.tif").metadata.resolution == (300.0, 300.0)


def test_what_integers_cannot_hold_becomes_an_end(tmp_path: Path) -> None:
    write(tmp_path / "a.png", FloatImage(torch.tensor([[[-0.3, 0.5, 1.2]]]), 8))
    assert images.read(tmp_path / "a.png").pixels.flatten().tolist() == [0, 128, 255]


def test_grey_of_integers_is_that_of_integers(tmp_path: Path) -> None:
    before = image(4, alpha=True)
    images.write(tmp_path / "a.png", before)
    x = read(tmp_path / "a.png", gray=True)
    assert torch.equal(x.pixels, to_gray(before.pixels[:3]).float() / 255) and not x.alpha
    colours = before.pixels[:3].permute(1, 2, 0).numpy().astype("float32") / 255
    y = read(save(tmp_path / "a.tif", colours), gray=True)
    torch.testing.assert_close(y.pixels, x.pixels, rtol=0, atol=0.51 / 255)


def test_pages(tmp_path: Path) -> None:
    values = np.random.rand(2, 5, 6).astype("float32")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    pages = list(read_pages(tmp_path / "a.tif"))
    assert [page.pixels.numpy().tolist() for page in pages] == [[v.tolist()] for v in values]
    with pytest.raises(ImageError, match=r"a\.tif: has several pages"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(tmp_path: Path, wrong: float) -> None:
    values = np.random.rand(5, 6).astype("float32")
    values[2, 3] = values[0, 0] = wrong
    with pytest.raises(ImageError, match=r"a\.tif: holds 2 values that are NaN or infinite"):
        read(save(tmp_path / "a.tif", values))


def test_cut_file_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.random.rand(50, 60).astype("float32"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageError, match=r"a\.tif: .*truncated"):
        read(path)


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="convert it to unsigned integers"):
        read(save(tmp_path / "a.tif", np.zeros((5, 6), "int16")))
    with pytest.raises(ImageError, match="floating-point"):
        images.read(save(tmp_path / "b.tif", np.zeros((5, 6), "float32")))
    path = tmp_path / "c.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 4), "float32"), photometric="separated")
    with pytest.raises(ImageError, match="CMYK"):
        read(path)


def test_floats_need_tiff_and_leave_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("precious")
    with pytest.raises(ImageError, match=r"a\.png: floats are written as TIFF"):
        write(tmp_path / "a.png", FloatImage(torch.zeros(1, 2, 2), 32, is_float=True))
    assert (tmp_path / "a.png").read_text() == "precious"


@pytest.mark.parametrize("bits", [1, 8, 12, 16])
@pytest.mark.parametrize("height", [BAND - 1, BAND, 2 * BAND + 3])
def test_images_of_many_rows_are_rounded_like_small_ones(
    tmp_path: Path, bits: int, height: int
) -> None:
    x = 1.5 * torch.rand(3, height, 2) - 0.25
    write(tmp_path / "a.tiff", FloatImage(x, bits))
    assert torch.equal(images.read(tmp_path / "a.tiff").pixels, images.to_int(x, bits))
    write(tmp_path / "b.tiff", FloatImage(x, 32, is_float=True))
    assert torch.equal(read(tmp_path / "b.tiff").pixels, x)


def test_few_rows_are_integers_of_64_bits_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heights: list[int] = []

    def noted(x: Tensor, bits: int) -> Tensor:
        heights.append(x.shape[1])
        return images.to_int(x, bits)

    monkeypatch.setattr(floats, "to_int", noted)
    write(tmp_path / "a.npy", FloatImage(torch.rand(1, 3 * BAND + 1, 2), 8))
    assert heights == [BAND, BAND, BAND, 1]


@pytest.mark.parametrize("is_float", [False, True])
def test_profile_of_other_colours_is_left_out(tmp_path: Path, is_float: bool) -> None:
    profile = bytes(16) + b"RGB " + bytes(108)
    for channels, kept in ((1, None), (3, profile)):
        pixels = torch.rand(channels, 4, 4)
        bits = 32 if is_float else 8
        write(tmp_path / "a.tiff", FloatImage(pixels, bits, is_float, Metadata(icc=profile)))
        assert read(tmp_path / "a.tiff").metadata.icc == kept


def test_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.png: cannot be written: .* NaN"):
        write(tmp_path / "a.png", FloatImage(torch.full((1, 2, 2), torch.nan), 8))
    assert not list(tmp_path.iterdir())
