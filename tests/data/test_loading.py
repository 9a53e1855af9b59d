"""Images become what a model takes, and never silently something else."""

from __future__ import annotations

import itertools

import pytest
import torch

from imprior.data.images import Image
from imprior.data.loading import match, random_crop, random_symmetry, stream_of, symmetry, to_gray


def image(channels: int, bits: int = 8, alpha: bool = False, path: str = "x.png") -> Image:
    return Image(torch.randint(0, 2**bits, (channels, 4, 5)), bits, alpha=alpha, path=path)


def test_gray_is_the_nearest_integer_to_luma() -> None:
    levels = torch.tensor([0, 1, 2, 77, 127, 128, 254, 255])
    rgb = torch.cartesian_prod(levels, levels, levels).T.reshape(3, 64, 8)
    exact = torch.einsum(
        "c,chw->hw", torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64), rgb.double()
    )
    gray = to_gray(rgb)
    assert gray.shape == (1, 64, 8) and gray.dtype == torch.int64
    assert float((gray[0] - exact).abs().max()) <= 0.5 + 1e-9
    assert gray.min() == 0 and gray.max() == 255


def test_gray_of_gray_is_the_same_at_every_depth_and_batches_agree() -> None:
    x = torch.arange(2**16).view(1, 256, 256)
    assert torch.equal(to_gray(x.expand(3, -1, -1)), x)
    batch = torch.randint(0, 2**16, (2, 3, 4, 5))
    assert torch.equal(to_gray(batch), torch.stack([to_gray(one) for one in batch]))


def test_an_image_that_fits_is_left_alone() -> None:
    x = image(3)
    assert match(x, 3, 8) is x
    assert match(x, 3, 8, gray=True, reduce_bits=True) is x


@pytest.mark.parametrize(
    ("given", "channels", "bits", "reason"),
    [
        (image(3), 1, 8, r"x\.png has 3 channels, the model takes 1 \(--gray converts colour\)"),
        (image(1), 3, 8, r"x\.png has 1 channels, the model takes 3$"),
        (image(4, alpha=True), 3, 8, "has 4 channels, the model takes 3$"),
        (image(1, bits=16), 1, 8, r"has 16 bits, the model takes 8 \(--reduce-bits drops"),
        (image(1, bits=4), 1, 8, "has 4 bits, the model takes 8$"),
        (image(2, path=""), 1, 8, "^the image has 2 channels, the model takes 1$"),
    ],
)
def test_what_does_not_fit_is_refused(given: Image, channels: int, bits: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        match(given, channels, bits)


def test_colour_becomes_grey_if_asked() -> None:
    for channels, alpha in ((3, False), (4, True)):
        x = image(channels, alpha=alpha)
        gray = match(x, 1, 8, gray=True)
        assert torch.equal(gray.pixels, to_gray(x.pixels[:3])) and not gray.alpha
        assert gray.path == x.path
    x = image(2, alpha=True)
    assert torch.equal(match(x, 1, 8, gray=True).pixels, x.pixels[:1])
    for channels, alpha in ((2, False), (5, False), (5, True)):
        with pytest.raises(ValueError, match="no grey of it"):
            match(image(channels, alpha=alpha), 1, 8, gray=True)


def test_bits_are_reduced_if_asked_and_never_added() -> None:
    x = image(1, bits=16)
    reduced = match(x, 1, 5, reduce_bits=True)
    assert torch.equal(reduced.pixels, x.pixels // 2**11) and reduced.bits == 5
    with pytest.raises(ValueError, match="has 4 bits, the model takes 8"):
        match(image(1, bits=4), 1, 8, reduce_bits=True)


def test_symmetries_are_those_of_the_square() -> None:
    x = torch.arange(9).view(1, 3, 3)
    all_of_them = [symmetry(x, number) for number in range(8)]
    assert len({tuple(y.flatten().tolist()) for y in all_of_them}) == 8
    turns = {tuple(x.rot90(n, (1, 2)).flatten().tolist()) for n in range(4)}
    assert turns <= {tuple(y.flatten().tolist()) for y in all_of_them}
    for y, number in itertools.product(all_of_them, range(8)):
        assert any(torch.equal(symmetry(y, number), z) for z in all_of_them)  # a group
    assert symmetry(torch.zeros(2, 4, 5), 5).shape == (2, 5, 4)
    with pytest.raises(ValueError, match="are 0 to 7, got 8"):
        symmetry(x, 8)


def test_random_symmetries_are_all_as_likely() -> None:
    x, generator = torch.arange(4).view(1, 2, 2), stream_of(0)
    drawn = [tuple(random_symmetry(x, generator=generator).flatten().tolist()) for _ in range(4000)]
    counts = [drawn.count(y) for y in set(drawn)]
    assert len(counts) == 8
    assert sum((count - 500) ** 2 / 500 for count in counts) < 7 + 4 * 14**0.5


def test_random_crops_lie_anywhere_with_the_same_probability() -> None:
    x, generator = torch.arange(4 * 6).view(1, 4, 6), stream_of(1)
    crops = [random_crop(x, 3, generator=generator) for _ in range(4000)]
    for crop in crops[:50]:
        top, left = divmod(int(crop[0, 0, 0]), 6)
        assert torch.equal(crop, x[:, top : top + 3, left : left + 3])
    counts = torch.tensor([int(crop[0, 0, 0]) for crop in crops]).bincount()
    counts = counts[counts > 0].double()
    assert len(counts) == 2 * 4
    assert float(((counts - 500) ** 2 / 500).sum()) < 7 + 4 * 14**0.5
    assert torch.equal(random_crop(x[:, :, :4], 4, generator=generator), x[:, :, :4])
    for size in (5, 0):
        with pytest.raises(ValueError, match=f"4 x 6 pixels has no crop of {size} x {size}"):
            random_crop(x, size, generator=generator)


def test_streams_differ_by_every_part_of_their_key() -> None:
    keys = [(0, 0), (0, 1), (1, 0), (0, 0, 1), (2**40, 0), (0, 2**40)]
    drawn = [float(torch.rand((), generator=stream_of(*key))) for key in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn == [float(torch.rand((), generator=stream_of(*key))) for key in keys]
