"""What every exact model promises: each `-tiny` preset of `imprior.presets` keeps all of this.

Parameters are moved away from where a new model starts, so that none of them is without effect.
Golden bytes are in `tests/codec`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
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
from imprior.presets import PRESETS, build

CLASSES = {model.config_class: model for model in MODELS}
TINY = [
    name
    for name, preset in PRESETS.items()
    if name.endswith("-tiny") and issubclass(CLASSES[type(preset.config)], ExactModel)
]
TOLERANCE = 1e-9  # nats, in float64
Make = Callable[..., ExactModel]


@pytest.fixture(params=TINY)
def make(request: pytest.FixtureRequest) -> Make:
    """Builds a preset's model with some fields of its config changed."""

    def build_model(**fields: object) -> ExactModel:
        model = build(replace(PRESETS[request.param].config, **fields), seeded(1)).double().eval()
        assert isinstance(model, ExactModel)
        generator = seeded(2)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator).double()
        return model

    return build_model


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
    canvas = model.to_canvas(noise(model, len(x), *x.shape[2:], seed=99))
    log_mass = torch.zeros(x.numel(), dtype=torch.float64)
    visits = torch.zeros(x.numel(), dtype=torch.int64)
    for step in model.conditionals(canvas):
        values = truth[step.where]
        assert bool(((step.pmfs.low <= values) & (values <= step.pmfs.high)).all())
        log_mass[step.where] += step.pmfs.log_mass(values)
        visits += torch.bincount(step.where, minlength=x.numel())
        canvas.view(-1)[step.where] = values
    assert torch.equal(model.from_canvas(canvas), x)
    return log_mass.view(x.shape), visits.view(x.shape)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("channels", "bits", "height", "width"),
    [(1, 2, 2, 3), (2, 1, 2, 3), (2, 2, 2, 2), (2, 2, 1, 4)],
)
def test_probabilities_sum_to_one(
    make: Make, channels: int, bits: int, height: int, width: int
) -> None:
    model = make(channels=channels, bits=bits)
    with torch.no_grad():
        total = model.log_prob(every_image(model, height, width)).logsumexp(0)
    assert abs(total.item()) < TOLERANCE


@pytest.mark.slow
def test_probabilities_of_two_channels_sum_to_one(make: Make) -> None:
    """All 4^12 images of 2 bits, 2 channels and 2 x 3 pixels: 17 million."""
    model = make(channels=2, bits=2)
    rest = every_image(model, 2, 2)
    sums = []
    with torch.no_grad():
        for column in every_image(model, 2, 1):
            images = torch.cat([column.expand(len(rest), -1, -1, -1), rest], dim=3)
            sums.append(model.log_prob(images).logsumexp(0))
    assert abs(torch.stack(sums).logsumexp(0).item()) < TOLERANCE


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 6), (2, 6, 1), (3, 7, 5)])
def test_walk_is_the_parallel_pass(make: Make, channels: int, shape: tuple[int, int, int]) -> None:
    model = make(channels=channels)
    x = noise(model, *shape)
    with torch.no_grad():
        log_mass, visits = copy_out(model, x)
        parallel = model.log_prob_map(x)
        total = model.log_prob(x)
    assert bool((visits == 1).all())
    assert parallel.dtype == total.dtype == torch.float64
    assert_close(log_mass, parallel)
    assert_close(total, parallel.sum((1, 2, 3)))


@pytest.mark.parametrize(("channels", "width"), [(1, 2), (2, 1)])
def test_samples_are_as_frequent_as_they_are_probable(
    make: Make, channels: int, width: int
) -> None:
    model = make(channels=channels, bits=2)
    images = every_image(model, 1, width)
    with torch.no_grad():
        drawn = model.sample((8000, 1, width), generator=seeded(3))
        expected = len(drawn) * model.log_prob(images).exp()
    matches = (drawn[:, None] == images).flatten(2).all(2)
    assert bool((matches.sum(1) == 1).all())
    counts = matches.sum(0).double()
    rare = expected < 5
    if rare.any():  # the test wants 5 or more in each bin
        counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    assert (
        chisquare(counts.numpy(), expected.numpy() * (len(drawn) / expected.sum().item())).pvalue
        > 1e-3
    )


def test_sample_is_an_image_and_depends_on_the_generator_alone(make: Make) -> None:
    model = make()
    first, again, other = (model.sample((2, 6, 5), generator=seeded(seed)) for seed in (4, 4, 5))
    model.check(first)
    assert first.dtype == torch.int64 and first.shape == (2, model.channels, 6, 5)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_image_does_not_see_the_rest_of_its_batch(make: Make) -> None:
    model = make()
    x = noise(model, 5, 6, 7)
    with torch.no_grad():
        alone = torch.cat([model.log_prob_map(image[None]) for image in x])
        assert_close(model.log_prob_map(x), alone)


def test_compressed_image_comes_back_at_its_information(make: Make) -> None:
    model = make()
    likely = model.sample((1, 24, 21), generator=seeded(6))
    for x in (likely, noise(model, 1, 24, 21), noise(model, 1, 1, 1)):
        coded = compress(model, x)
        assert torch.equal(decompress(model, coded), x)
        information = -model.log_prob(x).item() / math.log(2) / 8
        assert abs(len(coded) - information) < 0.005 * information + 100


def test_every_parameter_gets_a_gradient(make: Make) -> None:
    model = make().requires_grad_()
    model.log_prob(noise(model, 2, 6, 5)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name


def test_saved_model_is_the_same_model(make: Make, tmp_path: Path) -> None:
    model = make()
    checkpoint.save(model, tmp_path / "model", dict.fromkeys(checkpoint.PROVENANCE))
    loaded = checkpoint.load(tmp_path / "model")
    assert isinstance(loaded, type(model))
    assert loaded.config == model.config
    assert checkpoint.digest(loaded) == checkpoint.digest(model)
    x = noise(model, 2, 6, 5)
    with torch.no_grad():
        assert torch.equal(loaded.log_prob_map(x), model.log_prob_map(x))


def test_refuses_what_it_cannot_take(make: Make) -> None:
    model = make()
    x = noise(model, 1, 3, 3)
    for wrong in (x.double(), x[0], torch.cat([x, x], dim=1), x - num_values(model), x + 99999):
        with pytest.raises(ValueError, match="takes"):
            model.log_prob(wrong)
