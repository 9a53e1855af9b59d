"""The paired pyramid loses nothing: any depth, any number of channels, any size."""

from __future__ import annotations

from itertools import zip_longest

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from imprior.transforms import pairs

BITS, CHANNELS, SIDES = st.integers(1, 16), st.integers(1, 4), st.integers(1, 9)
AXES = st.sampled_from([pairs.ROWS, pairs.COLUMNS])


@st.composite
def images(draw: st.DrawFn) -> tuple[Tensor, int]:
    """A batch of two: noise with both ends of the range, and its bits."""
    bits, shape = draw(BITS), (draw(CHANNELS), draw(SIDES), draw(SIDES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    x = torch.randint(2**bits, (2, *shape), generator=generator)
    x[0] = torch.where(torch.rand(shape, generator=generator) < 0.5, 0, 2**bits - 1)
    return x, bits


@given(images(), AXES)
def test_halves_come_back_and_have_as_many_values(image: tuple[Tensor, int], axis: int) -> None:
    x, _ = image
    coarse, fine = pairs.split(x, axis)
    assert coarse.numel() + fine.numel() == x.numel()
    assert coarse.shape[axis] - fine.shape[axis] == x.shape[axis] % 2
    joined = pairs.join(coarse, fine, axis)
    assert torch.equal(joined, x) and joined.dtype == x.dtype and joined.is_contiguous()


@given(images(), AXES, st.booleans())
def test_difference_stays_in_range_and_is_undone(
    image: tuple[Tensor, int], axis: int, centred: bool
) -> None:
    x, bits = image
    coarse, fine = pairs.split(x, axis)
    before = coarse.clone(), fine.clone()
    differences = pairs.difference(fine, coarse, axis, bits, centred)
    assert differences.dtype == torch.int64 and differences.shape == fine.shape
    assert not ((differences < 0) | (differences >= 2**bits)).any()
    assert torch.equal(pairs.undo_difference(differences, coarse, axis, bits, centred), fine)
    assert torch.equal(coarse, before[0]) and torch.equal(fine, before[1])
    shift = 2 ** (bits - 1) * centred
    beside = coarse.narrow(axis, 0, fine.shape[axis])
    assert torch.equal(differences, (fine - beside + shift) % 2**bits)


@pytest.mark.parametrize("bits", range(1, 17))
def test_zero_difference_is_amid_the_range_for_every_depth(bits: int) -> None:
    flat = torch.full((1, 1, 4, 4), 2**bits - 1)
    coarse, fine = pairs.split(flat, 2)
    assert (pairs.difference(fine, coarse, 2, bits) == 2 ** (bits - 1)).all()
    assert not pairs.difference(fine, coarse, 2, bits, centred=False).any()


@given(images(), SIDES, st.none() | st.integers(0, 6), st.booleans())
def test_whole_pyramid_is_lossless(
    image: tuple[Tensor, int], coarsest: int, limit: int | None, centred: bool
) -> None:
    x, bits = image
    coarse, differences = x, []
    levels = pairs.axes(x.shape[2], x.shape[3], coarsest, limit)
    for axis in levels:
        coarse, fine = pairs.split(coarse, axis)
        differences.append(pairs.difference(fine, coarse, axis, bits, centred))
    assert coarse.numel() + sum(each.numel() for each in differences) == x.numel()
    assert limit == len(levels) or max(coarse.shape[2:]) <= coarsest
    for axis, each in zip(reversed(levels), reversed(differences), strict=True):
        fine = pairs.undo_difference(each, coarse, axis, bits, centred)
        coarse = pairs.join(coarse, fine, axis)
    assert torch.equal(coarse, x)


@given(SIDES, SIDES, st.integers(1, 4))
def test_axes_alternate_and_never_split_a_side_of_one(h: int, w: int, coarsest: int) -> None:
    levels, sides = pairs.axes(h, w, coarsest), {2: h, 3: w}
    for axis, following in zip_longest(levels, levels[1:]):
        assert max(sides.values()) > coarsest, "goes on too long"
        assert sides[axis] > 1, "splits what cannot be split"
        sides[axis] = (sides[axis] + 1) // 2
        other = 5 - axis
        assert following != axis or sides[other] == 1, "takes a turn twice"
    assert max(sides.values()) <= coarsest
    assert pairs.axes(h, w, coarsest, limit=1) == levels[:1]


def test_axes_begin_with_rows() -> None:
    assert pairs.axes(256, 256, 4) == (2, 3) * 6
    assert pairs.axes(1, 1, 1) == ()


@pytest.mark.parametrize("arguments", [(0, 4, 1), (4, 0, 1), (4, 4, 0), (4, 4, 1, -1)])
def test_impossible_pyramids_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="sides and the coarsest side are at least 1"):
        pairs.axes(*arguments)


def test_halves_of_different_images_are_refused() -> None:
    coarse = torch.zeros(1, 1, 4, 3)
    for shape in [(1, 1, 2, 3), (1, 1, 5, 3), (1, 1, 4, 2), (1, 2, 4, 3)]:
        with pytest.raises(ValueError, match="do not pair along axis 2"):
            pairs.join(coarse, torch.zeros(shape), 2)


@given(images(), AXES)
def test_interpolation_is_the_mean_of_the_lines_beside(
    image: tuple[Tensor, int], axis: int
) -> None:
    x, _ = image
    coarse, fine = pairs.split(x, axis)
    guess = pairs.interpolate(coarse, axis, fine.shape[axis])
    assert guess.shape == fine.shape and guess.dtype == torch.float32
    lines = x.movedim(axis, 0).double()
    for index, line in enumerate(guess.movedim(axis, 0).double()):
        after = lines[2 * index + 1]
        before = lines[2 * index - 1] if index else after
        assert torch.equal(line, (before + after) / 2)


def test_interpolation_of_a_ramp_is_exact_and_leaves_floats_alone() -> None:
    ramp = torch.arange(9, dtype=torch.float64).view(1, 1, 1, 9).expand(2, 3, 2, 9)
    coarse, fine = pairs.split(ramp, 3)
    kept = coarse.clone()
    guess = pairs.interpolate(coarse, 3, fine.shape[3])
    assert torch.equal(guess[..., 1:], fine[..., 1:]) and guess.dtype == torch.float64
    assert torch.equal(coarse, kept)


def test_halves_of_even_sides_are_views() -> None:
    x = torch.zeros(1, 1, 6, 4)
    for axis in (2, 3):
        for half in pairs.split(x, axis):
            assert half.data_ptr() - x.data_ptr() < x.nbytes and half._base is x
