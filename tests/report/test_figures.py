"""Pictures show the values that they are made of."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imprior.report import figures
from imprior.tasks.evaluate import Evaluation


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def evaluation(height: int, width: int, name: str = "a/b.png") -> Evaluation:
    x = torch.randint(0, 256, (1, height, width))
    surprise = 8 * torch.rand(height, width, dtype=torch.float64)
    return Evaluation(name, name, x, 8, 4.0, surprise=surprise)


@pytest.mark.parametrize("bits", [1, 5, 8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_ends_of_the_range_are_black_and_white(bits: int, channels: int) -> None:
    x = torch.zeros(channels, 2, 3, dtype=torch.int64)
    x[:, 1] = 2**bits - 1
    pixels = figures.to_rgb(x, bits)
    assert pixels.shape == (2, 3, 3) and pixels.dtype == np.uint8
    assert (pixels[0] == 0).all() and (pixels[1] == 255).all()


def test_colours_stay_where_they_are() -> None:
    x = torch.randint(0, 256, (3, 4, 5))
    assert np.array_equal(figures.to_rgb(x, 8).transpose(2, 0, 1), x.numpy())


def test_png_keeps_the_pixels() -> None:
    pixels = figures.to_rgb(torch.randint(0, 256, (3, 7, 5)), 8)
    assert np.array_equal(np.asarray(opened(figures.png(pixels))), pixels)


def test_heat_is_brighter_where_bits_are_spent() -> None:
    ramp = figures.heat(torch.linspace(0, 6, 50).expand(2, -1), limit=6.0)
    brightness = ramp.astype(int).sum(-1)
    assert (np.diff(brightness, axis=1) > 0).all() and (brightness[0] == brightness[1]).all()


def test_upper_limit_leaves_few_above() -> None:
    surprise = torch.linspace(0, 10, 1000).view(10, 100)
    assert figures.upper_limit(surprise) == 10
    assert figures.upper_limit(torch.zeros(3, 3)) == 1
    surprise[0, 0] = 500.0  # one pixel does not decide
    assert figures.upper_limit(surprise) == 10


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 60), (60, 40), (3, 2000), (2000, 3)])
def test_surprise_map_of_any_shape(tmp_path: Path, height: int, width: int) -> None:
    target = figures.write_surprise_map(tmp_path, evaluation(height, width))
    assert target == tmp_path / "a" / "b.png.png"
    assert min(opened(target.read_bytes()).size) > 500


def test_surprise_map_shows_its_scale_and_both_pictures() -> None:
    """The colour bar ends at the limit: twice the bits give the same colours, another bar."""
    x, surprise = torch.zeros(1, 8, 8, dtype=torch.int64), torch.arange(64.0).view(8, 8) / 8
    one = opened(figures.surprise_map(x, 8, surprise, "one"))
    two = opened(figures.surprise_map(x, 8, 2 * surprise, "one"))
    assert np.asarray(one).shape == np.asarray(two).shape
    assert not np.array_equal(np.asarray(one), np.asarray(two))


def test_only_exact_models_have_maps(tmp_path: Path) -> None:
    result = Evaluation("a.png", "a.png", torch.zeros(1, 2, 2).long(), 8, 4.0)
    with pytest.raises(ValueError, match="only an exact model"):
        figures.write_surprise_map(tmp_path, result)
    assert not list(tmp_path.iterdir())


def test_diagrams_are_svg_without_a_background_or_a_date() -> None:
    bars = figures.bars({"png": 4.5, "ours": 4.1}, ["ours"], label="bits per pixel")
    curve = figures.curve([0, 1, 2], [5.0, 4.5, 4.4], x_label="step", y_label="bits")
    for svg in (bars, curve):
        assert ET.fromstring(svg).tag.endswith("svg")
        assert b"<dc:date>" not in svg and b"fill: #ffffff" not in svg
    assert figures.ACCENT.encode() in bars and figures.MUTED.encode() in bars


def test_lines_name_every_curve_and_draw_the_reference_in_ink() -> None:
    series = {"first": ([0.0, 1.0], [2.0, 3.0]), "second": ([0.0], [1.0]), "third": ([], [])}
    drawn = figures.lines(series, x_label="lag", y_label="bits", reference="first").decode()
    assert ET.fromstring(drawn).tag.endswith("svg")
    for text in ("first", "second", "third", "lag", "bits"):
        assert f"<!-- {text} -->" in drawn
    assert figures.INK in drawn and all(colour in drawn for colour in figures.SERIES[:2])
    assert figures.lines({}, x_label="x", y_label="y")


def test_signed_colours_are_red_above_and_blue_below_zero() -> None:
    values = torch.tensor([[-2.0, -1.0, 0.0, 1.0, 2.0]])
    colours = figures.signed(values, 1.0)[0].astype(int)
    assert (colours[0] == colours[1]).all() and (colours[3] == colours[4]).all()
    assert colours[1, 2] > colours[1, 0] and colours[3, 0] > colours[3, 2]
    assert colours[2].min() > 240
