"""The ascent draws from the prior, image by image, and says why it stopped."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from imprior.inference.ascent import Ascent, Iteration, ascend, spawn
from imprior.inference.schedule import Schedule
from tests.inference.gaussian import MEAN, Gaussian, seeded

PRIOR = Gaussian((1, 16, 16), torch.tensor([1, 0.7, 0.3, 0.2], dtype=torch.float64))
FAITHFUL = Schedule(h0=0.1, steps="fixed", sigma0=2, sigma_end=0.03)


def draw(
    count: int, schedule: Schedule, seed: int = 1, dtype: torch.dtype = torch.float64
) -> Ascent:
    start = torch.full((count, *PRIOR.shape), MEAN, dtype=dtype)
    return ascend(PRIOR.denoise, start, schedule, generators=spawn(seeded(seed), count))


def nothing(y: Tensor) -> Tensor:
    """The denoiser of images that are all zero."""
    return torch.zeros_like(y)


def zeros(count: int, *shape: int) -> Tensor:
    return torch.zeros(count, *(shape or (1, 64, 64)))


def test_samples_have_the_mean_and_covariance_of_the_prior() -> None:
    count = 300
    drawn = draw(count, FAITHFUL)
    assert set(drawn.stopped) == {"converged"}
    white = PRIOR.coordinates(drawn.image) / PRIOR.variances.sqrt()
    # Steps of 0.1 make variances 5 % too small, and the blind estimate of the noise a little more.
    assert white.mean(0).abs().amax() < 4 / math.sqrt(count)
    assert 0.82 < white.var(0).mean() < 1.05
    correlations = white.T.corrcoef() - torch.eye(4)
    assert correlations.abs().amax() < 4 / math.sqrt(count)
    rest = (
        drawn.image
        - MEAN
        - (PRIOR.coordinates(drawn.image) @ PRIOR.patterns.T).view_as(drawn.image)
    )
    assert rest.abs().amax() < 1e-12, "nothing but images is left"


@pytest.mark.parametrize("schedule", [Schedule(), Schedule(h0=0.3, beta=0.5)])
def test_variances_follow_the_recursion_of_the_algorithm(schedule: Schedule) -> None:
    drawn = draw(300, schedule)
    spread = torch.full((300, 4), schedule.sigma0**2, dtype=torch.float64)
    for t, sigma in enumerate(drawn.sigmas.double(), 1):
        noise = sigma[:, None] ** 2
        h, gain = schedule.step_size(t), schedule.noise_gain(t)
        shrunk = (1 - h * noise / (PRIOR.variances + noise)) ** 2
        spread = torch.where(noise.isnan(), spread, spread * shrunk + gain**2 * noise)
    noise = torch.full_like(spread, schedule.sigma_end**2)
    expected = (spread * (PRIOR.variances / (PRIOR.variances + noise)) ** 2).mean(0)
    ratio = PRIOR.coordinates(drawn.image).var(0) / expected
    assert abs(float(ratio.mean()) - 1) < 0.12
    assert ((ratio - 1).abs() < 0.35).all()


def test_noise_falls_as_published() -> None:
    # The residual of a denoiser that knows that all is zero is the whole noise.
    schedule, count = Schedule(), 32
    drawn = ascend(nothing, zeros(count), schedule, generators=spawn(seeded(), count))
    shrinking = [1 - schedule.beta * schedule.step_size(t) for t in range(1, 200)]
    sigma = torch.tensor([1.0, *shrinking]).cumprod(0)
    steps = int((sigma > schedule.sigma_end).sum()) + 1
    assert abs(steps - 131) < 5, "about as many as the authors' code takes"
    assert abs(float(drawn.steps.double().mean()) - steps) < 2
    first = int(drawn.steps.min())
    ratio = drawn.sigmas[:first] / sigma[:first, None]
    # Noise that is put back is random: over all steps the level of one image wanders by 10 %.
    assert ratio.log().mean(1).abs().amax() < 0.06
    assert ratio[0].log().abs().amax() < 4 / math.sqrt(2 * 64 * 64)
    assert drawn.image.abs().amax() == 0


def test_without_new_noise_it_is_a_straight_way_down() -> None:
    schedule = Schedule(h0=0.2, beta=1, steps="fixed")
    assert schedule.noise_gain(3) == 0
    drawn = ascend(nothing, zeros(1), schedule, generators=[seeded()])
    ratio = drawn.sigmas[1:, 0] / drawn.sigmas[:-1, 0]
    assert torch.allclose(ratio, torch.full_like(ratio, 0.8), atol=1e-5)


def test_each_image_is_drawn_by_itself() -> None:
    together = draw(5, Schedule())
    generators = spawn(seeded(1), 5)
    assert together.steps.unique().numel() > 1, "they stop one by one"
    for i, generator in enumerate(generators):
        start = torch.full((1, *PRIOR.shape), MEAN, dtype=torch.float64)
        alone = ascend(PRIOR.denoise, start, Schedule(), generators=[generator])
        assert torch.allclose(alone.image[0], together.image[i], atol=1e-9)
        steps = int(alone.steps)
        assert together.steps[i] == steps
        assert torch.allclose(alone.sigmas[:, 0], together.sigmas[:steps, i], atol=1e-9)
        assert together.sigmas[steps:, i].isnan().all()


def test_seeds_repeat_and_differ() -> None:
    first, same, other = (draw(2, Schedule(h0=0.5), seed) for seed in (1, 1, 2))
    assert torch.equal(first.image, same.image)
    assert torch.equal(first.sigmas.nan_to_num(), same.sigmas.nan_to_num())
    assert (first.image - other.image).abs().amax() > 0.01
    assert (first.image[0] - first.image[1]).abs().amax() > 0.01


def test_generators_come_one_by_one_or_together() -> None:
    generator = seeded(7)
    one_by_one = [spawn(generator, 1)[0] for _ in range(3)]
    together = spawn(seeded(7), 3)
    assert [g.initial_seed() for g in one_by_one] == [g.initial_seed() for g in together]
    assert len({g.initial_seed() for g in together}) == 3


@dataclass(frozen=True)
class Known:
    """The denoiser of images of which only one is possible."""

    x: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        return self.x.expand_as(y)


def test_what_the_denoiser_closes_over_belongs_to_its_image() -> None:
    known = torch.tensor([0.2, 0.9]).view(2, 1, 1, 1)
    drawn = ascend(Known(known), zeros(2), generators=spawn(seeded(), 2))
    assert torch.equal(drawn.image, known.expand(2, 1, 64, 64))


def test_any_state_and_dtype() -> None:
    for shape in [(7,), (3, 5), (2, 3, 4, 5)]:
        for dtype in (torch.float32, torch.float64):
            drawn = ascend(nothing, zeros(2, *shape).to(dtype), generators=spawn(seeded(), 2))
            assert drawn.image.shape == (2, *shape)
            assert drawn.image.dtype == drawn.sigmas.dtype == dtype


def test_callback_sees_every_step() -> None:
    seen: list[Iteration] = []
    generators = spawn(seeded(), 3)
    drawn = ascend(nothing, zeros(3), Schedule(), generators=generators, callback=seen.append)
    assert [one.number for one in seen] == list(range(1, int(drawn.steps.max()) + 1))
    assert torch.equal(torch.stack([one.moving for one in seen]).sum(0), drawn.steps)
    traced = torch.stack([one.sigma for one in seen])
    assert torch.equal(traced.nan_to_num(), drawn.sigmas.nan_to_num())
    for before, after in itertools.pairwise(seen):
        moved = (after.y != before.y).flatten(1).any(1)
        assert torch.equal(moved, after.moving)


def test_the_published_rule_waits_for_contrast() -> None:
    # Of a single possible image of contrast c, it stops when the noise is c sigma_end.
    pattern = torch.randn(1, 64, 64, generator=seeded(3))
    for contrast in (0.2, 1.0):
        known = Known(contrast * pattern[None] / pattern.std())
        for rule, wanted in (("noise", 0.05), ("snr", 0.05 * contrast)):
            schedule = Schedule(sigma_end=0.05, rule=rule)  # type: ignore[arg-type]
            drawn = ascend(known, zeros(1), schedule, generators=[seeded()])
            assert drawn.stopped == ("converged",)
            assert drawn.sigmas[-1, 0] <= 1.01 * wanted < 1.1 * drawn.sigmas[-2, 0]


def stops_with(denoise: Callable[[Tensor], Tensor], schedule: Schedule | None = None) -> Ascent:
    return ascend(denoise, zeros(1), schedule, generators=[seeded()])


def test_stops_when_steps_run_out() -> None:
    drawn = stops_with(nothing, Schedule(max_steps=7))
    assert drawn.stopped == ("max_steps",)
    assert drawn.steps.tolist() == [7]
    assert len(drawn.sigmas) == 7


def test_few_values_do_not_diverge_by_chance() -> None:
    """What is measured of 3 values is often more than 1.5 times the noise that there is."""
    start = torch.zeros(2000, 3)
    schedule = Schedule(max_steps=1)
    drawn = ascend(lambda y: 0 * y, start, schedule, generators=[seeded(n) for n in range(2000)])
    measured = drawn.sigmas[0]
    assert int((measured > 1.5).sum()) > 50
    assert drawn.stopped.count("diverged") < 5


def test_stops_when_the_noise_grows() -> None:
    drawn = stops_with(lambda y: -3 * y)
    assert drawn.stopped == ("diverged",)
    assert drawn.image.isfinite().all()


def test_stops_at_values_that_are_not_finite_and_others_go_on() -> None:
    calls = 0

    def breaks(y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        x = torch.zeros_like(y)
        if calls > 4:
            x[1, 0, 3, 3] = torch.nan
        return x

    drawn = ascend(breaks, zeros(3), Schedule(), generators=spawn(seeded(), 3))
    assert drawn.stopped == ("converged", "not_finite", "converged")
    assert drawn.steps[1] == 4
    assert drawn.image.isfinite().all()
    alone = ascend(nothing, zeros(3), Schedule(max_steps=4), generators=spawn(seeded(), 3))
    assert torch.equal(alone.sigmas[:4, 1], drawn.sigmas[:4, 1])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"h0": 0}, "h0 must lie in"),
        ({"h0": 1.5}, "h0 must lie in"),
        ({"beta": 0}, "beta must lie in"),
        ({"beta": math.nan}, "beta must lie in"),
        ({"sigma_end": 2}, "0 < sigma_end < sigma0"),
        ({"sigma_end": 0}, "0 < sigma_end < sigma0"),
        ({"sigma0": math.nan}, "0 < sigma_end < sigma0"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"steps": "falling"}, "got 'falling'"),
        ({"rule": "never"}, "and 'never'"),
    ],
)
def test_schedules_out_of_range_are_refused(fields: dict[str, float], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Schedule(**fields)  # type: ignore[arg-type]


def test_wrong_use_is_refused() -> None:
    one = [seeded()]
    with pytest.raises(ValueError, match="not finite"):
        ascend(nothing, torch.full((1, 1, 4, 4), torch.nan), generators=one)
    with pytest.raises(ValueError, match=r"torch\.int64"):
        ascend(nothing, torch.zeros(1, 1, 4, 4, dtype=torch.int64), generators=one)
    with pytest.raises(ValueError, match="2 images need as many generators, got 1"):
        ascend(nothing, zeros(2), generators=one)
    with pytest.raises(ValueError, match=r"made \(1, 1, 32, 32\) of a state of \(1, 1, 64, 64\)"):
        ascend(lambda y: y[..., ::2, ::2], zeros(1), generators=one)
