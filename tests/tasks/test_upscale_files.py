"""Up-scaled files keep what the inputs say, appear together, and replace nothing unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tifffile
import torch

from imprior.base import Multiscale
from imprior.data.formats.raster import Metadata
from imprior.data.images import Image, read, to_float, write
from imprior.inference.schedule import TROUBLE
from imprior.tasks import enlargement as module
from imprior.tasks.denoise import Quality, quality
from imprior.tasks.enlargement import Wanted
from imprior.tasks.upscale import expected, upscale
from imprior.tasks.upscale_files import Upscaled, total, upscale_files
from tests import scales
from tests.blocks import Blocks, BlocksConfig
from tests.scales import Near, NearConfig, Scales

GREY = Blocks(BlocksConfig())
TWO = Wanted(num=2)


def picture(channels: int = 1, bits: int = 8, seed: int = 0) -> Image:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(2**bits, (channels, 5, 6), generator=generator)
    return Image(pixels, bits, Metadata(resolution=(72.0, 72.0)), channels in (2, 4))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two good pictures, one in a sub-folder, and one in colours."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a.png", picture())
    write(folder / "sub" / "b.tif", picture(seed=1))
    write(folder / "colour.png", picture(3))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_folders_in_folders_out(photos: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    out = tmp_path / "out"
    done = upscale_files(GREY, [photos], out, TWO, drawn=lambda p, n: told.append((p.name, n)))
    names = ("a.png", "a-001.png", "a-mean.png", "a-deviation.png")
    assert contents(out).keys() == {*names, *(f"sub/{name.replace('a', 'b', 1)}" for name in names)}
    assert told == [("a.png", 0), ("a.png", 1), ("b.tif", 0), ("b.tif", 1)]
    assert [Path(failure.path).name for failure in done.failures] == ["colour.png"]
    first = done.results[0].record()
    assert first["shape"] == (1, 10, 12) and first["bits"] == 8 and first["seconds"] > 0
    assert [Path(path).name for path in first["files"]] == ["a.png", "a-001.png"]
    assert Path(first["mean"]).name == "a-mean.png"


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 12), (4, 8), (2, 16), (5, 8)])
def test_files_hold_the_samples_in_the_depth_of_the_input(
    tmp_path: Path, channels: int, bits: int
) -> None:
    model, source = Blocks(BlocksConfig(channels, bits)), tmp_path / "x.tiff"
    write(source, picture(channels, bits))
    wanted = Wanted(4, 3, seed=5)
    (result,) = upscale_files(model, [source], tmp_path / "out", wanted).results
    drawn = torch.stack(list(upscale(model, picture(channels, bits).pixels, 4, 3, seed=5)))
    assert result.mean is not None and result.deviation is not None
    deviation = drawn.double().std(0)
    expected = [*drawn, drawn.double().mean(0).round().long(), deviation.round().long()]
    for path, x in zip([*result.files, result.mean, result.deviation], expected, strict=True):
        assert path.endswith(".png" if channels <= 4 else ".tiff")
        image = read(path)
        assert torch.equal(image.pixels, x) and image.bits == bits
        assert image.alpha == (channels in (2, 4))
        assert image.metadata.resolution == pytest.approx((72.0, 72.0), rel=1e-3)
    assert result.mean_deviation == pytest.approx(deviation.mean().item(), abs=1e-9)


def test_one_sample_is_one_file(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (result,) = upscale_files(GREY, [photos / "a.png"], out, Wanted()).results
    assert contents(out).keys() == {"a.png"}
    assert (result.mean, result.deviation, result.mean_deviation) == (None, None, None)


def test_result_depends_neither_on_other_files_nor_on_how_many_samples(
    photos: Path, tmp_path: Path
) -> None:
    upscale_files(GREY, [photos], tmp_path / "all", TWO)
    upscale_files(GREY, [photos / "sub" / "b.tif"], tmp_path / "one", Wanted(num=3))
    alone, among = contents(tmp_path / "one"), contents(tmp_path / "all")
    for name in ("b.png", "b-001.png"):
        assert alone[name] == among[f"sub/{name}"]
    assert alone["b-mean.png"] != among["sub/b-mean.png"]


def test_second_run_does_what_is_missing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    upscale_files(GREY, [photos], out, TWO)
    before = contents(out)
    (out / "a.png").unlink()
    done = upscale_files(GREY, [photos], out, TWO)
    assert [path.name for path in done.skipped] == ["b.tif"] and not done.results
    assert "a-001.png is there already" in done.failures[0].reason
    done = upscale_files(GREY, [photos], out, TWO, overwrite=True)
    assert len(done.results) == 2 and contents(out) == before


def test_images_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    """The second sample of one has the name of the other's first."""
    (tmp_path / "in").mkdir()
    for name, seed in (("a.png", 0), ("a-001.png", 1)):
        write(tmp_path / "in" / name, picture(seed=seed))
    for overwrite in (False, True):
        done = upscale_files(GREY, [tmp_path / "in"], tmp_path / "out", TWO, overwrite=overwrite)
        (failure,) = done.failures
        assert failure.path.endswith("a.png") and "a-001.png is" in failure.reason
        large = read(tmp_path / "out" / "a-001.png").pixels
        assert torch.equal(large[:, 1::2, 1::2], picture(seed=1).pixels)


def test_what_fails_midway_leaves_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, image: Image) -> None:
        if "mean" in path.name:
            raise OSError(28, "No space left on device")
        write(path, image)

    def pressed(path: Path, index: int) -> None:
        if index == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write", full)
        done = upscale_files(GREY, [photos / "a.png"], tmp_path / "out", TWO)
    assert "No space left" in done.failures[0].reason and not (tmp_path / "out").exists()
    with pytest.raises(KeyboardInterrupt):
        upscale_files(GREY, [photos / "a.png"], tmp_path / "out", TWO, drawn=pressed)
    assert not (tmp_path / "out").exists()


def test_conversions_are_done_only_if_asked(photos: Path, tmp_path: Path) -> None:
    write(photos / "deep.png", picture(bits=10))
    done = upscale_files(GREY, [photos], tmp_path / "out", Wanted())
    reasons = " ".join(failure.reason for failure in done.failures)
    assert "--gray converts colour" in reasons and "--reduce-bits drops" in reasons
    done = upscale_files(GREY, [photos], tmp_path / "out", Wanted(gray=True, reduce_bits=True))
    assert len(done.results) == 2 and not done.failures
    assert read(tmp_path / "out" / "deep.png").bits == 8


def test_several_pages_and_continuous_models_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(
        tmp_path / "x.tif", torch.zeros(2, 4, 5).byte().numpy(), photometric="minisblack"
    )
    done = upscale_files(GREY, [tmp_path / "x.tif"], tmp_path / "out", TWO)
    assert "has several pages" in done.failures[0].reason
    monkeypatch.setattr(Blocks, "bits", None)
    done = upscale_files(GREY, [tmp_path / "x.tif"], tmp_path / "out", TWO)
    assert "image files hold integers; Blocks makes others" in done.failures[0].reason


# -- denoisers, the least-squares answer, and images made smaller first


def enlarged(
    folder: Path, wanted: Wanted, bits: int = 8, size: tuple[int, int] = (13, 18)
) -> Upscaled:
    pixels = scales.picture(1, *size, bits=bits)
    write(folder / "x.png", Image(pixels, bits))
    model = Scales(NearConfig())
    (result,) = upscale_files(model, [folder / "x.png"], folder / "out", wanted).results
    return result


@pytest.mark.parametrize("bits", [8, 16])
def test_denoiser_makes_files_of_the_depth_of_the_input(tmp_path: Path, bits: int) -> None:
    result = enlarged(tmp_path, Wanted(4, 2, mean=True), bits)
    coarse, model = read(tmp_path / "x.png").pixels, Scales(NearConfig())
    drawn = list(upscale(model, coarse, 4, 2, bits=bits))
    for path, x in zip(result.files, drawn, strict=True):
        assert torch.equal(read(path).pixels, x) and read(path).bits == bits
    assert result.expected is not None and result.expected.endswith("out/x-expected.png")
    assert torch.equal(read(result.expected).pixels, expected(model, coarse, 4, bits=bits))
    assert result.first == result.files[0] and not result.quality and result.small is None


def test_least_squares_answer_alone_has_the_first_name(tmp_path: Path) -> None:
    result = enlarged(tmp_path, Wanted(2, 0, mean=True))
    assert contents(tmp_path / "out").keys() == {"x.png"}
    assert result.files == () and result.first == result.expected == str(tmp_path / "out" / "x.png")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Wanted(num=0)


def test_images_made_smaller_are_compared_with(tmp_path: Path) -> None:
    result = enlarged(tmp_path, Wanted(4, 2, mean=True, shrink=True))
    assert result.shape == (1, 12, 16) and result.small is not None
    assert read(result.small).pixels.shape == (1, 3, 4)
    assert list(result.quality) == ["sample", "mean", "expected", "bicubic", "nearest"]
    clean = to_float(read(tmp_path / "x.png").pixels[:, :12, :16], 8, torch.float64)
    files = {"sample": result.files[0], "mean": result.mean, "expected": result.expected}
    for way, path in files.items():
        assert path is not None
        by_hand = quality(clean, to_float(read(path).pixels, 8, torch.float64))
        assert result.quality[way].psnr == pytest.approx(by_hand.psnr, abs=1e-9)
        assert result.quality[way].ssim == pytest.approx(by_hand.ssim, abs=1e-9)
    assert result.record()["quality"]["mean"]["psnr"] == result.quality["mean"].psnr


def test_pyramids_are_made_smaller_as_they_see_it(photos: Path, tmp_path: Path) -> None:
    wanted = Wanted(2, shrink=True)
    (result,) = upscale_files(GREY, [photos / "a.png"], tmp_path / "out", wanted).results
    assert result.small is not None
    assert torch.equal(read(result.small).pixels, picture().pixels[:, 1:4:2, 1:6:2])
    assert list(result.quality) == ["sample", "bicubic", "nearest"]
    assert result.quality["sample"].ssim is None, "of 4 x 6 pixels"


def test_images_smaller_than_the_scale_are_named_and_the_others_done(tmp_path: Path) -> None:
    write(tmp_path / "a.png", Image(scales.picture(1, 3, 9), 8))
    write(tmp_path / "b.png", Image(scales.picture(1, 4, 4), 8))
    done = upscale_files(Scales(NearConfig()), [tmp_path], tmp_path / "out", Wanted(4, shrink=True))
    (failure,) = done.failures
    assert "3 x 9 pixels cannot be made 4 times smaller" in failure.reason
    assert [Path(each.path).name for each in done.results] == ["b.png"]


def test_total_is_the_mean_over_images(tmp_path: Path) -> None:
    result = enlarged(tmp_path, Wanted(2, shrink=True))
    other = replace(result, quality={"sample": Quality(10.0, None)})
    one = replace(result, quality={"sample": Quality(20.0, 0.5)})
    assert total([one, other]) == {"sample": Quality(15.0, 0.5)} and total([]) == {}


@pytest.mark.parametrize(
    ("model", "wanted", "named"),
    [
        (Scales(NearConfig()), Wanted(8), "up to 4 times as large"),
        (Scales(NearConfig()), Wanted(temperature=0.0), "temperature 1 only"),
        (GREY, Wanted(mean=True), "Blocks draws details"),
    ],
)
def test_what_the_model_cannot_is_said_once_before_anything_is_read(
    tmp_path: Path, model: Multiscale, wanted: Wanted, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        upscale_files(model, [tmp_path / "no file"], tmp_path / "out", wanted)


def test_trouble_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Near, "denoise", lambda model, y: 5 * y)
    result = enlarged(tmp_path, Wanted(2, 2))
    noted = f"scale 0: {TROUBLE['diverged']}"
    assert result.notes == (f"sample 1, {noted}", f"sample 2, {noted}")
