"""Operators are linear, have the adjoints they say, and their rows are orthonormal."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from imprior.inference.operators import (
    BlockAverage,
    Custom,
    Mask,
    Operator,
    Shape,
    check_adjoint,
    random_pixels,
)
from imprior.inference.spectral import (
    Deblurring,
    RandomProjection,
    Spectral,
    band_limited,
    hartley,
)
from tests.inference.gaussian import seeded


def noise(*shape: int, seed: int = 9) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-12, rtol=1e-12)


def kernel(*shape: int, seed: int = 3) -> Tensor:
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


def every_operator(shape: Shape, seed: int = 0) -> list[Operator]:
    """One of each kind, for images of any shape."""
    _, height, width = shape
    share = 0.05 + 0.9 * float(torch.rand((), generator=seeded(seed)))
    mask = torch.rand(shape, generator=seeded(seed)) < share
    mask[0, 0, 0] = True
    odd = (height - 1) // 2 % 3 * 2 + 1, (width - 1) // 2 % 3 * 2 + 1
    blocks = math.gcd(height, width)
    return [
        Mask(mask),
        random_pixels(shape, share, generator=seeded(seed)),
        BlockAverage(shape, blocks),
        band_limited(shape, share),
        Deblurring(shape, kernel(*odd)),
        RandomProjection(shape, share, generator=seeded(seed)),
        Custom.projection(shape, lambda x: x.mean(-1, keepdim=True).expand_as(x)),
    ]


SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 17), st.integers(1, 17))


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_adjoints_and_orthonormal_rows(shape: Shape, seed: int) -> None:
    x, other = noise(2, *shape), noise(2, *shape, seed=8)
    for operator in every_operator(shape, seed):
        check_adjoint(operator, tolerance=1e-12)
        measured = operator.apply(x)
        if not isinstance(operator, Custom):
            m = noise(*measured.shape, seed=5)
            inner = (measured * m).flatten(1).sum(1)
            assert torch.allclose((x * operator.adjoint(m)).flatten(1).sum(1), inner, atol=1e-10)
            assert close(operator.apply(operator.adjoint(m)), m)
        seen = operator.project(x)
        assert close(operator.project(seen), seen)
        moved = operator.enforce(other, measured)
        assert close(operator.apply(moved), measured)
        assert close(moved - other, operator.project(x - other))


@pytest.mark.parametrize("number", range(7))
def test_single_precision_and_each_image_by_itself(number: int) -> None:
    operator = every_operator((3, 12, 9))[number]
    check_adjoint(operator, dtype=torch.float32)
    x = noise(3, 3, 12, 9)
    assert operator.apply(x.float()).dtype == operator.project(x.float()).dtype == torch.float32
    for i in range(3):
        assert close(operator.project(x)[i], operator.project(x[i : i + 1])[0])


def test_known_values_are_measured_and_come_back_to_the_bit() -> None:
    known = torch.rand(2, 5, 7, generator=seeded()) < 0.5
    operator = Mask(known)
    x = noise(3, 2, 5, 7)
    assert torch.equal(operator.apply(x), x[:, known])
    assert torch.equal(operator.project(x), torch.where(known, x, 0))
    start = 1e9 * noise(3, 2, 5, 7, seed=1)
    filled = operator.enforce(start, operator.apply(x))
    assert torch.equal(filled, torch.where(known, x, start))


def test_random_pixels_know_their_share_in_all_channels() -> None:
    x = noise(1, 3, 20, 30).abs() + 1
    seen = random_pixels((3, 20, 30), 0.1, generator=seeded()).project(x)[0] != 0
    assert seen[0].sum() == 60
    assert (seen == seen[:1]).all()
    other = random_pixels((3, 20, 30), 0.1, generator=seeded(1)).project(x)[0] != 0
    assert not torch.equal(seen, other)


def test_blocks_are_averaged() -> None:
    operator = BlockAverage((1, 4, 6), 2)
    x = noise(1, 1, 4, 6)
    means = x.unflatten(3, (3, 2)).unflatten(2, (2, 2)).mean((3, 5))
    assert close(operator.apply(x), 2 * means)
    assert close(operator.project(x)[..., 2:, 4:], means[..., 1:, 2:])


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 7, 10), (1, 1, 5)])
def test_hartley_is_orthonormal_and_its_own_inverse(shape: Shape) -> None:
    total = math.prod(shape)
    unit = torch.eye(total, dtype=torch.float64).view(total, *shape)
    matrix = hartley(unit, (-3, -2, -1)).flatten(1)
    assert close(matrix, matrix.T)
    assert close(matrix @ matrix, torch.eye(total, dtype=torch.float64))


@pytest.mark.parametrize("size", [(8, 8), (9, 6), (7, 11)])
def test_band_limiting_is_a_low_pass_in_fourier(size: tuple[int, int]) -> None:
    x = noise(1, 1, *size)
    rows, columns = (torch.fft.fftfreq(n).abs() <= 0.25 for n in size)
    low = torch.fft.ifft2(torch.fft.fft2(x) * rows[:, None] * columns).real
    assert close(band_limited((1, *size), 0.5).project(x), low)
    assert close(band_limited((1, *size), 1).project(x), x)


def test_blurs_are_centred_and_periodic() -> None:
    x = noise(2, 1, 9, 8)
    shift = torch.zeros(3, 3)
    shift[1, 2] = 1
    assert close(Deblurring((1, 9, 8), shift).blur(x), x.roll(1, -1))
    blur = kernel(5, 3)
    padded = torch.nn.functional.pad(x, (1, 1, 2, 2), mode="circular")
    direct = torch.nn.functional.conv2d(padded, blur.flip(0, 1)[None, None])
    assert close(Deblurring((1, 9, 8), blur).blur(x), direct)


def test_what_a_blur_lets_pass_is_measured_from_the_blurred_image() -> None:
    ramp = torch.linspace(-2, 2, 7, dtype=torch.float64)
    gauss = torch.exp(-(ramp[:, None] ** 2) - 0.5 * ramp**2)
    operator = Deblurring((2, 16, 15), gauss, threshold=0.05)
    x = noise(2, 2, 16, 15)
    measured = operator.measure(operator.blur(x))
    assert torch.allclose(measured, operator.apply(x), atol=1e-10)
    assert 0 < measured[0].numel() < x[0].numel()


def test_random_projections_see_all_values() -> None:
    operator = RandomProjection((3, 8, 8), 0.5, generator=seeded())
    unit = torch.eye(192, dtype=torch.float64).view(192, 3, 8, 8)
    seen = operator.apply(unit)
    assert seen.shape == (192, 96)
    # Half of the energy of every value, more or less.
    assert ((seen.square().sum(1) - 0.5).abs() < 0.3).all()
    again = RandomProjection((3, 8, 8), 0.5, generator=seeded())
    assert torch.equal(again.apply(unit), seen)


SHAPE = (1, 6, 8)
WRONG = {
    "wrong adjoint": Custom(SHAPE, lambda x: x[..., :3, :], lambda m: 2 * pad_rows(m)),
    "unfit adjoint": Custom(SHAPE, lambda x: x[..., :3, :], lambda m: m.view(2, *SHAPE)),
    "wrong place": Custom(SHAPE, lambda x: x[..., :3, :], lambda m: pad_rows(m).roll(1, -2)),
    "rows that are not orthonormal": Custom(SHAPE, lambda x: 2 * x, lambda m: 2 * m),
    "dependent rows": Custom(
        SHAPE, lambda x: torch.cat([x, x]).unflatten(0, (2, -1)).movedim(0, 1), lambda m: m.sum(1)
    ),
    "not linear": Custom(SHAPE, lambda x: x.clamp(min=0), lambda m: m),
    "not an image": Custom(SHAPE, lambda x: x[..., :3, :], lambda m: m),
    "nothing": Custom(SHAPE, lambda x: 0 * x, lambda m: 0 * m),
}


def pad_rows(m: Tensor) -> Tensor:
    return torch.cat([m, torch.zeros_like(m)], -2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong adjoint", "has a wrong adjoint: relative error 0"),
        ("unfit adjoint", "fails on images"),
        ("wrong place", "has a wrong adjoint"),
        ("rows that are not orthonormal", "rows that are not orthonormal: relative error 3"),
        ("dependent rows", "rows that are not orthonormal: relative error 1,"),
        ("not linear", "is not linear"),
        ("not an image", r"its adjoint makes \(2, 1, 3, 8\), not an image"),
        ("nothing", "relative error nan"),
    ],
)
def test_wrong_operators_are_found(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_adjoint(WRONG[name])


def test_complex_measurements_are_allowed() -> None:
    low = torch.fft.fftfreq(8).abs() < 0.3
    operator = Custom(
        SHAPE,
        lambda x: torch.fft.fft(x, norm="ortho") * low,
        lambda m: torch.fft.ifft(m * low, norm="ortho").real,
    )
    check_adjoint(operator)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(B, 1, 6, 8\), got \(2, 1, 8, 6\)"):
        BlockAverage(SHAPE, 2).apply(noise(2, 1, 8, 6))
    with pytest.raises(ValueError, match="do not fill images of 6 x 8"):
        BlockAverage(SHAPE, 4)
    with pytest.raises(ValueError, match="somewhere true"):
        Mask(torch.zeros(SHAPE, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"shape \(C, H, W\)"):
        Mask(torch.ones(6, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="share"):
        random_pixels(SHAPE, 0, generator=seeded())
    with pytest.raises(ValueError, match="share"):
        band_limited(SHAPE, 1.2)
    with pytest.raises(ValueError, match="odd sides"):
        Deblurring(SHAPE, kernel(2, 3))
    with pytest.raises(ValueError, match="k and -k"):
        Spectral(SHAPE, torch.arange(48).view(6, 8) == 1)
    with pytest.raises(ValueError, match="somewhere true"):
        Spectral(SHAPE, torch.ones(8, 6, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"images \(C, H, W\)"):
        Custom((1, 2, 0), lambda x: x, lambda m: m)
