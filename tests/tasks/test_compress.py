"""Image files to compressed files and back: pixels, opacity and metadata, one file or many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from imprior.data import images
from imprior.data.images import Image, Metadata
from imprior.tasks.compress import (
    Compressed,
    compress,
    compress_files,
    decompress,
    decompress_files,
    total,
)
from tests.toys import Toy, ToyConfig


def toy(channels: int = 1, bits: int = 8) -> Toy:
    return Toy(ToyConfig(channels=channels, bits=bits))


def noise(
    channels: int, bits: int = 8, size: tuple[int, int] = (6, 9), seed: int = 0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1 << bits, (channels, *size), generator=generator)


def check_same(first: Image, second: Image) -> None:
    assert torch.equal(first.pixels, second.pixels)
    assert (first.bits, first.alpha, first.metadata) == (second.bits, second.alpha, second.metadata)


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


METADATA = Metadata(icc=bytes(300), resolution=(300.0, 72.0), exif=b"II*\0notes")


@pytest.mark.parametrize("bits", [1, 8, 11, 16])
@pytest.mark.parametrize(("channels", "alpha"), [(1, False), (2, True), (3, False), (5, False)])
def test_everything_about_an_image_comes_back(channels: int, alpha: bool, bits: int) -> None:
    model = toy(channels, bits)
    image = Image(noise(channels, bits), bits, METADATA, alpha)
    check_same(decompress(model, compress(model, image)), image)


@pytest.mark.parametrize("bits", [3, 8, 16])
def test_a_model_of_colours_does_for_an_image_with_opacity(bits: int) -> None:
    model = toy(3, bits)
    image = Image(noise(4, bits), bits, METADATA, alpha=True)
    check_same(decompress(model, compress(model, image)), image)


def test_opacity_that_is_one_everywhere_is_nearly_free() -> None:
    model = toy(3)
    colours = noise(3, size=(100, 100))
    opaque = torch.cat([colours, torch.full((1, 100, 100), 255)])
    bare, full = Image(colours, 8), Image(opaque, 8, alpha=True)
    assert len(compress(model, full)) < len(compress(model, bare)) + 60


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image(noise(3), 8), "has 3 channels of 8 bits, Toy is for 1 of 8"),
        (Image(noise(1, 5), 5), "has 1 channels of 5 bits, Toy is for 1 of 8"),
        (Image(noise(3), 8, alpha=True), "has 3 channels with opacity of 8 bits"),
        (Image(noise(2), 8), "has 2 channels of 8 bits"),
    ],
)
def test_an_image_of_another_kind_is_refused(image: Image, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compress(toy(), image)


def test_files_go_there_and_back(tmp_path: Path) -> None:
    model = toy(3)
    pictures = {"a.png": 1, "deep/b.tif": 2, "deep/er/c.PNG": 3}
    for name, seed in pictures.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        metadata = Metadata(resolution=(300.0, 300.0))
        images.write(tmp_path / "in" / name, Image(noise(3, seed=seed), 8, metadata))
    there = compress_files(model, [tmp_path / "in"], tmp_path / "coded")
    back = decompress_files(model, [tmp_path / "coded"], tmp_path / "out", suffix=".tif")
    assert not there.failures and not back.failures
    coded = ["a.imp", "deep", "deep/b.imp", "deep/er", "deep/er/c.imp"]
    assert tree(tmp_path / "coded") == coded
    assert tree(tmp_path / "out") == [name.replace(".imp", ".tif") for name in coded]
    for name in pictures:
        restored = (tmp_path / "out" / name).with_suffix(".tif")
        check_same(images.read(restored), images.read(tmp_path / "in" / name))
    lengths = [path.stat().st_size for path in sorted((tmp_path / "coded").rglob("*.imp"))]
    for results, folder in ((there.results, "in"), (back.results, "coded")):
        assert [result.bytes for result in results] == lengths
        for result in results:
            assert Path(result.path).is_relative_to(tmp_path / folder)
            assert result.bits_per_dim == 8 * result.bytes / 162
            assert 0 < result.seconds < 60


def test_one_bad_file_costs_only_itself(tmp_path: Path) -> None:
    model, source, out = toy(), tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "z.png"):
        images.write(source / name, Image(noise(1), 8))
    whole = (source / "a.png").read_bytes()
    (source / "cut.png").write_bytes(whole[: len(whole) // 2])
    (source / "empty.png").write_bytes(b"")
    images.write(source / "rgb.png", Image(noise(3), 8))
    tifffile.imwrite(source / "pages.tif", np.zeros((2, 5, 6), np.uint8), photometric="minisblack")
    done = compress_files(model, [source], out)
    assert [Path(result.path).name for result in done.results] == ["a.png", "z.png"]
    failed = {Path(failure.path).name: failure.reason for failure in done.failures}
    assert sorted(failed) == ["cut.png", "empty.png", "pages.tif", "rgb.png"]
    assert "several pages" in failed["pages.tif"] and "3 channels" in failed["rgb.png"]
    assert tree(out) == ["a.imp", "z.imp"]


def test_damaged_compressed_files_write_nothing(tmp_path: Path) -> None:
    model, source, out = toy(), tmp_path / "in", tmp_path / "out"
    source.mkdir()
    data = compress(model, Image(noise(1), 8))
    (source / "cut.imp").write_bytes(data[:-5])
    (source / "empty.imp").write_bytes(b"")
    (source / "flipped.imp").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (source / "foreign.imp").write_bytes(compress(toy(3), Image(noise(3), 8)))
    (source / "newer.imp").write_bytes(data[:4] + b"\x09" + data[5:])
    done = decompress_files(model, [source], out)
    reasons = [failure.reason for failure in done.failures]
    expected = ["checksum", "not a file", "checksum", "compressed with the model", "update imprior"]
    assert all(part in reason for part, reason in zip(expected, reasons, strict=True))
    assert not out.exists()


def test_a_format_that_cannot_hold_the_image_is_named(tmp_path: Path) -> None:
    model = toy(5)
    (tmp_path / "a.imp").write_bytes(compress(model, Image(noise(5), 8)))
    done = decompress_files(model, [tmp_path / "a.imp"], tmp_path / "out")
    assert "TIFF" in done.failures[0].reason
    assert not (tmp_path / "out").exists()
    done = decompress_files(model, [tmp_path / "a.imp"], tmp_path / "out", suffix=".tif")
    assert not done.failures


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", Image(noise(1), 8))
    for expected in (0, 1):
        done = compress_files(toy(), [tmp_path / "a.png"], tmp_path / "out")
        assert len(done.skipped) == expected
    assert len(compress_files(toy(), [tmp_path], tmp_path / "out", overwrite=True).results) == 1


def test_records_and_total() -> None:
    results = [Compressed("a", 100, 4.0, 1.5, 200), Compressed("b", 50, 1.0, 0.5, 400)]
    assert results[0].record() == {"path": "a", "bytes": 100, "bits_per_dim": 4.0, "seconds": 1.5}
    assert total(results) == {"files": 2, "bytes": 150, "bits_per_dim": 2.0, "seconds": 2.0}
    assert total([])["bits_per_dim"] is None
