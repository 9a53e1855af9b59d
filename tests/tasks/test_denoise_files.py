"""Denoised files are what the inputs were: depth, format, metadata, opacity; no failure spreads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from imprior.data import floats, images
from imprior.data.formats.raster import Metadata
from imprior.data.images import Image, to_float, to_int, write
from imprior.models.local.denoiser import FlatDenoiser
from imprior.tasks.denoise import add_noise, denoise, quality
from imprior.tasks.denoise_files import Wanted, denoise_files
from tests.models.local.small import flat


def gray_model() -> FlatDenoiser:
    """Removes a little of what it sees, so that results stay in [0, 1]."""
    model = flat().float()
    with torch.no_grad():
        model.network.convolutions[-1].weight.mul_(0.002)  # type: ignore[operator]
    return model


def picture(channels: int = 1, bits: int = 8, size: tuple[int, int] = (30, 26)) -> Image:
    pixels = torch.randint(2**bits, (channels, *size))
    return Image(pixels, bits, Metadata(resolution=(72.0, 72.0)), channels in (2, 4))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A grey picture, one in colours with opacity in a sub-folder, and a cut one."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.png", picture())
    write(folder / "sub" / "b.tif", picture(4, 16))
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:60])
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_folders_in_folders_out_and_no_failure_spreads(photos: Path, tmp_path: Path) -> None:
    shares: list[tuple[str, float]] = []
    done = denoise_files(
        gray_model(), [photos], tmp_path / "out", Wanted(),
        share=lambda path, share: shares.append((path.name, share)),
    )  # fmt: skip
    assert contents(tmp_path / "out").keys() == {"a.png", "sub/b.tif"}
    (failure,) = done.failures
    assert "cut.png" in failure.reason and "truncated" in failure.reason
    first, second = (result.record() for result in done.results)
    assert first["shape"] == (1, 30, 26) and first["bits"] == 8 and first["notes"] == ()
    assert first["psnr"] is first["noisy_ssim"] is first["sigma"] is None
    assert ["each channel" in note for note in second["notes"]] == [True]
    assert shares[0] == ("a.png", 1) and [name for name, _ in shares[1:]] == ["b.tif"] * 3


@pytest.mark.parametrize("suffix", [".png", ".TIFF", ".npy"])
@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (1, 16), (4, 8), (3, 16)])
def test_files_hold_the_result_in_format_and_depth_of_the_input(
    tmp_path: Path, suffix: str, channels: int, bits: int
) -> None:
    model, before, out = gray_model(), picture(channels, bits), tmp_path / "out"
    source = tmp_path / f"x{suffix}"
    write(source, before)
    (result,) = denoise_files(model, [source], out, Wanted(tile=16)).results
    after, colours = images.read(out / f"x{suffix}"), 3 if channels == 4 else channels
    if suffix == ".npy":
        colours = channels  # it does not say that a channel is opacity
    y = to_float(before.pixels[:colours], bits)
    x = denoise(model, y, tile=16)
    assert torch.equal(after.pixels[:colours], to_int(x, bits)) and after.bits == bits
    assert torch.equal(after.pixels[colours:], before.pixels[colours:])
    assert not torch.equal(after.pixels, before.pixels)
    removed = (255 * (y - x)).square().mean().sqrt().item()
    assert result.removed == pytest.approx(removed, rel=1e-5)
    if suffix != ".npy":
        assert after.metadata.resolution == pytest.approx((72.0, 72.0), rel=1e-3)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_stay_floats_and_are_not_clipped(tmp_path: Path, kind: str) -> None:
    values = (3 * np.random.rand(30, 26) - 1).astype(kind)
    tifffile.imwrite(tmp_path / "x.tif", values)
    model = gray_model()
    (result,) = denoise_files(model, [tmp_path / "x.tif"], tmp_path / "out", Wanted()).results
    written = tifffile.imread(result.file)
    y = torch.from_numpy(values if kind == "float64" else values.astype("float32"))[None]
    assert written.dtype == values.dtype and written.min() < 0 and written.max() > 1
    assert (written == denoise(model, y)[0].numpy().astype(kind)).all()


def test_added_noise_is_measured_against_the_file(photos: Path, tmp_path: Path) -> None:
    model, wanted = gray_model(), Wanted(sigma=25, seed=3)
    (result,) = denoise_files(model, [photos / "a.png"], tmp_path / "out", wanted).results
    clean = floats.read(photos / "a.png").pixels
    y = add_noise(clean, 25, 3)
    x = denoise(model, y)
    assert result.noisy == quality(clean, y) and result.clean == quality(clean, x)
    assert torch.equal(images.read(result.file).pixels, to_int(x, 8))
    record = result.record()
    assert record["psnr"] == quality(clean, x).psnr and record["sigma"] == 25
    assert record["noisy_psnr"] == pytest.approx(20 * math.log10(255 / 25), abs=1)
    again = denoise_files(model, [photos], tmp_path / "all", wanted).results[0]
    assert again.clean == result.clean, "whatever else is denoised"


def test_image_smaller_than_the_field_works_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "x.png", picture(size=(1, 5)))
    (result,) = denoise_files(
        gray_model(), [tmp_path / "x.png"], tmp_path / "out", Wanted(sigma=50)
    ).results  # fmt: skip
    assert result.notes == ("smaller than the 7 x 7 pixels that the model looks at: "
                            "it saw the rest as its borders",)  # fmt: skip
    assert result.clean is not None and result.clean.ssim is None


def test_second_run_does_what_is_missing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    denoise_files(gray_model(), [photos], out, Wanted())
    before = contents(out)
    (out / "a.png").unlink()
    done = denoise_files(gray_model(), [photos], out, Wanted())
    assert [path.name for path in done.skipped] == ["b.tif"] and len(done.results) == 1
    assert contents(out) == before
    assert len(denoise_files(gray_model(), [photos], out, Wanted(), overwrite=True).results) == 2


def test_jpeg_becomes_png(photos: Path, tmp_path: Path) -> None:
    write(tmp_path / "x.jpg", picture(3), lossy=True)
    denoise_files(gray_model(), [tmp_path / "x.jpg"], tmp_path / "out", Wanted())
    assert contents(tmp_path / "out").keys() == {"x.png"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((8, 9), np.nan, "float32"), "holds 72 values that are NaN or infinite"),
        (np.zeros((2, 8, 9), "uint8"), "has several pages"),
        (np.zeros((8, 9), "int32"), "convert it to unsigned integers"),
    ],
)
def test_what_cannot_be_denoised_is_named(tmp_path: Path, values: Any, reason: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack")
    done = denoise_files(gray_model(), [tmp_path / "x.tif"], tmp_path / "out", Wanted())
    assert reason in done.failures[0].reason and not (tmp_path / "out").exists()


def test_model_of_colours_does_not_take_grey(photos: Path, tmp_path: Path) -> None:
    done = denoise_files(flat(channels=3), [photos / "a.png"], tmp_path / "out", Wanted())
    assert "has 1 colour channel, the model is for 3" in done.failures[0].reason
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sigma": 0.0}, "above 0 and at most 255; got 0"),
        ({"sigma": 300.0}, "got 300"),
        ({"sigma": math.nan}, "got nan"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"tile": 0}, "at least 1 pixel, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Wanted(**options)
