"""A PixelPyramid's masses, of images of any size, and its walk.

What every exact model promises is tested in tests/test_contract.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.stats import chisquare

from imprior.inference.walk import score
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.level import PyramidLevel
from imprior.models.pyramids.model import PixelPyramid
from tests.models.pyramids.small import FEW, SMALL, assert_close, every_image, images, make

# -- masses


@pytest.mark.parametrize(
    ("config", "channels", "bits", "height", "width"),
    [
        pytest.param(SMALL, 1, 1, 3, 4, id="twelve pixels"),
        pytest.param(SMALL, 3, 1, 1, 3, id="colours in a row"),
        pytest.param(SMALL, 4, 1, 3, 1, id="four channels in a column"),
        pytest.param(SMALL, 2, 3, 2, 1, id="three bits of two channels"),
        pytest.param(SMALL, 1, 10, 1, 1, id="one pixel"),
        pytest.param(FEW, 1, 1, 5, 2, id="published networks"),
        pytest.param(replace(FEW, fine="difference"), 1, 2, 5, 1, id="differences"),
        pytest.param(replace(SMALL, coarsest=1, tile=2), 1, 1, 3, 3, id="tiles"),
    ],
)
@torch.no_grad()
def test_probabilities_sum_to_one(
    config: PixelPyramidConfig, channels: int, bits: int, height: int, width: int
) -> None:
    model = make(config, channels=channels, bits=bits)
    total = model.log_prob(every_image(model, height, width)).logsumexp(0)
    assert abs(total.item()) < 1e-8


@pytest.mark.parametrize("fine", ["pixel", "difference"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (11, 1), (5, 6), (3, 17), (16, 16)])
@torch.no_grad()
def test_images_of_any_size_are_walked_as_they_are_evaluated(
    fine: str, size: tuple[int, int]
) -> None:
    for config in (SMALL, FEW):
        model = make(config, channels=2, bits=4, fine=fine)
        x = images(model, *size)
        assert_close(score(model, x), model.log_prob_map(x))
        canvas = model.to_canvas(x)
        assert (fine == "pixel" or size == (1, 1)) == torch.equal(canvas, x)
        assert torch.equal(model.from_canvas(canvas), x)


@pytest.mark.parametrize("bits", [1, 16])
@pytest.mark.parametrize("fine", ["pixel", "difference"])
@torch.no_grad()
def test_depths_at_both_ends(bits: int, fine: str) -> None:
    model = make(bits=bits, channels=3, fine=fine)
    x = images(model, 6, 5)
    x[0, :, 0] = 2**bits - 1
    masses = model.log_prob_map(x)
    assert masses.isfinite().all()
    assert_close(score(model, x), masses)
    drawn = model.sample((1, 6, 5), generator=torch.Generator().manual_seed(1))
    model.check(drawn)


@torch.no_grad()
def test_parts_have_shares_of_the_whole() -> None:
    for config, size, names in (
        (SMALL, (12, 9), 6),
        (FEW, (12, 9), 4),
        (FEW, (2, 1), 0),
        (replace(SMALL, tile=8), (12, 9), 4),
    ):
        model = make(config)
        x = images(model, *size)
        shares = model.level_log_probs(x)
        assert list(shares) == [*(f"level-{n + 1}" for n in range(names)), "coarsest"]
        assert {value.shape for value in shares.values()} == {(2,)}
        assert_close(torch.stack(list(shares.values())).sum(0), model.log_prob(x))


@torch.no_grad()
def test_share_of_a_part_is_what_its_training_lowers() -> None:
    model = make(FEW)
    x = images(model, 16, 16) // 5 + 90
    shares = model.level_log_probs(x)
    for name, part, view, _ in model.parts():
        loss = part.loss(view(x))  # type: ignore[operator]
        count = view(x).numel() // (1 if name == "coarsest" else 2)
        assert float(loss) == pytest.approx(-float(shares[name].sum()) / count, rel=1e-3), name


@torch.no_grad()
def test_nothing_depends_on_the_batch_or_on_the_mode() -> None:
    model = make(FEW, coarse_dropout=0.5)
    x = images(model, 9, 14, batch=3)
    together = model.train().log_prob_map(x)
    apart = torch.cat([model.eval().log_prob_map(image[None]) for image in x])
    assert_close(together, apart)


@torch.no_grad()
def test_samples_are_as_frequent_as_they_are_probable() -> None:
    model = make(bits=1)
    every = every_image(model, 3, 3)
    drawn = model.sample((10_000, 3, 3), generator=torch.Generator().manual_seed(2))
    places = 2 ** torch.arange(8, -1, -1)
    counts = torch.bincount((drawn.flatten(1) * places).sum(1), minlength=512).double()
    expected = len(drawn) * model.log_prob(every).exp()
    often = expected >= 5
    both = torch.stack([counts, expected])
    observed, predicted = torch.cat([both[:, often], both[:, ~often].sum(1, keepdim=True)], 1)
    some = predicted > 0
    assert often.sum() > 20
    assert chisquare(observed[some].numpy(), predicted[some].numpy()).pvalue > 1e-3


# -- the walk


def calls_of(model: PixelPyramid, side: int) -> tuple[Counter[str], int]:
    """How often a walk calls the networks of each level, and how many steps it has."""
    calls: Counter[str] = Counter()
    hooks = []
    for number, level in enumerate(model.levels):
        assert isinstance(level, PyramidLevel)
        for name in ("context", "output"):

            def count(*_: Any, name: str = f"{name} {number}") -> None:
                calls[name] += 1

            hooks.append(getattr(level, name).register_forward_hook(count))
    steps = sum(1 for _ in model.conditionals(torch.zeros(1, model.channels, side, side).long()))
    for hook in hooks:
        hook.remove()
    return calls, steps


def test_walk_calls_networks_once_a_part() -> None:
    calls, steps = calls_of(make(FEW, channels=2), 32)
    assert calls == {f"context {number}": 1 for number in range(4)} | {
        f"output {number}": level.squeeze**2 for number, level in enumerate(FEW.levels)
    }
    assert steps == 2 * (sum(level.squeeze**2 for level in FEW.levels) + 8 * 8)


def test_walk_grows_as_the_logarithm_of_the_side() -> None:
    found = [calls_of(make(), side) for side in (8, 16, 32, 64)]
    for number, (calls, steps) in enumerate(found):
        octaves = number + 2
        assert calls["context 0"] == calls["context 1"] == octaves
        assert calls["output 0"] == calls["output 1"] == 4 * octaves
        assert steps == 8 * octaves + 2 * 2


@pytest.mark.parametrize("tile", [9, 2])
def test_tiles_of_which_none_would_be_longer_than_the_side(tile: int) -> None:
    with pytest.raises(ValueError, match=f"tile must be even, at least 8, got {tile}"):
        replace(SMALL, coarsest=4, tile=tile)
