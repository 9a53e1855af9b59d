"""All images are there once, and the toy field's probabilities are those of its formula."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from imprior.data.enumerable import MarkovField, all_images


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 2, 3), (1, 2, 2, 2), (3, 3, 1, 1)])
def test_every_image_is_there_once(shape: tuple[int, int, int, int]) -> None:
    bits, *size = shape
    images = all_images(*shape)
    assert images.dtype == torch.int64 and images.shape[1:] == tuple(size)
    expected = itertools.product(range(2**bits), repeat=math.prod(size))
    assert [tuple(row) for row in images.flatten(1).tolist()] == list(expected)


def test_sets_that_are_too_large_or_empty_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2\^192 such images, too many"):
        all_images(8, 3, 2, 4)
    with pytest.raises(ValueError, match="at least 1"):
        all_images(8, 1, 0, 1)


@pytest.fixture
def field() -> MarkovField:
    return MarkovField(2, 2, 2, torch.Generator().manual_seed(0))


def test_probabilities_are_those_of_the_formula(field: MarkovField) -> None:
    energies = [
        float(field.across[a, b] + field.across[c, d] + field.down[a, c] + field.down[b, d])
        for a, b, c, d in field.images.flatten(1).tolist()
    ]
    expected = torch.tensor(energies, dtype=torch.float64)
    expected -= math.log(sum(map(math.exp, energies)))
    torch.testing.assert_close(field.log_pmf, expected, rtol=0, atol=1e-12)
    assert float(field.log_pmf.exp().sum()) == pytest.approx(1.0, abs=1e-12)
    shuffled = torch.randperm(len(field.images))
    log_prob = field.log_prob(field.images[shuffled])
    assert torch.equal(log_prob, field.log_pmf[shuffled])


def test_samples_have_the_probabilities_and_the_entropy(field: MarkovField) -> None:
    count = 50_000
    x = field.sample(count, torch.Generator().manual_seed(1))
    assert x.shape == (count, 1, 2, 2)
    digits = (x.flatten(1) * torch.tensor([64, 16, 4, 1])).sum(1)
    pmf = field.log_pmf.exp()
    chi2 = ((digits.bincount(minlength=256) - count * pmf).square() / (count * pmf)).sum()
    assert abs(float(chi2) - 255) < 4 * math.sqrt(2 * 255)
    surprise = -field.log_prob(x) / 4
    error = float(surprise.std()) / math.sqrt(count)
    assert float(surprise.mean()) == pytest.approx(field.entropy, abs=4 * error)


def test_without_potentials_all_images_are_equally_likely() -> None:
    flat = MarkovField(1, 2, 3, torch.Generator().manual_seed(0), strength=0.0)
    assert flat.entropy == pytest.approx(math.log(2), abs=1e-12)
