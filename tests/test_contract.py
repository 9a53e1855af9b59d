"""What every exact model promises: each `-tiny` preset of `imprior.presets` keeps all of this.

Parameters are moved away from where a new model starts, so that none of them is without effect.
Golden bytes are in `tests/codec`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from imprior import checkpoint
from imprior.base import ExactModel
from imprior.codec import compress, decompress
from imprior.models import MODELS
from imprior.presets import PRESETS
from imprior.provenance import PROVENANCE

CLASSES = {model.config_class: model for model in MODELS}
CONFIGS = {
    name: preset.config
    for name, preset in PRESETS.items()
    if name.endswith("-tiny") and issubclass(CLASSES[type(preset.config)], ExactModel)
}
# Name of a preset and number of channels. Models of one channel must also hold for two.
Case = tuple[str, int]
CASES: list[Case] = [(name, config.channels) for name, config in CONFIGS.items()]
CASES += [(name, 2) for name, channels in CASES if channels == 1]
# Spaces of at most 2^12 images: a case with bits, height and width.
SPACES = [
    (case, bits, height, width)
    for case in CASES
    for bits, height, width in [(2, 2, 3), (1, 2, 3), (2, 1, 3), (1, 2, 2), (2, 1, 2)]
    if case[1] * bits * height * width <= 12
]
TOLERANCE = 1e-6  # nats; models are in double precision, a walk's states may be in single

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def build(case: Case, **fields: int) -> ExactModel:
    """A preset's model with random parameters, and another bit depth if asked to."""
    name, channels = case
    config = replace(CONFIGS[name], channels=channels, **fields)
    torch.manual_seed(1)
    model = CLASSES[type(config)](config).double().eval()
    assert isinstance(model, ExactModel)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def num_values(model: ExactModel) -> int:
    assert model.bits is not None
    return int(2**model.bits)


def noise(model: ExactModel, batch: int, height: int, width: int, *, seed: int = 0) -> Tensor:
    """Images in which every value is as likely as any other."""
    size = (batch, model.channels, height, width)
    return torch.randint(num_values(model), size, generator=seeded(seed))


def every_image(model: ExactModel, height: int, width: int) -> Tensor:
    """All images of this size."""
    positions = model.channels * height * width
    images = list(itertools.product(range(num_values(model)), repeat=positions))
    return torch.tensor(images).view(-1, model.channels, height, width)


def copy_out(model: ExactModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Walks over garbage, writing `x` over it: log-mass and number of visits by position."""
    truth = model.to_canvas(x).view(-1)
    canvas = model.to_canvas(noise(model, len(x), x.shape[2], x.shape[3], seed=99))
    log_mass = torch.zeros(x.numel(), dtype=torch.float64)
    visits = torch.zeros(x.numel(), dtype=torch.int64)
    for step in model.conditionals(canvas):
        values = truth[step.where]
        log_mass[step.where] += step.pmfs.log_mass(values)
        visits += torch.bincount(step.where, minlength=x.numel())
        canvas.view(-1)[step.where] = values
    assert torch.equal(model.from_canvas(canvas), x)
    return log_mass.view(x.shape), visits.view(x.shape)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("case", "bits", "height", "width"), SPACES, ids=str)
def test_probabilities_sum_to_one(case: Case, bits: int, height: int, width: int) -> None:
    model = build(case, bits=bits)
    with torch.no_grad():
        total = model.log_prob(every_image(model, height, width)).logsumexp(0)
    assert abs(total.item()) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case[1] == 2], ids=str)
def test_probabilities_of_two_channels_sum_to_one(case: Case) -> None:
    """All 4^12 images of 2 channels, 2 bits and 2 x 3 pixels: 17 million."""
    model = build(case, bits=2)
    rest = every_image(model, 2, 2)
    with torch.no_grad():
        sums = [
            model.log_prob(torch.cat([column.expand(len(rest), 2, 2, 1), rest], dim=3)).logsumexp(0)
            for column in every_image(model, 2, 1)
        ]
    assert abs(torch.stack(sums).logsumexp(0).item()) < TOLERANCE


@each_case
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 6), (2, 6, 1), (3, 7, 5)])
def test_walk_is_the_parallel_pass(case: Case, shape: tuple[int, int, int]) -> None:
    model = build(case)
    x = noise(model, *shape)
    with torch.no_grad():
        log_mass, visits = copy_out(model, x)
        parallel, total = model.log_prob_map(x), model.log_prob(x)
    assert bool((visits == 1).all()), "the steps name every position exactly once"
    assert parallel.dtype == total.dtype == torch.float64
    assert_close(log_mass, parallel)
    assert_close(total, parallel.sum((1, 2, 3)))


@each_case
def test_samples_are_as_frequent_as_they_are_probable(case: Case) -> None:
    model = build(case, bits=2 if case[1] == 1 else 1)
    images = every_image(model, 1, 2)
    with torch.no_grad():
        drawn = model.sample((10_000, 1, 2), generator=seeded(3))
        expected = model.log_prob(images).exp() * len(drawn)
    matches = (drawn[:, None] == images).flatten(2).all(2)
    assert bool((matches.sum(1) == 1).all()), "every sample is one of the images"
    counts = matches.sum(0).double()
    often = expected >= 5  # what the chi-square distribution needs; the others count as one
    pairs = torch.stack([counts, expected])
    counts, expected = torch.cat([pairs[:, often], pairs[:, ~often].sum(1, keepdim=True)], dim=1)
    some = expected > 0
    assert chisquare(counts[some].numpy(), expected[some].numpy()).pvalue > 1e-3


@each_case
def test_sample_is_an_image_that_depends_on_the_generator_alone(case: Case) -> None:
    model = build(case)
    first, again, other = (model.sample((2, 6, 5), generator=seeded(seed)) for seed in (4, 4, 5))
    model.check(first)
    assert first.dtype == torch.int64 and first.shape == (2, model.channels, 6, 5)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@each_case
def test_image_does_not_see_the_rest_of_its_batch(case: Case) -> None:
    model = build(case)
    x = noise(model, 5, 6, 7)
    with torch.no_grad():
        alone = torch.cat([model.log_prob_map(image[None]) for image in x])
        assert_close(model.log_prob_map(x), alone)


@each_case
def test_compressed_image_comes_back_at_its_information(case: Case) -> None:
    model = build(case)
    likely = model.sample((1, 24, 21), generator=seeded(6))
    for x in (likely, noise(model, 1, 24, 21), noise(model, 1, 1, 1)):
        coded = compress(model, x)
        assert torch.equal(decompress(model, coded), x)
        information = -model.log_prob(x).item() / math.log(2) / 8
        assert abs(len(coded) - information) < 0.005 * information + 100


@each_case
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    model = build(case)
    model.log_prob(noise(model, 2, 6, 5)).sum().backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and bool(gradient.isfinite().all()), name
        assert bool(gradient.any()) or not gradient.numel(), name


@each_case
def test_saved_model_is_the_same_model(case: Case, tmp_path: Path) -> None:
    model = build(case)
    checkpoint.save(model, tmp_path / "model", dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path / "model")
    assert isinstance(loaded, type(model))
    assert loaded.config == model.config
    assert checkpoint.digest(loaded) == checkpoint.digest(model)
    x = noise(model, 2, 6, 5)
    with torch.no_grad():
        assert torch.equal(loaded.log_prob_map(x), model.log_prob_map(x))


@each_case
def test_refuses_what_it_cannot_take(case: Case) -> None:
    model = build(case)
    x = noise(model, 1, 3, 3)
    for wrong in (x.double(), x[0], x.repeat(1, 2, 1, 1), x - num_values(model), x + 99_999):
        with pytest.raises(ValueError, match="takes"):
            model.log_prob(wrong)
