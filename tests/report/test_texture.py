"""The page shows texture and samples at one scale, and every figure that is in the record."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from imprior.data.images import Image
from imprior.report import figures
from imprior.report.page import Gallery, Picture
from imprior.report.tables import Table
from imprior.report.texture import page, write_report
from imprior.tasks.course import Course
from imprior.tasks.statistics import mean, statistics
from imprior.tasks.texture import Synthesis, Texture, Wanted, regions_of


def noise(shape: tuple[int, ...], bits: int, seed: int) -> torch.Tensor:
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(seed))


def texture(channels: int = 1, bits: int = 8, names: tuple[str, ...] = ("one", "two")) -> Texture:
    image = Image(noise((channels, 96, 70), bits, 0), bits, path="a/x.png")
    syntheses = []
    for number, name in enumerate(names):
        samples = [noise((channels, 64, 100), bits, seed) for seed in (number, number + 9)]
        each = mean([statistics(x, bits) for x in samples])
        course = Course("of", 75.0, [(1.0, 7.0), (2.0, 6.5)], done=True)
        files = [Path(f"{name}-{index:03d}.png") for index in range(2)]
        syntheses.append(
            Synthesis(name, Path(name), 1234, course, 6.5 - number, samples, files, 8.0, each)
        )
    return Texture(image, regions_of(image), Wanted((64, 100)), {"png": 7.25}, syntheses)


def opened(picture: Picture) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(picture.data)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("names", [("one",), ("one", "two")])
def test_page_tells_all_figures(tmp_path: Path, channels: int, names: tuple[str, ...]) -> None:
    result = texture(channels, names=names)
    html = write_report(result, tmp_path).read_text()
    assert html.count("<img") == html.count('alt="')
    record = result.record()
    for model in record["models"]:
        assert f"{model['bits_per_dim']:.3f}" in html and model["name"] in html
        assert f"{model['distance']['correlation']:.3f}" in html
        assert all(name in html for name in model["files"])
    assert f"{record['own_distance']['levels']:.1f}" in html
    assert "7.250" in html and "1,234" in html and "75 s" in html
    assert "http://" not in html and "https://" not in html
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_texture_and_samples_are_at_one_scale() -> None:
    result = texture()
    gallery = page(result).sections[0].blocks[1]
    assert isinstance(gallery, Gallery)
    shown = [opened(picture) for picture in gallery.pictures]
    assert {pixels.shape for pixels in shown} == {(64, 70, 3)}
    expected = figures.to_rgb(result.image.pixels[:, 16:80], 8)
    np.testing.assert_array_equal(shown[0], expected)
    sample = result.syntheses[1].samples[0][..., 15:85]
    np.testing.assert_array_equal(shown[2], figures.to_rgb(sample, 8))


def test_every_sample_is_shown_whole() -> None:
    result = texture(3)
    gallery = page(result).sections[-1].blocks[-1]
    assert isinstance(gallery, Gallery)
    whole = [result.image.pixels, *(x for made in result.syntheses for x in made.samples)]
    for picture, x in zip(gallery.pictures, whole, strict=True):
        np.testing.assert_array_equal(opened(picture), figures.to_rgb(x, 8))


def test_distances_have_the_texture_itself_as_a_yardstick() -> None:
    result = texture(bits=10)
    table = page(result).sections[2].blocks[-1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["two halves of the texture", "one", "two"]
    assert float(table.rows[0][1]) == pytest.approx(result.own_distance.levels, abs=0.05)
    assert "0 to 1023" in table.caption
