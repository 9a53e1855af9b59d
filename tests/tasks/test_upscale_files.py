"""Up-scaled files keep what the inputs say, appear together, and replace nothing unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile
import torch

from imprior.data.formats.raster import Metadata
from imprior.data.images import Image, read, write
from imprior.tasks import upscale_files as module
from imprior.tasks.upscale import upscale
from imprior.tasks.upscale_files import Wanted, upscale_files
from tests.blocks import Blocks, BlocksConfig

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
