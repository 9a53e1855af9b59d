"""What is written is what is read; integers and floats change into each other exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imprior.data.images import (
    Image,
    ImageError,
    Metadata,
    read,
    to_float,
    to_int,
    write,
)
from tests.data.pictures import SRGB, example, noise

LOSSLESS = (".png", ".tif", ".webp", ".npy")
KEEP_METADATA = (".png", ".tif", ".webp", ".jpg")


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_to_int_undoes_to_float(bits: int, dtype: torch.dtype) -> None:
    x = torch.arange(2**bits)
    floats = to_float(x, bits, dtype)
    assert floats.dtype == dtype
    assert (float(floats[0]), float(floats[-1])) == (0, 1)
    assert torch.equal(to_int(floats, bits), x)


def test_to_int_rounds_halves_to_even_and_clamps() -> None:
    halves = (torch.arange(255, dtype=torch.float64) + 0.5) / 255
    exact = halves * 255 % 1 == 0.5  # where the division kept the half
    assert int(exact.sum()) > 100
    assert not (to_int(halves, 8)[exact] % 2).any()
    ends = torch.tensor([-torch.inf, -1e-9, 1.001, torch.inf], dtype=torch.float16)
    assert to_int(ends, 16).tolist() == [0, 0, 65535, 65535]


def test_conversions_refuse_what_would_be_wrong() -> None:
    with pytest.raises(ValueError, match="takes integers"):
        to_float(torch.zeros(1), 8)
    with pytest.raises(ValueError, match="takes floats"):
        to_int(torch.zeros(1, dtype=torch.int64), 8)
    with pytest.raises(ValueError, match="NaN"):
        to_int(torch.tensor([0.5, torch.nan]), 8)
    with pytest.raises(ValueError, match="1 to 16, got 17"):
        to_float(torch.zeros(1, dtype=torch.int64), 17)


@settings(max_examples=150, deadline=None)
@given(
    suffix=st.sampled_from(LOSSLESS),
    channels=st.integers(1, 6),
    alpha=st.booleans(),
    bits=st.just(8) | st.integers(1, 16),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_write_then_read_is_identical_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    channels: int,
    alpha: bool,
    bits: int,
    size: tuple[int, int],
) -> None:
    path = tmp_path_factory.mktemp("trip") / f"x{suffix}"
    alpha = alpha and channels > 1
    pixels = noise(channels, *size, bits)
    pixels[-1, 0, 0] = 0  # never opaque everywhere
    layout = (channels, alpha)
    held = {
        ".png": layout in [(1, False), (2, True), (3, False), (4, True)],
        ".webp": layout in [(3, False), (4, True)] and bits == 8,
        ".npy": bits in (1, 8, 16),
        ".tif": True,
    }[suffix]
    if not held:
        with pytest.raises(ImageError, match=f"^{path}: .* not "):
            write(path, Image(pixels, bits, alpha=alpha))
        assert not list(path.parent.iterdir())
        return
    write(path, Image(pixels, bits, alpha=alpha))
    image = read(path)
    assert torch.equal(image.pixels, pixels)
    assert image.pixels.is_contiguous()
    assert (image.bits, image.path) == (bits, str(path))
    assert image.alpha == (alpha and suffix != ".npy")


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("size", [(1, 1), (20000, 3), (3, 16383)])
def test_extreme_sizes(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    if suffix == ".webp" and max(size) > 16383:
        with pytest.raises(ImageError, match="WebP holds at most 16383 pixels a side, not 3 x"):
            write(tmp_path / "x.webp", Image(noise(3, *size), 8))
        return
    pixels = noise(3, *size)
    write(tmp_path / f"x{suffix}", Image(pixels, 8))
    assert torch.equal(read(tmp_path / f"x{suffix}").pixels, pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_transparent_pixels_keep_their_colours(tmp_path: Path, suffix: str) -> None:
    pixels = noise(4, 20, 30)
    pixels[3, :16] = 0
    write(tmp_path / f"x{suffix}", Image(pixels, 8, alpha=True))
    image = read(tmp_path / f"x{suffix}")
    assert image.alpha
    assert torch.equal(image.pixels, pixels)


@pytest.mark.parametrize("suffix", KEEP_METADATA)
def test_metadata_survives(tmp_path: Path, suffix: str) -> None:
    example(tmp_path / f"x{suffix}")
    metadata = read(tmp_path / f"x{suffix}").metadata
    assert metadata.icc == SRGB
    assert metadata.resolution == pytest.approx((300, 150), abs=0.02)  # PNG counts per metre


def test_profile_of_other_colours_is_left_out(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        grey = Image(noise(1, 4, 5), 8, Metadata(SRGB, (72.0, 72.0)))
        write(tmp_path / f"x{suffix}", grey)
        metadata = read(tmp_path / f"x{suffix}").metadata
        assert metadata.icc is None
        assert metadata.resolution == pytest.approx((72, 72), abs=0.02)


def test_jpeg_is_written_only_if_asked_for_and_close(tmp_path: Path) -> None:
    smooth = (torch.arange(64)[:, None] + torch.arange(48)).expand(3, -1, -1).contiguous()
    with pytest.raises(ImageError, match="lossy=True"):
        write(tmp_path / "x.jpg", Image(smooth, 8))
    write(tmp_path / "x.jpg", Image(smooth, 8), lossy=True)
    assert (read(tmp_path / "x.jpg").pixels - smooth).abs().max() <= 3


def test_bits_come_from_the_file_not_its_name(tmp_path: Path) -> None:
    image = example(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.jpg")
    assert torch.equal(read(tmp_path / "x.jpg").pixels, image.pixels)


def test_photographs_equal_pillow(data_root: Path) -> None:
    names = ["kodak", "bsds500/test", "set68"]
    for path in [sorted((data_root / name).iterdir())[0] for name in names]:
        with PIL.Image.open(path) as picture:
            expected = np.asarray(picture).reshape(picture.height, picture.width, -1)
        assert np.array_equal(read(path).pixels.permute(1, 2, 0).numpy(), expected)


def test_images_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"\(4, 4\), torch.int64"):
        Image(torch.zeros(4, 4, dtype=torch.int64), 8)
    with pytest.raises(ImageError, match=r"torch\.float32"):
        Image(torch.zeros(3, 4, 4), 8)
    with pytest.raises(ImageError, match="at least 2 channels"):
        Image(noise(1, 4, 4), 8, alpha=True)
    with pytest.raises(ImageError, match=r"0 to 255, got 256 to 256"):
        write(tmp_path / "x.png", Image(torch.full((1, 2, 2), 256), 8))
    with pytest.raises(ValueError, match="pixels per inch"):
        Metadata(resolution=(0.0, 72.0))
    with pytest.raises(ImageError, match=r"x\.gif: .* suffix is one of \.jpeg"):
        write(tmp_path / "x.gif", Image(noise(1, 2, 2), 8))
