"""Masks and boxes name the pixels that they say, or are refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.data.images import Image, write
from imprior.models.baselines.gmm import GMM, GMMConfig
from imprior.tasks.holes import (
    around,
    hole_of_box,
    hole_of_mask,
    hole_of_share,
    read_with_hole,
)
from tests.models.local import small
from tests.toys import Toy, ToyConfig


def noise(*shape: int, bits: int = 8) -> torch.Tensor:
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_mask_is_where_it_is_not_black(tmp_path: Path, channels: int, bits: int) -> None:
    pixels = torch.zeros(channels, 4, 5, dtype=torch.int64)
    alpha = channels in (2, 4)
    pixels[0, 1, 2], pixels[-1 - alpha, 3, 4] = 1, 2**bits - 1
    if alpha:
        pixels[-1] = 2**bits - 1
    write(tmp_path / "m.png", Image(pixels, bits, alpha=alpha))
    hole = hole_of_mask(tmp_path / "m.png", (4, 5))
    assert hole.dtype == torch.bool and hole.nonzero().tolist() == [[1, 2], [3, 4]]


def test_masks_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for name, value, said in (("black", 0, "black everywhere"), ("white", 255, "covers the whole")):
        write(tmp_path / f"{name}.png", Image(torch.full((1, 4, 5), value), 8))
        with pytest.raises(ValueError, match=rf"{name}\.png {said}|{name}\.png is {said}"):
            hole_of_mask(tmp_path / f"{name}.png", (4, 5))
    with pytest.raises(ValueError, match=r"has 5 x 4 pixels, the image 4 x 5"):
        hole_of_mask(tmp_path / "white.png", (5, 4))
    with pytest.raises(ValueError, match=r"none\.png: cannot be read"):
        hole_of_mask(tmp_path / "none.png", (5, 4))


def test_box_is_left_top_width_height() -> None:
    hole = hole_of_box("2,1,3,4", (7, 6))
    assert hole[1:5, 2:5].all() and hole.sum() == 12
    assert hole_of_box(" 5, 6,1,1", (7, 6)).nonzero().tolist() == [[6, 5]]


@pytest.mark.parametrize(
    "box", ["0,0,7,1", "0,0,1,8", "-1,0,2,2", "6,0,1,1", "1,1,0,2", "1,1,2,-1"]
)
def test_box_outside_of_the_image_is_refused(box: str) -> None:
    with pytest.raises(ValueError, match="is empty or not inside the image of 6 x 7 pixels"):
        hole_of_box(box, (7, 6))


@pytest.mark.parametrize("box", ["", "1,2,3", "1,2,3,x", "1,2,3,4,5", "1.5,2,3,4", "1,,3,4"])
def test_box_that_is_not_four_numbers_is_refused(box: str) -> None:
    with pytest.raises(ValueError, match="a box is X,Y,W,H in pixels"):
        hole_of_box(box, (7, 6))


def test_box_of_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="covers the whole image"):
        hole_of_box("0,0,6,7", (7, 6))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_share_of_the_pixels_is_known(share: float) -> None:
    hole = hole_of_share(share, (20, 30), 4)
    assert int((~hole).sum()) == round(600 * share)
    assert torch.equal(hole, hole_of_share(share, (20, 30), 4))
    assert not torch.equal(hole, hole_of_share(share, (20, 30), 5))
    assert hole[:10].any() and hole[10:].any() and not hole[:10].all() and not hole[10:].all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 10.0, float("nan")])
def test_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of pixels that is known lies between 0 and 1"):
        hole_of_share(share, (20, 30))


def test_share_of_few_pixels_and_wrong_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="is all of them: nothing is missing"):
        hole_of_share(0.9, (2, 2))
    with pytest.raises(ValueError, match="seed must be at least 0"):
        hole_of_share(0.5, (2, 2), -1)


def test_denoisers_take_any_depth_and_grey_ones_colours(tmp_path: Path) -> None:
    model, path = small.flat(), tmp_path / "x.png"
    write(path, Image(noise(3, 6, 7, bits=16), 16))
    image, hole = read_with_hole(path, model, known=0.5, seed=2)
    assert image.pixels.shape == (3, 6, 7) and image.bits == 16
    assert torch.equal(hole, hole_of_share(0.5, (6, 7), 2))
    image, _ = read_with_hole(path, model, known=0.5, gray=True, reduce_bits=True)
    assert image.pixels.shape == (1, 6, 7) and image.bits == 16
    for given in ({"known": 0.5, "box": "1,1,2,2"}, {"known": 0.5, "mask": path}):
        with pytest.raises(ValueError, match="give one of them"):
            read_with_hole(path, model, **given)  # type: ignore[arg-type]


def test_region_is_the_hole_with_its_margin() -> None:
    hole = hole_of_box("5,10,4,3", (40, 30))
    assert around(hole, 6) == (slice(4, 19), slice(0, 15))
    assert around(hole, 0) == (slice(10, 13), slice(5, 9))
    assert around(hole, 99) == (slice(0, 40), slice(0, 30))


def test_image_is_read_as_the_model_takes_it(tmp_path: Path) -> None:
    model, path = Toy(ToyConfig()), tmp_path / "x.png"
    write(path, Image(noise(3, 6, 7), 8))
    with pytest.raises(ValueError, match=r"has 3 channels, the model takes 1 \(--gray"):
        read_with_hole(path, model, box="1,1,2,2")
    image, hole = read_with_hole(path, model, box="1,1,2,2", gray=True)
    assert image.pixels.shape == (1, 6, 7) and hole.shape == (6, 7)
    for given in ({}, {"box": "1,1,2,2", "mask": path}):
        with pytest.raises(ValueError, match="give one of them"):
            read_with_hole(path, model, gray=True, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="GMM has no bits"):
        read_with_hole(path, GMM(GMMConfig(num_components=1)), box="1,1,2,2")
