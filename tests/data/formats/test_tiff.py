"""TIFF files of every kind that tifffile and Pillow write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from imprior.data.images import Image, ImageError, read, read_pages, write


def integers(*shape: int, bits: int = 8) -> Any:
    return np.random.randint(0, 2**bits, shape).astype(np.uint8 if bits <= 8 else np.uint16)


# tifffile packs 12 bits wrongly in big-endian files; reading them is right.
@pytest.mark.parametrize("bits, order", [(8, ">"), (12, "<"), (16, "<"), (16, ">")])
@pytest.mark.parametrize("channels", [3, 5])
def test_planar_and_contiguous_agree(tmp_path: Path, bits: int, channels: int, order: Any) -> None:
    x = integers(channels, 7, 9, bits=bits)
    common: dict[str, Any] = {"photometric": "minisblack", "byteorder": order}
    common |= {"bitspersample": bits, "metadata": None}
    tifffile.imwrite(tmp_path / "p.tif", x, planarconfig="separate", **common)
    interleaved = np.ascontiguousarray(x.transpose(1, 2, 0))
    tifffile.imwrite(tmp_path / "c.tif", interleaved, planarconfig="contig", **common)
    for name in ("p.tif", "c.tif"):
        image = read(tmp_path / name)
        assert (image.bits, image.alpha) == (bits, False)
        assert np.array_equal(image.pixels.numpy(), x)


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"compression": "lzw"}, {"bigtiff": True}])
def test_layouts(tmp_path: Path, options: dict[str, Any]) -> None:
    x = integers(20, 30, 3, bits=16)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="rgb", **options)
    assert np.array_equal(read(tmp_path / "x.tif").pixels.permute(1, 2, 0).numpy(), x)


def test_pages_come_in_order_without_thumbnails(tmp_path: Path) -> None:
    x = integers(4, 6, 5)
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for i, page in enumerate(x):
            file.write(page, subfiletype=int(i == 1), metadata=None)
    pages = list(read_pages(tmp_path / "x.tif"))
    assert [page.pixels[0].tolist() for page in pages] == x[[0, 2, 3]].tolist()
    assert torch.equal(read(tmp_path / "x.tif", page=2).pixels, pages[2].pixels)
    for number in (3, -1):
        with pytest.raises(ImageError, match=f"has no page {number}"):
            read(tmp_path / "x.tif", page=number)


@pytest.mark.parametrize("scale", [256, 257])
def test_palette_is_expanded(tmp_path: Path, scale: int) -> None:
    x, colours = integers(6, 5), integers(3, 256)
    table = colours.astype(np.uint16) * scale
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="palette", colormap=table)
    image = read(tmp_path / "x.tif")
    assert image.bits == 8
    assert np.array_equal(image.pixels.numpy(), colours[:, x])


def test_palette_of_16_bits_keeps_them(tmp_path: Path) -> None:
    x, table = integers(6, 5), integers(3, 256, bits=16)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="palette", colormap=table)
    image = read(tmp_path / "x.tif")
    assert image.bits == 16
    assert np.array_equal(image.pixels.numpy(), table[:, x])


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_white_is_zero(tmp_path: Path, bits: int) -> None:
    x = integers(6, 5, bits=bits)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="miniswhite", bitspersample=bits)
    image = read(tmp_path / "x.tif")
    assert image.bits == bits
    assert np.array_equal(image.pixels[0].numpy(), 2**bits - 1 - x.astype(np.int64))


@pytest.mark.parametrize("kind, alpha", [("unassalpha", True), ("assocalpha", False)])
def test_only_alpha_that_is_not_multiplied_in_is_alpha(
    tmp_path: Path, kind: str, alpha: bool
) -> None:
    x = integers(6, 5, 4)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="rgb", extrasamples=[kind])
    assert read(tmp_path / "x.tif").alpha == alpha


def test_jpeg_within_tiff_is_rgb(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (16, 16), (200, 100, 50)).save(tmp_path / "x.tif", compression="jpeg")
    pixels = read(tmp_path / "x.tif").pixels
    assert (pixels - torch.tensor([200, 100, 50])[:, None, None]).abs().max() <= 2


def test_floats_are_refused_and_nan_named(tmp_path: Path) -> None:
    x = np.zeros((4, 5), np.float32)
    tifffile.imwrite(tmp_path / "x.tif", x)
    with pytest.raises(ImageError, match="holds floating-point values; scale it"):
        read(tmp_path / "x.tif")
    x[0, 0] = np.nan
    tifffile.imwrite(tmp_path / "x.tif", x)
    with pytest.raises(ImageError, match=r"floating-point values \(some of them NaN\)"):
        read(tmp_path / "x.tif")


@pytest.mark.parametrize("dtype", [np.int16, np.uint32])
def test_other_integers_are_refused(tmp_path: Path, dtype: Any) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((4, 5), dtype))
    with pytest.raises(ImageError, match=f"holds {np.dtype(dtype)} values; convert it"):
        read(tmp_path / "x.tif")


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"compression": "jpeg"}])
def test_a_cut_file_is_not_filled_with_zeros(tmp_path: Path, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "x.tif", integers(40, 18, 3), photometric="rgb", **options)
    data = (tmp_path / "x.tif").read_bytes()
    for size in range(416, len(data), 16):  # among them the ends of tiles
        (tmp_path / "x.tif").write_bytes(data[:size])
        with pytest.raises(ImageError):
            read(tmp_path / "x.tif")


def test_a_file_that_lost_the_values_of_a_tag_is_refused(tmp_path: Path) -> None:
    # libtiff puts the tags last, and after them the values that do not fit into a tag.
    PIL.Image.new("RGB", (16, 16)).save(tmp_path / "x.tif", compression="tiff_lzw")
    data = (tmp_path / "x.tif").read_bytes()
    for size in range(len(data) - 20, len(data)):
        (tmp_path / "x.tif").write_bytes(data[:size])
        with pytest.raises(ImageError, match=r"tags are lost|directory|cut short"):
            read(tmp_path / "x.tif")


def test_a_size_that_no_memory_holds_is_refused_before_decoding(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", integers(4, 5, 3), photometric="rgb", rowsperstrip=2**17)
    with tifffile.TiffFile(tmp_path / "x.tif", mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages.first.tags[tag].overwrite(100_000)
    with pytest.raises(ImageError, match="declares 100000 x 100000 pixels of 3 channels"):
        read(tmp_path / "x.tif")


def test_pillow_reads_what_is_written(tmp_path: Path) -> None:
    for channels, alpha in ((1, False), (3, False), (4, True)):
        pixels = torch.from_numpy(integers(channels, 6, 5).astype(np.int64))
        write(tmp_path / "x.tif", Image(pixels, 8, alpha=alpha))
        with PIL.Image.open(tmp_path / "x.tif") as picture:
            shown = np.asarray(picture).reshape(6, 5, -1)
        assert np.array_equal(shown, pixels.permute(1, 2, 0).numpy())
