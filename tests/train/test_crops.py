"""Crops for networks: what is drawn how often, what shares a batch, what a part sees."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from imprior.data.batches import compact
from imprior.data.feed import feed
from imprior.data.loading import symmetry
from imprior.train.crops import Alternating, DecidingCrops, RandomCrops, shrunk
from imprior.train.networks import NetworkTraining
from tests.train.halves import FIT


def numbered(*sizes: tuple[int, int]) -> list[Tensor]:
    """Images of these sizes; all values of an image are its number."""
    return [torch.full((1, *size), number) for number, size in enumerate(sizes)]


def whole(x: Tensor) -> Tensor:
    return x


def test_pixels_are_drawn_equally_often_and_batches_have_one_size() -> None:
    images = numbered((12, 12), (4, 6), (12, 24), (6, 12), (4, 6))
    draws = RandomCrops(images, 8, whole, batch_size=4)
    counts, sizes = Counter[int](), {0: (8, 8), 1: (4, 6), 2: (8, 8), 3: (6, 8), 4: (4, 6)}
    for step, batch in zip(range(1000), feed(draws, 4), strict=False):
        assert batch.dtype == torch.int64
        for number in batch[:, 0, 0, 0].tolist():
            counts[number] += 1
            assert tuple(batch.shape[2:]) == sizes[number], step
    total = sum(x.numel() for x in images)
    for number, x in enumerate(images):
        # Batches of one size are drawn together: five standard deviations of 1000 draws.
        share = x.numel() / total
        assert counts[number] / 4000 == pytest.approx(share, abs=5 * (share / 1000) ** 0.5)


def test_draws_depend_on_their_number_and_the_seed_alone() -> None:
    images = [torch.randint(256, (3, 20, 20)) for _ in range(5)]
    one, same, other = (RandomCrops(images, 6, whole, batch_size=4, seed=s) for s in (0, 0, 1))
    later = [one[number] for number in (9, 3, 100)]
    assert all(torch.equal(x, same[n]) for x, n in zip(later, (9, 3, 100), strict=True))
    assert not any(torch.equal(x, other[n]) for x, n in zip(later, (9, 3, 100), strict=True))
    batches = torch.stack([one[number] for number in range(40)])
    assert len(batches.flatten(1).unique(dim=0)) > 30  # of 1125 that there are


@pytest.mark.parametrize(("mirrored", "turned"), [(False, False), (True, False), (False, True)])
def test_symmetries_are_those_that_were_asked_for(mirrored: bool, turned: bool) -> None:
    training = NetworkTraining(FIT, 4, mirrored=mirrored, turned=turned)
    image = torch.arange(16).view(1, 4, 4)
    draws = RandomCrops([image], 4, whole, batch_size=1, symmetries=training.symmetries)
    found = Counter(tuple(draws[number].flatten().tolist()) for number in range(200))
    expected = [image, image.flip(2)] if mirrored else [image]
    expected = [image.rot90(n, (1, 2)) for n in range(4)] if turned else expected
    assert set(found) == {tuple(x.flatten().tolist()) for x in expected}
    assert min(found.values()) > 0.7 * 200 / len(expected)


def test_all_symmetries_together_are_the_eight_of_a_square_and_four_of_a_strip() -> None:
    training = NetworkTraining(FIT, 4, mirrored=True, turned=True)
    assert sorted(training.symmetries) == list(range(8))
    strip = torch.arange(12).view(1, 3, 4)
    draws = RandomCrops([strip], 4, whole, batch_size=1, symmetries=training.symmetries)
    found = {tuple(draws[number].flatten().tolist()) for number in range(100)}
    assert found == {tuple(symmetry(strip, n).flatten().tolist()) for n in range(4)}


def test_parts_see_their_view_of_the_crop() -> None:
    image = torch.randint(256, (1, 9, 9))
    draws = RandomCrops([image], 6, whole, batch_size=2, symmetries=(0, 1))
    seen = RandomCrops([image], 6, lambda x: x[..., ::2] * 256, batch_size=2, symmetries=(0, 1))
    for number in range(10):
        assert torch.equal(seen[number], draws[number][..., ::2] * 256)
    with pytest.raises(ValueError, match="images of 5 x 1 pixels are too small for all parts"):
        RandomCrops(numbered((8, 8), (5, 1)), 6, lambda x: x[..., 1::2], batch_size=2)


def test_batches_alternate_between_draws_and_are_not_mixed() -> None:
    draws = [RandomCrops([x], 4, whole, batch_size=3) for x in numbered((9, 9), (9, 9))]
    both = Alternating(draws, batch_size=3, seed=1)
    batches = torch.stack([both[number].flatten()[0] for number in range(3 * 200)]).view(200, 3)
    assert (batches == batches[:, :1]).all() and len(both) == 3
    assert float(batches.float().mean()) == pytest.approx(0.5, abs=5 * (0.25 / 200) ** 0.5)
    assert torch.equal(both[7], draws[int(both[7][0, 0, 0])][7])


def test_every_deciding_image_counts() -> None:
    images = numbered(*[(9, 9)] * 7)
    for count, of_each in ((3, {1}), (7, {1}), (14, {2}), (10, {1, 2})):
        crops = DecidingCrops(images, 4, whole, count=count)
        found = Counter(int(x[0, 0, 0]) for x in crops)
        assert set(found) == set(range(7)) and set(found.values()) == of_each
        assert sum(found.values()) == max(count, 7)
    pixels = [torch.randint(256, (1, 9, 9))]
    one, same = (list(DecidingCrops(pixels, 4, whole, count=9)) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(one, same, strict=True))
    assert len({tuple(x.flatten().tolist()) for x in one}) > 4


@pytest.mark.parametrize(("largest", "size"), [(255, 1), (256, 2), (32767, 2), (65535, 4)])
def test_images_take_little_memory(largest: int, size: int) -> None:
    x = torch.tensor([[[0, largest]]])
    assert compact(x).element_size() == size
    assert torch.equal(compact(x).long(), x)


def test_shrunk_images_are_means_within_the_range_of_theirs() -> None:
    rows = torch.arange(40).view(1, 40, 1).expand(2, 40, 24) * 5
    edge = torch.tensor([3, 250]).repeat_interleave(20).view(1, 40, 1).expand(2, 40, 24)
    small = torch.zeros(2, 12, 40, dtype=torch.int64)
    found = shrunk([rows, edge, small], 0.5, 8)
    assert [x.shape for x in found] == [(2, 20, 12)] * 2  # the third would not hold a crop
    assert all(x.dtype == torch.int64 for x in found)
    expected = (rows[:, ::2, ::2] + rows[:, 1::2, 1::2]) / 2
    assert (found[0] - expected)[:, 2:-2].abs().max() <= 0.5
    assert found[1].min() == 3 and found[1].max() == 250


@pytest.mark.parametrize("scale", [0.0, 1.0, -0.5])
def test_scales_that_do_not_shrink_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=r"scales must be in \(0, 1\)"):
        NetworkTraining(FIT, 4, scales=(0.5, scale))
