"""Synthetic images have the densities, moments and entropies that are claimed of them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from imprior.data.synthetic import AutoregressiveField, PeriodicField, Toy, all_images, index_of

PERIODIC = PeriodicField.power_law(3, 4, variance=2.0)
CAUSAL = AutoregressiveField(across=0.9, down=-0.6, variance=2.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_mean(values: Tensor, expected: float) -> None:
    """The mean of independent draws is within 4 standard errors."""
    error = float(values.std()) / math.sqrt(len(values))
    assert float(values.mean()) == pytest.approx(expected, abs=4 * error)


def shifts(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows and columns between any two pixels of an image."""
    place = torch.arange(height * width)
    return (place // width)[:, None] - place // width, (place % width)[:, None] - place % width


def normal_of(covariance: Tensor) -> MultivariateNormal:
    return MultivariateNormal(torch.zeros(len(covariance)).double(), covariance)


def test_a_periodic_field_is_the_gaussian_of_its_covariance() -> None:
    covariance = torch.fft.ifft2(PERIODIC.spectrum).real  # Wiener & Khinchin
    down, across = shifts(3, 4)
    normal = normal_of(covariance[down % 3, across % 4])
    x = PERIODIC.sample(20, generator=seeded())
    assert x.shape == (20, 1, 3, 4) and x.dtype == torch.float64
    torch.testing.assert_close(
        PERIODIC.log_prob(x), normal.log_prob(x.flatten(1)), atol=1e-9, rtol=0
    )
    assert PERIODIC.entropy == pytest.approx(float(normal.entropy()) / 12, abs=1e-12)


def test_samples_of_a_periodic_field_have_its_spectrum_variance_and_entropy() -> None:
    x = PERIODIC.sample(4000, generator=seeded())
    power = torch.fft.fft2(x[:, 0], norm="ortho").abs() ** 2
    for row, column in itertools.product(range(3), range(4)):
        assert_mean(power[:, row, column], float(PERIODIC.spectrum[row, column]))
        assert_mean(x[:, 0, row, column] ** 2, 2.0)
    assert_mean(-PERIODIC.log_prob(x) / 12, PERIODIC.entropy)


def test_white_noise_has_the_entropy_of_a_normal() -> None:
    white = PeriodicField.power_law(5, 6, exponent=0.0, variance=4.0)
    assert white.entropy == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 4))


@pytest.mark.parametrize("size", [(32, 64), (33, 31)])
def test_power_falls_as_asked(size: tuple[int, int]) -> None:
    spectrum = PeriodicField.power_law(*size, exponent=1.5, variance=3.0).spectrum
    assert float(spectrum.mean()) == pytest.approx(3.0)
    assert float(spectrum[0, 4] / spectrum[0, 8]) == pytest.approx(2**1.5)
    assert float(spectrum[0, 0]) == float(spectrum.max())


def test_what_is_no_spectrum_is_refused() -> None:
    for spectrum in (torch.zeros(2, 2).double(), torch.ones(2, 2), torch.ones(3).double()):
        with pytest.raises(ValueError, match="and is positive, got"):
            PeriodicField(spectrum)
    with pytest.raises(ValueError, match="same at k and -k"):
        PeriodicField(torch.rand(5, 5, dtype=torch.float64) + 0.1)


def test_an_autoregressive_field_is_the_gaussian_of_its_covariance() -> None:
    down, across = shifts(3, 4)
    normal = normal_of(2.5 * 0.9 ** across.abs().double() * (-0.6) ** down.abs().double())
    x = CAUSAL.sample((20, 3, 4), generator=seeded())
    assert x.shape == (20, 1, 3, 4) and x.dtype == torch.float64
    torch.testing.assert_close(CAUSAL.log_prob(x), normal.log_prob(x.flatten(1)), atol=1e-9, rtol=0)
    assert CAUSAL.entropy(3, 4) == pytest.approx(float(normal.entropy()) / 12, abs=1e-12)
    # The Cholesky factor of a covariance has the conditional deviations on its diagonal.
    expected = CAUSAL.conditional_variance(3, 4).flatten()
    torch.testing.assert_close(normal.scale_tril.diagonal() ** 2, expected)


def test_samples_of_an_autoregressive_field_have_its_moments_and_entropy() -> None:
    x = CAUSAL.sample((4000, 3, 4), generator=seeded())
    for row, column in itertools.product(range(3), range(4)):
        assert_mean(x[:, 0, 0, 0] * x[:, 0, row, column], 2.5 * 0.9**column * (-0.6) ** row)
        assert_mean(x[:, 0, row, column] ** 2, 2.5)
    assert_mean(-CAUSAL.log_prob(x) / 12, CAUSAL.entropy(3, 4))


def test_an_autoregressive_field_needs_correlations_and_a_variance() -> None:
    for values in ((1.0, 0.0, 1.0), (0.0, -1.0, 1.0), (0.0, 0.0, 0.0), (math.nan, 0.0, 1.0)):
        with pytest.raises(ValueError, match="correlations lie between -1 and 1"):
            AutoregressiveField(*values)


@pytest.mark.parametrize("size", [(1, 1, 1, 1), (2, 1, 2, 3), (1, 2, 2, 2), (3, 3, 1, 1)])
def test_every_image_is_there_once_and_knows_its_place(size: tuple[int, int, int, int]) -> None:
    bits, *shape = size
    x = all_images(*size)
    assert x.dtype == torch.int64 and list(x.shape[1:]) == shape
    expected = itertools.product(range(2**bits), repeat=math.prod(shape))
    assert [tuple(values) for values in x.flatten(1).tolist()] == list(expected)
    assert torch.equal(index_of(x, bits), torch.arange(len(x)))


@pytest.mark.parametrize("size", [(8, 3, 2, 2), (1, 1, 100, 100), (1, 1, 0, 2), (0, 1, 1, 1)])
def test_sets_that_are_too_large_or_empty_are_refused(size: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="none or too many to count"):
        all_images(*size)


def test_neighbours_of_a_markov_toy_are_all_that_matters() -> None:
    """Given the rest of a 1-bit 1x2x3 image, a corner depends on its two neighbours alone."""
    toy = Toy.markov(1, 1, 2, 3, generator=seeded())
    pmf = toy.log_probs.exp().view((2,) * 6)  # subpixels 0 1 2 / 3 4 5
    given = pmf / pmf.sum(0)
    for values in itertools.product(range(2), repeat=2):
        same = given[:, values[0], :, values[1]].flatten(1)  # given 1 and 3
        torch.testing.assert_close(same, same[:, :1].expand_as(same), rtol=0, atol=1e-12)
    assert not torch.allclose(given[:, 0, 0, 0], given[:, 1, 0, 0])
    assert not torch.allclose(given[:, 0, 0, 0], given[:, 0, 0, 1])


def test_channels_of_a_markov_toy_depend_on_each_other() -> None:
    toy = Toy.markov(1, 2, 1, 1, generator=seeded())
    pmf = toy.log_probs.exp().view(2, 2)
    assert not torch.allclose(pmf, pmf.sum(1, keepdim=True) * pmf.sum(0))


def test_without_coupling_the_subpixels_of_a_toy_are_independent() -> None:
    toy = Toy.markov(2, 1, 2, 2, coupling=0.0, generator=seeded())
    pmf = toy.log_probs.exp().view((4,) * 4)
    one = pmf.sum((1, 2, 3))
    torch.testing.assert_close(pmf, torch.einsum("a,b,c,d->abcd", one, one, one, one))
    assert toy.entropy == pytest.approx(-4 * float((one * one.log()).sum()))


def test_a_toy_sums_to_one_and_is_drawn_as_often_as_it_says() -> None:
    toy = Toy.markov(1, 2, 1, 3, generator=seeded())
    assert float(toy.log_prob(toy.images).exp().sum()) == pytest.approx(1, abs=1e-12)
    x = toy.sample(20_000, generator=seeded(1))
    assert x.shape == (20_000, 2, 1, 3) and x.dtype == torch.int64
    assert_mean(-toy.log_prob(x), toy.entropy)
    counts = index_of(x, 1).bincount(minlength=64)
    expected = 20_000 * toy.log_probs.exp()
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 63 + 4 * math.sqrt(2 * 63)


def test_a_seed_says_all() -> None:
    def draws(seed: int) -> list[Tensor]:
        toy = Toy.markov(1, 1, 2, 2, generator=seeded(seed))
        return [
            toy.log_probs,
            toy.sample(50, generator=seeded(seed)),
            PERIODIC.sample(1, generator=seeded(seed)),
            CAUSAL.sample((1, 2, 2), generator=seeded(seed)),
        ]

    for first, again, other in zip(draws(1), draws(1), draws(2), strict=True):
        assert torch.equal(first, again) and not torch.equal(first, other)
