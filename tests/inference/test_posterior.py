"""Solutions have their measurements and follow the posterior of a Gaussian prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from imprior.inference.ascent import Ascent, Iteration, ascend
from imprior.inference.operators import BlockAverage, Custom, Mask, Operator, random_pixels
from imprior.inference.posterior import (
    PATIENT,
    Samples,
    constrained,
    draw_samples,
    sample_prior,
    solve,
)
from imprior.inference.schedule import Schedule
from imprior.inference.spectral import Deblurring, RandomProjection, band_limited
from tests.inference.gaussian import MEAN, Gaussian, seeded

SHAPE = (1, 16, 16)
PRIOR = Gaussian(SHAPE, torch.tensor([1, 0.5, 0.4, 0.2], dtype=torch.float64))
SLOW = Schedule(h0=0.1, beta=0.05, steps="fixed", sigma_end=0.03)
QUICK = Schedule(h0=0.2, beta=0.5)


def mixing(angle: float) -> Custom:
    """Measures one direction among the first two patterns and one among the others."""
    cos, sin = math.cos(angle), math.sin(angle)
    rows = torch.zeros(2, 4, dtype=torch.float64)
    rows[0, :2] = rows[1, 2:] = torch.tensor([cos, sin], dtype=torch.float64)
    A = rows @ PRIOR.patterns.T
    return Custom(SHAPE, lambda x: x.flatten(1) @ A.T, lambda m: (m @ A).view(-1, *SHAPE))


def posterior(operator: Operator, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of images given measurements, in closed form."""
    unit = torch.eye(256, dtype=torch.float64).view(256, *SHAPE)
    A, C = operator.apply(unit).flatten(1).T, PRIOR.covariance
    gain = C @ A.T @ torch.linalg.inv(A @ C @ A.T)
    return MEAN + gain @ (measured.flatten() - MEAN * A.sum(1)), C - gain @ A @ C


def test_samples_follow_the_posterior() -> None:
    operator, count = mixing(0.6), 160
    measured = operator.apply(PRIOR.sample(1, generator=seeded(3)))
    solved = solve(
        PRIOR.denoise, operator, measured, SLOW, count=count, generator=seeded(), batch_size=160
    )
    mean, covariance = posterior(operator, measured)
    spread = (PRIOR.patterns.T @ covariance @ PRIOR.patterns).diagonal()
    assert (spread < 0.8 * PRIOR.variances).any(), "measurements of one pattern tell of another"
    prior_deviation = PRIOR.variances.sqrt()
    error = PRIOR.coordinates(solved.mean)[0] - PRIOR.patterns.T @ (mean - MEAN)
    # Measured values carry noise while the others settle: a bias of the order of beta.
    assert (error.abs() < 4 * (spread / count).sqrt() + 0.06 * prior_deviation).all()
    ratio = PRIOR.coordinates(solved.images[:, 0]).var(0) / spread
    assert 0.75 < ratio.mean() < 1.2
    assert torch.allclose(solved.std[0].flatten().square().sum(), spread.sum(), rtol=0.25)


def operators() -> list[Operator]:
    ramp = torch.linspace(-1, 1, 5, dtype=torch.float64)
    return [
        random_pixels(SHAPE, 0.5, generator=seeded(2)),
        BlockAverage(SHAPE, 2),
        band_limited(SHAPE, 0.5),
        Deblurring(SHAPE, torch.exp(-(ramp**2 + ramp[:, None] ** 2))),
        RandomProjection(SHAPE, 0.3, generator=seeded(2)),
        Custom.projection(SHAPE, lambda x: (x + x.flip(-1)) / 2),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_measurements_hold_and_enough_of_them_give_the_image(
    number: int, dtype: torch.dtype
) -> None:
    operator = operators()[number]
    x = PRIOR.sample(2, generator=seeded(5)).to(dtype)
    measured = operator.apply(x)
    schedule = Schedule(sigma_end=1e-3)
    solved = solve(PRIOR.denoise, operator, measured, schedule, generator=seeded())
    assert solved.images.dtype == dtype
    assert {end for ends in solved.stopped for end in ends} == {"converged"}
    error = (operator.apply(solved.images[0]) - measured).abs().amax()
    assert error <= (0 if isinstance(operator, Mask) else 50 * torch.finfo(dtype).eps)
    # More measurements than the prior has patterns: the posterior is a point.
    assert (solved.images[0] - x).square().mean().sqrt() < 0.01 * x.std()


def test_the_step_is_that_of_the_paper() -> None:
    y = MEAN + torch.randn(2, *SHAPE, generator=seeded(1), dtype=torch.float64)
    residual = PRIOR.denoise(y) - y
    for operator in operators():
        m = operator.apply(PRIOR.sample(2, generator=seeded(2)))
        step = constrained(PRIOR.denoise, operator, m)(y) - y
        paper = residual - operator.project(residual) + operator.adjoint(m - operator.apply(y))
        assert torch.allclose(step, paper, atol=1e-12)


def test_batch_size_changes_nothing_and_more_samples_begin_alike() -> None:
    operator = operators()[1]
    measured = operator.apply(PRIOR.sample(3, generator=seeded(4)))

    def solved(samples: int, batch_size: int, seed: int = 0) -> Samples:
        generator = seeded(seed)
        return solve(
            PRIOR.denoise, operator, measured, QUICK,
            count=samples, generator=generator, batch_size=batch_size,
        )  # fmt: skip

    whole = solved(4, 12)
    assert whole.images.shape == (4, 3, *SHAPE)
    assert len(whole.stopped) == 4
    assert all(len(ends) == 3 for ends in whole.stopped)
    for batch_size in (1, 5):
        assert torch.allclose(solved(4, batch_size).images, whole.images, atol=1e-9)
    assert torch.allclose(solved(2, 8).images, whole.images[:2], atol=1e-9)
    assert (solved(2, 8, seed=1).images - whole.images[:2]).abs().amax() > 1e-3
    assert torch.equal(whole.mean, whole.images.mean(0))
    assert torch.equal(whole.std, whole.images.std(0))
    with pytest.raises(ValueError, match="at least 2"):
        _ = solved(1, 8).std


def test_nothing_measured_is_a_draw_from_the_prior() -> None:
    drawn = sample_prior(PRIOR.denoise, SHAPE, QUICK, count=3, generator=seeded(), batch_size=2)
    assert drawn.images.shape == (3, 1, *SHAPE)
    assert drawn.stopped == (("converged",),) * 3
    start = torch.full((1, *SHAPE), MEAN)

    def draw(given: Tensor, generators: Sequence[torch.Generator]) -> Ascent:
        return ascend(PRIOR.denoise, given, QUICK, generators=generators)

    by_hand = draw_samples(draw, start, 3, generator=seeded())
    assert torch.allclose(drawn.images, by_hand.images, atol=1e-6)
    assert drawn.std.amin() > 0


def test_callback_is_told_of_every_batch() -> None:
    seen: list[Iteration] = []
    operator = operators()[1]
    measured = operator.apply(PRIOR.sample(3, generator=seeded(4)))
    solve(
        PRIOR.denoise, operator, measured, QUICK,
        generator=seeded(), batch_size=2, callback=seen.append,
    )  # fmt: skip
    assert {len(one.y) for one in seen} == {1, 2}


def test_inverse_problems_are_patient_and_priors_are_not() -> None:
    known, measured = torch.ones(1, 4, 4, dtype=torch.bool), torch.zeros(1, 8)
    known[:, ::2] = False
    steps: list[int] = []

    def count(at: Iteration) -> None:
        steps.append(at.number)

    def draw(schedule: Schedule | None) -> Tensor:
        steps.clear()
        options = {"generator": seeded(), "callback": count}
        return solve(lambda y: 0.5 * y, Mask(known), measured, schedule, **options).images  # type: ignore[arg-type]

    assert torch.equal(draw(None), draw(PATIENT))
    patient = len(steps)
    draw(Schedule())
    assert len(steps) < patient


def test_wrong_use_is_refused() -> None:
    operator = BlockAverage(SHAPE, 2)
    measured = operator.apply(PRIOR.sample(1, generator=seeded()))
    doubled = Custom(SHAPE, lambda x: 2 * x, lambda m: 2 * m)
    for given, m, wrong in [
        (operator, measured * torch.nan, "finite"),
        (operator, measured.long(), "finite floats"),
        (operator, measured[..., :4], r"\(B, 1, 8, 8\), got \(1, 1, 8, 4\)"),
        (doubled, measured, "not orthonormal"),
    ]:
        with pytest.raises(ValueError, match=wrong):
            solve(PRIOR.denoise, given, m, generator=seeded())
    with pytest.raises(ValueError, match="at least 1 of each, got 0, 8"):
        solve(PRIOR.denoise, operator, measured, count=0, generator=seeded())
    with pytest.raises(ValueError, match="at least 1 of each, got 1, 0"):
        solve(PRIOR.denoise, operator, measured, batch_size=0, generator=seeded())
    with pytest.raises(ValueError, match="and 0"):
        solve(PRIOR.denoise, operator, measured[:0], generator=seeded())
