"""What cannot be read faithfully is refused in one line that says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from imprior.data import images
from imprior.data.formats import raster
from imprior.data.images import Image, ImageError, read, read_pages, write
from tests.data.pictures import example, noise

EVERY_FORMAT = (".png", ".tif", ".webp", ".npy", ".jpg")


@pytest.mark.parametrize("suffix", EVERY_FORMAT)
def test_a_file_cut_anywhere_is_never_another_image(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"x{suffix}"
    example(whole)
    pixels, data, cut = read(whole).pixels, whole.read_bytes(), tmp_path / "cut"
    refused = 0
    for size in range(0, len(data), 7):
        cut.write_bytes(data[:size])
        try:
            assert torch.equal(read(cut).pixels, pixels)
        except ImageError as error:
            assert str(error).startswith(f"{cut}: ") and "\n" not in str(error)
            refused += 1
    assert refused > 0.9 * len(data) / 7


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage, then reads on
@pytest.mark.parametrize("suffix", EVERY_FORMAT)
def test_a_damaged_file_gives_an_image_or_an_image_error(
    tmp_path: Path, monkeypatch: Any, suffix: str
) -> None:
    monkeypatch.setattr(raster, "MAX_VALUES", 10**6)  # or the test decodes gigabytes of nothing
    path = tmp_path / f"x{suffix}"
    example(path)
    data, draw = path.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for at in draw.integers(0, min(len(data), 400), 3):
            damaged[at] = draw.integers(256)
        path.write_bytes(damaged)
        try:
            read(path)
        except ImageError as error:
            assert "\n" not in str(error)


def test_what_is_no_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    PIL.Image.new("L", (4, 4)).save(tmp_path / "x.gif")
    for name, reason in {
        "missing.png": "cannot be read: No such file",
        ".": "is a folder",
        "empty.png": r"is empty \(0 bytes\)",
        "text.png": "is not a PNG",
        "x.gif": "is not a PNG",
    }.items():
        with pytest.raises(ImageError, match=f"^{tmp_path / name}: {reason}"):
            read(tmp_path / name)
        with pytest.raises(ImageError, match=reason):
            next(read_pages(tmp_path / name))


def test_pages_of_a_format_without_pages(tmp_path: Path) -> None:
    image = example(tmp_path / "x.png")
    (page,) = read_pages(tmp_path / "x.png")
    assert torch.equal(page.pixels, image.pixels)
    for number in (1, -1):
        with pytest.raises(ImageError, match=f"has no page {number}"):
            read(tmp_path / "x.png", page=number)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "I", "F"])
def test_colours_that_need_a_profile_are_refused(tmp_path: Path, mode: str) -> None:
    PIL.Image.new(mode, (8, 8)).save(tmp_path / "x.tif")
    with pytest.raises(ImageError, match=r"convert it|scale it"):
        read(tmp_path / "x.tif")


def test_cmyk_jpeg_is_refused(tmp_path: Path) -> None:
    PIL.Image.new("CMYK", (8, 8)).save(tmp_path / "x.jpg")
    with pytest.raises(ImageError, match=r"x\.jpg: is CMYK; convert it"):
        read(tmp_path / "x.jpg")


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_animations_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"x{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="is an animation"):
        read(tmp_path / f"x{suffix}")


def test_webp_refuses_alpha_that_it_would_drop(tmp_path: Path) -> None:
    pixels = noise(4, 5, 6)
    pixels[3] = 255
    with pytest.raises(ImageError, match="opaque everywhere"):
        write(tmp_path / "x.webp", Image(pixels, 8, alpha=True))


def test_a_jpeg_that_no_memory_holds_is_refused_before_decoding(tmp_path: Path) -> None:
    example(tmp_path / "x.jpg")
    data = bytearray((tmp_path / "x.jpg").read_bytes())
    size = data.index(b"\xff\xc0") + 5  # the frame's marker, length and precision come first
    data[size : size + 4] = (65_000).to_bytes(2) * 2
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(ImageError, match="declares 65000 x 65000 pixels of 3 channels"):
        read(tmp_path / "x.jpg")


def test_pillows_own_limit_does_not_apply(tmp_path: Path, monkeypatch: Any) -> None:
    example(tmp_path / "x.jpg")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 9)
    assert read(tmp_path / "x.jpg").pixels.shape == (3, 9, 17)


def test_too_little_memory_is_said_in_one_line(tmp_path: Path, monkeypatch: Any) -> None:
    def exhausted(path: Path) -> None:
        raise MemoryError

    example(tmp_path / "x.png")
    monkeypatch.setitem(images._DECODERS, b"\x89PNG\r\n\x1a\n", exhausted)
    with pytest.raises(ImageError, match="needs more memory"):
        read(tmp_path / "x.png")
