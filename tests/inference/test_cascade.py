"""Details are drawn given the low-pass image, scale by scale, as Algorithm 2 has it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from imprior.inference.ascent import Ascent, Iteration, spawn
from imprior.inference.cascade import Cascade, Scale, cascade
from imprior.inference.posterior import draw_samples
from imprior.inference.schedule import Schedule, Stop
from tests.inference.gaussian import seeded

QUICK = Schedule(h0=0.2, beta=0.5)


def predicted(low: Tensor) -> Tensor:
    """Details that are a function of the low-pass image alone."""
    return torch.cat([0.1 * low, 0.2 * low.flip(-1), low.square()], 1)


def point(low: Tensor, noisy: Tensor) -> Tensor:
    return predicted(low) + 0 * noisy


def synthesize(low: Tensor, details: Tensor) -> Tensor:
    """Four phases side by side; invertible, but not a wavelet transform."""
    phases = torch.stack([low, *details.chunk(3, 1)], 2).flatten(1, 2)
    return torch.nn.functional.pixel_shuffle(phases, 2)


def drawn(low: Tensor, seed: int = 0, scales: int = 2) -> Cascade:
    generators = spawn(seeded(seed), len(low))
    return cascade(low, [Scale(point, QUICK)] * scales, synthesize, generators=generators)


def test_every_scale_is_given_the_one_before() -> None:
    low = torch.rand(3, 2, 6, 5, generator=seeded())
    result = drawn(low)
    finer = synthesize(low, predicted(low))
    finest = synthesize(finer, predicted(finer))
    assert [tuple(x.shape) for x in result.scales] == [(3, 2, 6, 5), (3, 2, 12, 10), (3, 2, 24, 20)]
    assert torch.equal(result.scales[0], low)
    assert torch.allclose(result.image, finest, atol=1e-6)
    assert result.image is result.scales[-1]
    assert result.stopped == ("converged",) * 3


def test_details_spread_as_their_conditional_prior_says() -> None:
    # Details are normal around the prediction, with a deviation that the low-pass image sets.
    low = torch.full((2, 1, 24, 24), 0.5, dtype=torch.float64)
    low[1] = 1
    # Only one band in three varies, so that most of the residual is noise.
    varies = torch.zeros(1, 3, 24, 24, dtype=torch.float64)
    varies[:, 0, ::3, ::3] = 1

    def wiener(low: Tensor, noisy: Tensor) -> Tensor:
        noise = (noisy * (1 - varies)).flatten(1).square().sum(1) / (1 - varies).sum()
        variance = varies * (0.3 * low) ** 2
        return noisy * variance / (variance + noise.view(-1, 1, 1, 1))

    schedule = Schedule(h0=0.1, steps="fixed")
    result = cascade(low, [Scale(wiener, schedule)], synthesize, generators=spawn(seeded(), 2))
    details = result.details[0].image[varies.expand(2, -1, -1, -1) > 0].view(2, -1)
    assert (details.std(1) / torch.tensor([0.15, 0.3]) - 1).abs().amax() < 0.3


def test_images_are_drawn_by_themselves() -> None:
    low = torch.rand(4, 1, 8, 8, generator=seeded())

    def draw(given: Tensor, generators: list[torch.Generator]) -> Cascade:
        noisy = Scale(lambda low, noisy: predicted(low) + 0.1 * noisy.sin(), QUICK)
        return cascade(given, [noisy, noisy], synthesize, generators=generators)

    one, two = (
        draw_samples(draw, low, 3, generator=seeded(), batch_size=size)  # type: ignore[arg-type]
        for size in (5, 12)
    )
    assert one.images.shape == (3, 4, 1, 32, 32)
    assert torch.allclose(one.images, two.images, atol=1e-6)


def test_callback_is_told_the_scale() -> None:
    seen: list[tuple[int, Iteration]] = []
    low = torch.rand(1, 1, 4, 4, generator=seeded())
    scales = [Scale(point, QUICK)] * 2
    generators = [seeded()]
    result = cascade(
        low, scales, synthesize, generators=generators, callback=lambda *told: seen.append(told)
    )
    steps = [int(ascent.steps) for ascent in result.details]
    assert [number for number, _ in seen] == [0] * steps[0] + [1] * steps[1]
    assert seen[-1][1].y.shape == (1, 3, 8, 8)


def test_the_worst_end_is_told() -> None:
    ends: list[tuple[Stop, ...]] = [("converged",) * 3, ("converged", "max_steps", "converged")]
    ends.append(("converged", "diverged", "not_finite"))
    details = tuple(Ascent(torch.empty(0), torch.empty(0), torch.empty(0), one) for one in ends)
    result = replace(drawn(torch.rand(3, 1, 4, 4)), details=details)
    assert result.stopped == ("converged", "max_steps", "not_finite")


def test_wrong_use_is_refused() -> None:
    low = torch.rand(1, 1, 4, 4)
    with pytest.raises(ValueError, match="needs scales"):
        cascade(low, [], synthesize, generators=[seeded()])
    with pytest.raises(ValueError, match=r"low-pass images \(B, C, h, w\)"):
        cascade(low[0], [Scale(point)], synthesize, generators=[seeded()])
    with pytest.raises(ValueError, match="as many generators"):
        cascade(low, [Scale(point)], synthesize, generators=[])
