"""The least-squares answer is the conditional mean where that is known."""

from __future__ import annotations

import pytest
import torch

from imprior.inference.expectation import expect, expect_enlarged
from tests.models.local import small
from tests.scales import Near, NearConfig, Scales


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("pairs", "rounds"), [(1, 1), (3, 2), (1, 5)])
def test_error_of_a_guess_falls_as_in_the_formula(pairs: int, rounds: int) -> None:
    """Whatever the draws: of a linear denoiser their noise cancels in pairs."""
    mean = torch.rand(1, 2, 3, 4, dtype=torch.float64)
    model, start = Near(NearConfig(2, 0.5, 0.1), mean), torch.zeros_like(mean)
    found = expect(model, start, 0.5, generator=seeded(), pairs=pairs, rounds=rounds)
    left = (0.1 / (0.1 + 0.25)) ** rounds
    torch.testing.assert_close(found, mean + left * (start - mean), rtol=0, atol=1e-12)


def test_answer_is_the_conditional_mean_scale_by_scale() -> None:
    model = Scales(NearConfig())
    low = torch.rand(2, 1, 5, 6, dtype=torch.float64)
    middle = model.join(low, model.mean(low))
    expected = model.join(middle, model.mean(middle))
    found = expect_enlarged(model, low, 2, generator=seeded())
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    assert (expected - low.repeat_interleave(4, 2).repeat_interleave(4, 3)).abs().max() > 0.05


def test_given_image_is_the_low_pass_of_the_answer() -> None:
    model, low = small.local(), torch.rand(1, 1, 5, 6, dtype=torch.float64)
    x = expect_enlarged(model, low, 2, generator=seeded())
    for _ in range(2):
        x, _ = model.split(x)
    torch.testing.assert_close(x, low, rtol=0, atol=1e-9)


def test_scales_that_a_model_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scales of details"):
        expect_enlarged(Scales(NearConfig()), torch.rand(1, 1, 2, 2), 3, generator=seeded())
