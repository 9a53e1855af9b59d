"""The page shows images before and after, all at the same place, and where samples differ."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from imprior.data.images import Image, write
from imprior.report import before_after
from imprior.report.page import Gallery
from imprior.report.tables import Table
from imprior.report.upscale import page, write_report
from imprior.tasks.enlargement import Wanted
from imprior.tasks.upscale_files import Upscaled, upscale_files
from tests import scales
from tests.blocks import Blocks, BlocksConfig
from tests.scales import NearConfig, Scales


def upscaled(
    folder: Path, wanted: Wanted, channels: int = 1, num: int = 1, size: tuple[int, int] = (5, 6)
) -> list[Upscaled]:
    generator = torch.Generator().manual_seed(0)
    (folder / "in").mkdir()
    for index in range(num):
        pixels = torch.randint(256, (channels, *size), generator=generator)
        write(folder / "in" / f"{index}.png", Image(pixels, 8))
    model = Blocks(BlocksConfig(channels))
    return upscale_files(model, [folder / "in"], folder / "out", wanted).results


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(data)))


def gallery(result: Upscaled, wanted: Wanted) -> Gallery:
    found = page([result], wanted).sections[1].blocks[1]
    assert isinstance(found, Gallery)
    return found


@pytest.mark.parametrize("num", [1, 3])
def test_page_tells_what_happened(tmp_path: Path, num: int) -> None:
    wanted = Wanted(4, num, seed=7)
    results = upscaled(tmp_path, wanted, num=2)
    path = write_report(results, wanted, tmp_path / "out")
    html = path.read_text()
    assert path == tmp_path / "out" / "index.html"
    assert "2 images, 4 times as high and wide" in html and "seed 7" in html
    assert "5 x 6 pixels became 20 x 24" in html
    assert html.count("<img") == html.count('alt="')
    assert ("0-deviation.png" in html) == ("standard deviation of samples" in html) == (num > 1)
    assert "http://" not in html and "https://" not in html


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_before_after_mean_and_spread(tmp_path: Path, channels: int) -> None:
    wanted = Wanted(2, 2)
    (result,) = upscaled(tmp_path, wanted, channels)
    before, first, second, mean, spread = gallery(result, wanted).pictures
    small = opened(before.data)
    assert small.shape == (5, 6, 3) and opened(spread.data).shape == (10, 12, 3)
    for picture in (first, second, mean):
        assert (opened(picture.data)[1::2, 1::2] == small).all()
    assert (opened(first.data) != opened(second.data)).any()
    dark = opened(spread.data)[1::2, 1::2]
    assert (dark == dark[0, 0]).all(), "given pixels do not differ"


def test_large_images_show_the_same_middle_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_after, "MOST_PIXELS", 8)
    wanted = Wanted(2, 1)
    (result,) = upscaled(tmp_path, wanted, size=(7, 9))
    before, after = (opened(picture.data) for picture in gallery(result, wanted).pictures)
    assert before.shape == (4, 4, 3) and after.shape == (8, 8, 3)
    assert (after[1::2, 1::2] == before).all()
    whole = opened((tmp_path / "in" / "0.png").read_bytes())
    assert (before[..., 0] == whole[1:5, 2:6]).all()
    assert "the middle 8 of each side are shown" in page([result], wanted).html()


def test_many_images_do_not_make_a_page_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_after, "MOST_IMAGES", 2)
    results = upscaled(tmp_path, Wanted(), num=3)
    assert [section.heading for section in page(results, Wanted()).sections] == [
        "In figures", "0.png", "1.png", "The others",
    ]  # fmt: skip


def test_page_of_a_single_output_lies_beside_it(tmp_path: Path) -> None:
    results = upscaled(tmp_path, Wanted())
    assert write_report(results, Wanted(), tmp_path / "out" / "0.png").parent == tmp_path / "out"


@pytest.mark.parametrize("num", [0, 2])
def test_page_of_images_made_smaller_has_the_figures_and_the_original(
    tmp_path: Path, num: int
) -> None:
    wanted = Wanted(2, num, mean=True, shrink=True)
    (tmp_path / "in").mkdir()
    for name in "ab":
        write(tmp_path / "in" / f"{name}.png", Image(scales.picture(1, 27, 30), 8))
    model = Scales(NearConfig())
    results = upscale_files(model, [tmp_path / "in"], tmp_path / "out", wanted).results
    told = page(results, wanted)
    table = told.sections[0].blocks[1]
    assert isinstance(table, Table) and [row[0] for row in table.rows] == ["a.png", "b.png", "mean"]
    methods = ["one sample", "mean of 2"] * (num > 0) + ["least squares", "bicubic", "nearest"]
    assert list(table.header[1::2]) == [f"{method}, dB" for method in methods]
    best = max(each.psnr for each in results[0].quality.values())
    column = table.best[0]
    assert column is not None and table.rows[0][column] == f"{best:.2f}"
    found = told.sections[1].blocks[1]
    assert isinstance(found, Gallery)
    captions = [picture.caption for picture in found.pictures]
    assert captions[:2] == ["as it came", "before"]
    assert any("-expected.png: " in caption or "a.png: " in caption for caption in captions)
    whole = opened((tmp_path / "in" / "a.png").read_bytes())
    assert (opened(found.pictures[0].data)[..., 0] == whole[:26]).all()
    assert f"{best:.2f}" in told.html() and "made smaller first, least squares" in told.colophon
