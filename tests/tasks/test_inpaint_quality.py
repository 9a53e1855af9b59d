"""Figures of fillings are over the hole alone, and the usual ways are what they are called."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from imprior.data.images import Image
from imprior.tasks.holes import hole_of_box, hole_of_share
from imprior.tasks.inpaint import Filling
from imprior.tasks.inpaint_files import average, inpaint_files
from imprior.tasks.inpaint_quality import compare, interpolate, quality_within
from tests.toys import Toy, ToyConfig

HOLE = hole_of_box("9,7,8,6", (24, 30))


def noise(*shape: int, bits: int = 8) -> torch.Tensor:
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bits", [8, 16])
def test_psnr_is_that_of_the_pixels_of_the_hole(bits: int) -> None:
    clean, x = noise(3, 24, 30, bits=bits), noise(3, 24, 30, bits=bits)
    x[:, HOLE] = (clean[:, HOLE] - 2 ** (bits - 4)).abs()
    error = (x - clean)[:, HOLE].double().square().mean().sqrt() / (2**bits - 1)
    found = quality_within(HOLE, clean, x, bits)
    assert found.psnr == pytest.approx(-20 * math.log10(error), abs=1e-9)
    x = torch.where(HOLE, clean, x)
    assert quality_within(HOLE, clean, x, bits).psnr == math.inf


def test_similarity_is_that_of_windows_around_the_hole() -> None:
    clean = noise(1, 24, 30)
    x, far = clean.clone(), clean.clone()
    x[:, HOLE] = 0
    far[:, :2], far[:, 18:] = 0, 0
    assert quality_within(HOLE, clean, clean, 8).ssim == pytest.approx(1)
    assert quality_within(HOLE, clean, far, 8).ssim == pytest.approx(1)
    assert (quality_within(HOLE, clean, x, 8).ssim or 1) < 0.2
    assert quality_within(HOLE[:10], clean[:, :10], x[:, :10], 8).ssim is None
    assert quality_within(hole_of_box("0,0,3,3", (24, 30)), clean, x, 8).ssim is None


def test_interpolation_is_exact_on_a_plane_and_near_is_near() -> None:
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(30), indexing="ij")
    plane = torch.stack([3 * rows + 2 * columns, 200 - columns])
    painted = torch.where(HOLE, 0, plane)
    assert torch.equal(interpolate(painted, HOLE, "linear"), plane)
    near = interpolate(painted, HOLE, "nearest")
    assert torch.equal(near[:, ~HOLE], plane[:, ~HOLE])
    assert near[1, 9, 9] == 200 - 8 and near[1, 9, 16] == 200 - 17


@pytest.mark.parametrize("size", [(1, 12), (12, 1), (2, 2)])
def test_interpolation_where_there_are_no_triangles(size: tuple[int, int]) -> None:
    x, hole = torch.full((1, *size), 7), torch.zeros(size, dtype=torch.bool)
    hole.view(-1)[1] = True
    assert (interpolate(torch.where(hole, 0, x), hole, "linear") == 7).all()


def test_beyond_the_known_pixels_is_the_nearest() -> None:
    hole = hole_of_share(0.1, (24, 30))
    x = noise(1, 24, 30)
    linear, near = (interpolate(x, hole, how) for how in ("linear", "nearest"))
    assert (linear[:, ~hole] == x[:, ~hole]).all()
    assert linear[0, 0, 0] == near[0, 0, 0] and not torch.equal(linear, near)
    assert linear.min() >= 0 and linear.max() < 256


def test_comparison_is_of_all_that_was_filled_in(tmp_path: Path) -> None:
    """For any method, and opacity does not count."""
    image = Image(noise(4, 24, 30), 8, alpha=True, path="x.png")
    result = inpaint_files(Toy(ToyConfig(4)), image, HOLE, tmp_path, Filling("draw"), num=3)
    compared = compare(result)
    expected = [
        quality_within(HOLE, image.pixels[:3], x[:3], 8)
        for x in (*(done.x for done in result.fillings), average(result.fillings))
    ]
    assert [*compared.fillings, compared.mean] == expected
    assert compared.usual.keys() == compared.images.keys() == {"linear", "nearest"}
    record = compared.record()
    assert [each["psnr"] for each in record["fillings"]] == [each.psnr for each in expected[:3]]
    assert record["linear"]["psnr"] == compared.usual["linear"].psnr
    assert record["mean"]["ssim"] == expected[3].ssim
    one = inpaint_files(Toy(ToyConfig(4)), image, HOLE, tmp_path / "one", Filling("draw"))
    assert compare(one).mean is None and compare(one).record()["mean"] is None
