"""Clamped sampling keeps what is known, follows the model elsewhere; slow scoring is the score."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from imprior.base import Step
from imprior.inference.walk import draw, score
from tests.toys import Toy, ToyConfig


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, bits: int = 8) -> torch.Tensor:
    return torch.randint(2**bits, shape, generator=seeded(9))


def test_nothing_known_is_a_sample() -> None:
    model = Toy(ToyConfig(channels=2))
    known = torch.zeros(3, 4, 5, dtype=torch.bool)
    # What is not known may even be no value at all.
    drawn = draw(model, torch.full((3, 2, 4, 5), -7), known, generator=seeded())
    assert torch.equal(drawn, model.sample((3, 4, 5), generator=seeded()))


def test_known_pixels_come_back_and_others_are_drawn() -> None:
    model = Toy(ToyConfig(channels=3))
    x = noise(2, 3, 16, 16)
    known = torch.rand(2, 16, 16, generator=seeded()) < 0.5
    drawn = draw(model, x, known, generator=seeded())
    model.check(drawn)
    keep = known[:, None].expand_as(x)
    assert torch.equal(drawn[keep], x[keep])
    assert (drawn[~keep] != x[~keep]).double().mean() > 0.9
    other = draw(model, torch.where(keep, x, 255 - x), known, generator=seeded())
    assert torch.equal(other, drawn), "a draw must not look at unknown values"


def test_everything_known_changes_nothing() -> None:
    x = noise(1, 1, 6, 5)
    known = torch.ones(1, 6, 5, dtype=torch.bool)
    assert torch.equal(draw(Toy(ToyConfig()), x, known, generator=seeded()), x)


def test_nobody_walks_on_after_the_last_unknown_value(monkeypatch: pytest.MonkeyPatch) -> None:
    model, steps = Toy(ToyConfig()), 0
    walk = model.conditionals

    def counted(canvas: torch.Tensor) -> Iterator[Step]:
        nonlocal steps
        for step in walk(canvas):
            steps += 1
            yield step

    monkeypatch.setattr(model, "conditionals", counted)
    known = torch.ones(2, 5, 9, dtype=torch.bool)
    known[1, 3, 2] = False
    draw(model, noise(2, 1, 5, 9), known, generator=seeded())
    assert steps == 3, "this model walks column by column"


def test_drawn_after_known_has_the_conditional_distribution() -> None:
    """The right pixel of 1 x 2, given the left one, as often as p(left, right) / p(left) says."""
    model = Toy(ToyConfig(bits=2))
    num, left = 20000, 3
    x = torch.full((num, 1, 1, 2), left)
    known = torch.tensor([True, False]).expand(num, 1, 2)
    right = draw(model, x, known, generator=seeded())[:, 0, 0, 1]
    pairs = torch.stack([torch.full((4,), left), torch.arange(4)], 1).view(4, 1, 1, 2)
    expected = torch.softmax(model.log_prob(pairs), 0)
    actual = torch.bincount(right, minlength=4) / num
    error = (expected * (1 - expected) / num).sqrt()
    assert bool(((actual - expected).abs() < 4 * error).all())


def test_cold_draws_are_likelier() -> None:
    model = Toy(ToyConfig())
    blank, known = torch.zeros(4, 1, 12, 12).long(), torch.zeros(4, 12, 12, dtype=torch.bool)
    coldest, cold, warm = (
        model.log_prob(draw(model, blank, known, generator=seeded(), temperature=t))
        for t in (0.0, 0.3, 1.0)
    )
    assert bool((coldest > cold).all()) and bool((cold > warm).all())


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 5)])
def test_score_is_the_parallel_score(shape: tuple[int, int, int, int]) -> None:
    model, x = Toy(ToyConfig(channels=shape[1])), noise(*shape)
    with torch.no_grad():
        torch.testing.assert_close(score(model, x), model.log_prob_map(x), rtol=0, atol=1e-9)


def test_wrong_input_is_refused() -> None:
    model, x = Toy(ToyConfig(channels=2)), noise(1, 2, 3, 4)
    for known in (torch.ones(1, 2, 3, 4).bool(), torch.ones(1, 3, 4)):
        with pytest.raises(ValueError, match=r"known must be a bool tensor of shape \(1, 3, 4\)"):
            draw(model, x, known, generator=seeded())
    with pytest.raises(ValueError, match="temperature"):
        draw(model, x, torch.zeros(1, 3, 4).bool(), generator=seeded(), temperature=-1.0)
    with pytest.raises(ValueError, match="takes images"):
        score(model, x[:, :1])
