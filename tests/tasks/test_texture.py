"""What a texture is turned into before models see it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.data.formats.raster import Metadata
from imprior.data.images import Image, write
from imprior.presets import PRESETS
from imprior.tasks.texture import (
    MIN_SIDE,
    REGIONS,
    TEXTURE_PRESETS,
    Wanted,
    read_texture,
    regions_of,
)  # fmt: skip


def picture(channels: int, height: int = 64, width: int = 70, bits: int = 8) -> Image:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(2**bits, (channels, height, width), generator=generator)
    return Image(pixels, bits, alpha=channels in (2, 4))


@pytest.mark.parametrize("height", [64, 65, 127, 256, 513])
def test_regions_are_the_texture_in_three_parts(height: int) -> None:
    image = picture(3, height)
    regions = regions_of(image)
    assert tuple(regions) == REGIONS
    parts = [region.pixels for region in regions.values()]
    assert torch.equal(torch.cat(parts, 1), image.pixels)
    heights = [part.shape[1] for part in parts]
    assert heights[1] == heights[2] == max(16, height // 8) and heights[0] >= height // 2


def test_channels_choose_the_presets_and_grey_is_asked_for(tmp_path: Path) -> None:
    for channels, gray, expected in ((1, False, 1), (3, False, 3), (3, True, 1), (1, True, 1)):
        write(tmp_path / "x.png", picture(channels, bits=16))
        image, presets = read_texture(tmp_path / "x.png", gray=gray)
        assert len(image.pixels) == expected and image.bits == 16
        assert tuple(presets) == TEXTURE_PRESETS[expected]
        assert {preset.config.channels for preset in presets.values()} == {expected}


def test_presets_by_name(tmp_path: Path) -> None:
    write(tmp_path / "x.png", picture(1))
    _, presets = read_texture(tmp_path / "x.png", ["ride-texture", "mcgsm-gray-tiny"])
    assert presets == {name: PRESETS[name] for name in ("ride-texture", "mcgsm-gray-tiny")}


def test_colour_for_a_grey_preset_is_refused_with_a_way_out(tmp_path: Path) -> None:
    write(tmp_path / "x.png", picture(3))
    with pytest.raises(ValueError, match=r"3 channels, the model takes 1 \(--gray converts"):
        read_texture(tmp_path / "x.png", ["mcgsm-texture"])
    write(tmp_path / "x.png", picture(4))
    with pytest.raises(ValueError, match=r"4 channels, the model takes 1 \(--gray converts"):
        read_texture(tmp_path / "x.png")
    write(tmp_path / "x.png", picture(1))
    with pytest.raises(ValueError, match="1 channels, the model takes 3"):
        read_texture(tmp_path / "x.png", ["mcgsm-texture-rgb"])
    with pytest.raises(ValueError, match=r"unknown preset nonsense: choose from .*ride-texture"):
        read_texture(tmp_path / "x.png", ["mcgsm-texture", "nonsense"])


@pytest.mark.parametrize("shape", [(63, 64), (64, 63), (1, 1)])
def test_small_textures_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    write(tmp_path / "x.png", picture(1, *shape))
    with pytest.raises(ValueError, match=f"at least {MIN_SIDE} x {MIN_SIDE}"):
        read_texture(tmp_path / "x.png")


def test_what_the_camera_noted_is_left_out(tmp_path: Path) -> None:
    exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    noted = Metadata(resolution=(72.0, 72.0), exif=exif)
    write(tmp_path / "x.png", Image(picture(1).pixels, 8, noted))
    metadata = read_texture(tmp_path / "x.png")[0].metadata
    assert metadata.exif is None and metadata.resolution == pytest.approx((72.0, 72.0), abs=0.1)


@pytest.mark.parametrize(
    "wrong", [{"size": (63, 64)}, {"num": 0}, {"seed": -1}, {"temperature": -0.1}]
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Wanted(**wrong)  # type: ignore[arg-type]
