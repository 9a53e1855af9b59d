"""Drawn pixels are what they say: their contexts, their noise, their bounds, and nothing else's."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from imprior.models.ride.kernels import Bins
from imprior.models.ride.mcgsm import MCGSM
from imprior.train.samples import Drawing, Samples, Source, Whitened, draw, positions, whiten
from imprior.transforms import causal
from tests.models.mcgsms import noise, toy

HEIGHT, WIDTH = 9, 11


def numbered(start: int = 0) -> Tensor:
    """A 16-bit image whose values tell its pixels apart, (1, H, W)."""
    return start + torch.arange(HEIGHT * WIDTH).view(1, HEIGHT, WIDTH)


def sources(*images: Tensor) -> list[Source]:
    return [Source.of(image.clone) for image in images]


def levels(model: MCGSM, values: Tensor) -> Tensor:
    """Values in [0, 1] as grey levels; the middle of a bin is a whole number."""
    return values.double() * 2**model.config.bits - 0.5


def drawn(
    pixels: int = 4000, noise: Literal["all", "target"] = "target", interior: bool = False
) -> tuple[MCGSM, Samples]:
    model = toy(bits=16, rows=2, columns=2)
    drawing = Drawing(pixels, noise, interior)
    return model, draw(model, 0, sources(numbered()), drawing, seed=1)


def true_contexts(model: MCGSM, target: Tensor) -> Tensor:
    """What lies around the pixels of `numbered` with these values."""
    padded = causal.pad(numbered(), model.reach)
    return causal.gather(padded, model.reach, model.contexts[0], target // WIDTH, target % WIDTH)


# -- where


def test_positions_are_everywhere_but_at_the_start() -> None:
    y, x = positions(3, 4, 2000, 0, torch.Generator().manual_seed(0))
    assert set(zip(y.tolist(), x.tolist(), strict=True)) == {
        (y, x) for y in range(3) for x in range(4)
    } - {(0, 0)}


def test_positions_keep_their_distance_from_borders() -> None:
    y, x = positions(5, 7, 2000, 2, torch.Generator().manual_seed(0))
    assert (set(y.tolist()), set(x.tolist())) == ({2, 3, 4}, {2, 3, 4})
    for height, width in ((2, 7), (5, 4)):
        assert len(positions(height, width, 10, 2, torch.Generator())[0]) == 0


# -- what


def test_inputs_are_the_contexts_of_the_targets() -> None:
    model, samples = drawn()
    assert len(samples.inputs) == pytest.approx(4000, rel=0.03)  # less those at (0, 0)
    inputs = levels(model, samples.inputs)
    contexts = true_contexts(model, samples.target.long())
    torch.testing.assert_close(inputs, contexts.double(), rtol=0, atol=1e-9)


def test_noise_is_uniform_over_one_grey_level() -> None:
    model, samples = drawn(20_000)
    error = levels(model, samples.outputs) - samples.target
    assert error.min() > -0.5 - 1e-9 and error.max() < 0.5 + 1e-9
    # 98 values of noise, one a pixel
    assert abs(error.mean()) < 5 * (12 * 98) ** -0.5
    assert 0.05 < error.var() < 0.12


def test_noise_on_all_values_is_the_same_wherever_a_value_is_seen() -> None:
    model, samples = drawn(noise="all", interior=True)
    noisy: dict[int, float] = {}
    for target, output in zip(samples.target.tolist(), samples.outputs.tolist(), strict=True):
        assert noisy.setdefault(target, output) == output
    contexts = true_contexts(model, samples.target.long())
    off = levels(model, samples.inputs) - contexts
    assert 0.1 < off.abs().mean() < 0.4 and off.abs().max() < 0.5 + 1e-9
    seen = 0
    for context, row in zip(contexts.tolist(), samples.inputs.tolist(), strict=True):
        for pixel, value in zip(context, row, strict=True):
            if pixel in noisy:
                assert noisy[pixel] == value
                seen += 1
    assert seen > 1000


def test_interior_pixels_have_whole_neighbourhoods() -> None:
    _, samples = drawn(interior=True)
    y, x = samples.target // WIDTH, samples.target % WIDTH
    assert set(y.tolist()) == set(range(2, HEIGHT))
    assert set(x.tolist()) == set(range(2, WIDTH - 2))


def test_bounds_are_those_of_the_colour_planes() -> None:
    model = toy(channels=3, colour="ycocg")
    images = sources(*noise(model, 3, HEIGHT, WIDTH))
    for plane in range(3):
        samples = draw(model, plane, images, Drawing(500), seed=0)
        assert bool((samples.low <= samples.target).all() & (samples.target <= samples.high).all())
        assert (len(samples.low.unique()) > 1) == (plane > 0)
        assert samples.inputs.shape[1] == len(model.contexts[plane].offsets)


# -- from which images


def test_images_give_as_many_pixels_as_their_areas_are_worth() -> None:
    model = toy(bits=16)
    images = sources(numbered(), numbered(1000)[:, :, 5:], numbered(2000)[:, 3:])
    samples = draw(model, 0, images, Drawing(1000, interior=True), seed=0)
    area = 99 + 54 + 66
    counts = (samples.target // 1000).bincount().tolist()
    assert sum(counts) == 1000
    assert counts == pytest.approx([99e3 / area, 54e3 / area, 66e3 / area], abs=1)
    assert (samples.target[:50] // 1000).unique().tolist() == [0, 1, 2]  # in random order


def test_pixels_of_an_image_do_not_depend_on_the_others() -> None:
    model = toy(bits=16)
    parts = []
    for other in (numbered(20_000), numbered(30_000).flip(1), numbered(40_000).mT):
        images = sources(other, numbered())
        samples = draw(model, 0, images, Drawing(500, noise="all", interior=True), seed=7)
        mine = samples.target < 1000
        # their order is random, so they are compared sorted
        parts.append(samples.outputs[mine].sort().values)
    assert torch.equal(parts[0], parts[1]) and torch.equal(parts[0], parts[2])


def test_seed_decides_the_draw() -> None:
    model = toy(bits=16)
    first, again, other = (
        draw(model, 0, sources(numbered()), Drawing(100), seed) for seed in (3, 3, 4)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.outputs, other.outputs)


def test_images_that_are_too_small_are_refused() -> None:
    model = toy(rows=4, columns=4)
    images = sources(torch.zeros(1, 4, 9).long(), torch.zeros(1, 9, 8).long())
    with pytest.raises(ValueError, match=r"no pixel of the 2 images .* too small"):
        draw(model, 0, images, Drawing(100, interior=True), seed=0)
    with pytest.raises(ValueError, match="too small"):
        draw(model, 0, sources(torch.zeros(1, 1, 1).long()), Drawing(100), seed=0)


# -- for the mixture


def test_points_lie_in_their_bins() -> None:
    model = toy(bits=4)
    samples = draw(model, 0, sources(noise(model, 1, 30, 30)[0]), Drawing(2000), seed=0)
    points, bins = whiten(model, model.whitening[0], samples)
    assert isinstance(points.y, Tensor) and isinstance(bins.y, Bins)
    assert torch.equal(points.x, bins.x)
    torch.testing.assert_close(points.x, model.whitening[0].inputs(samples.inputs))
    assert bool(((bins.y.lower <= points.y) & (points.y <= bins.y.upper)).all())
    width = bins.y.upper - bins.y.lower
    is_open = (samples.target == 0) | (samples.target == 15)
    assert 0 < is_open.sum() < len(is_open)
    assert bool(width[is_open].isinf().all())
    inner = (model.whitening[0].scale / 16).expand(int((~is_open).sum()))
    torch.testing.assert_close(width[~is_open], inner)


def test_pieces_make_no_difference() -> None:
    model = toy(rows=1, columns=0)
    n = (1 << 16) + 3
    target = torch.randint(256, (n,)).int()
    low, high = torch.zeros_like(target), torch.full_like(target, 255)
    samples = Samples(torch.rand(n, 1).double(), torch.rand(n).double(), target, low, high)
    _, bins = whiten(model, model.whitening[0], samples)
    last = Samples(*(column[-5:] for column in samples))
    _, expected = whiten(model, model.whitening[0], last)
    torch.testing.assert_close(bins.x[-5:], expected.x)
    assert len(bins.x) == n
    for part, piece in zip(bins.y, expected.y, strict=True):
        torch.testing.assert_close(part[-5:], piece)


@pytest.mark.parametrize(("n", "size"), [(12, 4), (13, 4), (7, 4), (3, 4), (4, 4), (5, 1)])
def test_every_pass_of_batches_sees_all_data(n: int, size: int) -> None:
    rows = torch.arange(n)
    steps = -(-n // size)
    for kind in (rows, Bins(rows, rows, rows, rows)):
        data = Whitened(rows[:, None], kind)
        for start in (0, steps):
            batches = [data.batch(start + step, size) for step in range(steps)]
            assert all(len(batch.x) == min(n, size) for batch in batches)
            assert set(torch.cat([batch.x[:, 0] for batch in batches]).tolist()) == set(range(n))
            for batch in batches:
                y = batch.y.upper if isinstance(batch.y, Bins) else batch.y
                assert torch.equal(y, batch.x[:, 0])
