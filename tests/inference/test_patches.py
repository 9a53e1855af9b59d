"""A sweep reaches every missing pixel, and patches of a group do not see what others change."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from imprior.inference.patches import Group, Patches, plan


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def box(height: int, width: int, top: int, left: int, rows: int, columns: int) -> Tensor:
    hole = torch.zeros(height, width, dtype=torch.bool)
    hole[top : top + rows, left : left + columns] = True
    return hole


HOLES = {
    "published": box(256, 256, 92, 92, 71, 71),
    "corners": box(60, 50, 0, 0, 3, 4) | box(60, 50, 55, 47, 5, 3),
    "thin": box(40, 40, 20, 0, 1, 40),
    "small image": box(4, 3, 1, 1, 2, 1),
    "speckle": torch.rand(50, 70, generator=seeded(1)) < 0.02,
    "all but one": ~box(45, 31, 44, 30, 1, 1),
}
SIZES = [Patches(), Patches(context=0), Patches(8, 3, 2, 1), Patches(1, 1, 1, 0), Patches(9, 9, 9)]


def square(hole: Tensor, corner: Tensor, side: int) -> Tensor:
    """Where a square lies that begins inside the image."""
    assert (corner >= 0).all()
    y, x = corner.tolist()
    inside = torch.zeros_like(hole)
    inside[y : y + side, x : x + side] = True
    return inside


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
@pytest.mark.parametrize("patches", SIZES, ids=str)
def test_every_missing_pixel_is_in_an_inner_patch(hole: Tensor, patches: Patches) -> None:
    covered = torch.zeros_like(hole)
    for group in plan(hole, patches):
        for corner in group.inner:
            inner = square(hole, corner, patches.inner)
            assert (inner & hole).any()
            covered |= inner
    assert (covered | ~hole).all()


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_windows_hold_the_outer_patch_within_the_image(hole: Tensor) -> None:
    patches = Patches(8, 3, 2, 1)
    sizes = torch.minimum(torch.tensor(patches.window), torch.tensor(hole.shape))
    for group in plan(hole, patches):
        assert (group.window >= 0).all()
        assert (group.window + sizes <= torch.tensor(hole.shape)).all()
        for inner, window in zip(group.inner, group.window, strict=True):
            context = torch.tensor([0, patches.context])
            first = (inner - patches.margin - context).clamp(min=0)
            last = inner - patches.margin + patches.outer + context
            last = torch.minimum(last, torch.tensor(hole.shape))
            assert (window <= first).all() and (window + sizes >= last).all()


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_patches_of_a_group_do_not_see_each_other(hole: Tensor) -> None:
    patches = Patches(8, 3, 2, 1)
    sizes = torch.minimum(torch.tensor(patches.window), torch.tensor(hole.shape))
    for group in plan(hole, patches):
        inner, window = group.inner[:, None], group.window[None]
        seen = ((inner + patches.inner > window) & (inner < window + sizes)).all(-1)
        assert torch.equal(seen, torch.eye(len(group.inner)).bool()), "each sees itself alone"


def places(groups: list[Group]) -> list[tuple[int, int]]:
    return [(y, x) for group in groups for y, x in group.inner.tolist()]


def test_published_sweep_over_71_pixels() -> None:
    """Inner patches begin at every third pixel of the hole, 23 a side, as in the authors' code."""
    expected = itertools.product(range(92, 92 + 71 - 5 + 1, 3), repeat=2)
    groups = plan(HOLES["published"], Patches())
    assert sorted(places(groups)) == list(expected)
    assert len(groups) == 4 * 5


def test_no_patch_comes_twice() -> None:
    for hole, patches in itertools.product(HOLES.values(), SIZES):
        found = places(plan(hole, patches))
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("sizes", [(5, 6, 1, 0), (5, 3, 4, 0), (5, 3, 0, 0), (5, 3, 1, -1)])
def test_sizes_that_do_not_fit_are_refused(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="1 <= stride <= inner <= outer"):
        Patches(*sizes)
