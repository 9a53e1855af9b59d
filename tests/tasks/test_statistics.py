"""Statistics of textures: known of noise and waves, and alike for images of one kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from imprior.tasks.statistics import (
    REACH,
    Statistics,
    autocorrelation,
    distance,
    mean,
    statistics,
)  # fmt: skip


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed))


def test_autocorrelation_is_the_mean_product_at_each_lag() -> None:
    x = noise(2, 9, 7)
    result = autocorrelation(x, 3)
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            per_channel = []
            for plane in x.double().numpy():
                centred = (plane - plane.mean()) / plane.std()
                here = centred[max(0, -dy) : 9 - max(0, dy), max(0, -dx) : 7 - max(0, dx)]
                there = centred[max(0, dy) : 9 + min(0, dy), max(0, dx) : 7 + min(0, dx)]
                per_channel.append((here * there).mean())
            assert result[3 + dy, 3 + dx].item() == pytest.approx(np.mean(per_channel), abs=1e-12)


def test_autocorrelation_of_a_wave_is_a_wave() -> None:
    phase = 2 * torch.pi * torch.arange(256) / 16
    x = (100 * torch.sin(phase)).round().long().expand(1, 64, 256)
    correlation = autocorrelation(x, 16)
    expected = torch.cos(2 * torch.pi * torch.arange(-16, 17).double() / 16).expand(33, 33)
    torch.testing.assert_close(correlation, expected, atol=0.01, rtol=0)


def test_constant_images_have_no_correlation_and_small_ones_are_refused() -> None:
    assert not autocorrelation(torch.full((1, 40, 40), 7), 8).any()
    with pytest.raises(ValueError, match="40 x 8 pixels has no lags of 8"):
        autocorrelation(noise(1, 40, 8), 8)


def test_histogram_counts_all_values() -> None:
    x = torch.tensor([[[0, 3], [3, 1]]]).repeat(2, 20, 20)
    histogram = statistics(x, 2).histogram
    assert histogram.tolist() == [0.25, 0.25, 0.0, 0.5]


def test_distance_is_0_to_itself_and_to_a_mirror_image_in_the_histogram() -> None:
    x = statistics(noise(1, 64, 64), 8)
    assert distance(x, x).levels == distance(x, x).correlation == 0


def test_distance_of_histograms_is_how_far_sorted_values_are_apart() -> None:
    a, b = noise(1, 64, 64), noise(1, 64, 64, seed=1) // 2
    expected = (a.flatten().sort().values - b.flatten().sort().values).abs().double().mean()
    away = distance(statistics(a, 8), statistics(b, 8))
    assert away.levels == pytest.approx(float(expected))


def test_distance_of_correlations_is_root_mean_square_without_lag_0() -> None:
    histogram = torch.ones(2).double() / 2
    size = 2 * REACH + 1
    one = torch.full((size, size), 0.25, dtype=torch.float64)
    one[REACH, REACH] = 1
    other = torch.zeros_like(one)
    other[REACH, REACH] = 1
    away = distance(Statistics(histogram, one), Statistics(histogram, other))
    assert away.correlation == pytest.approx(0.25) and away.levels == 0


def test_noise_is_nearer_to_noise_than_to_a_wave() -> None:
    wave = (torch.arange(128) % 16 * 16).expand(1, 128, 128)
    a, b, other = (statistics(x, 8) for x in (noise(1, 128, 128), noise(1, 128, 128, seed=1), wave))
    assert distance(a, b).correlation < 0.02 < 0.2 < distance(a, other).correlation


def test_mean_is_that_of_histograms_and_correlations() -> None:
    parts = [statistics(noise(1, 64, 64, seed=seed), 8) for seed in range(3)]
    whole = mean(parts)
    torch.testing.assert_close(whole.histogram, sum(part.histogram for part in parts) / 3)
    torch.testing.assert_close(whole.correlation, sum(part.correlation for part in parts) / 3)
