"""An ensemble is one distribution, the same for every view of an image, of any kind of model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from imprior.base import ExactModel, LikelihoodModel, Sampler
from imprior.data.loading import symmetry
from imprior.inference.symmetry import Ensemble, log_mean_exp, members
from tests.models.mcgsms import assert_close, every_image, noise, toy
from tests.toys import Toy, ToyConfig


@pytest.mark.parametrize("symmetries", [tuple(range(8)), (0,), (1, 6)])
@pytest.mark.parametrize(
    ("fields", "height", "width"),
    [
        ({"bits": 2}, 2, 2),
        ({"bits": 2}, 2, 3),
        ({"bits": 1, "channels": 3, "colour": "ycocg"}, 2, 2),
    ],
)
def test_all_images_have_probability_one(
    fields: dict[str, Any], height: int, width: int, symmetries: tuple[int, ...]
) -> None:
    model = toy(**fields)
    with torch.no_grad():
        log_prob = Ensemble(model, symmetries).log_prob(every_image(model, height, width))
    assert log_prob.dtype == torch.float64
    assert abs(log_prob.logsumexp(0).item()) < 1e-9


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (1, 5)])
def test_all_views_of_an_image_are_as_probable(shape: tuple[int, int]) -> None:
    model = toy(channels=2)
    x = noise(model, 2, *shape)
    ensemble = Ensemble(model)
    with torch.no_grad():
        seen, alone = (
            torch.stack([one.log_prob(symmetry(x, k)) for k in range(8)])
            for one in (ensemble, model)
        )
    assert_close(seen, seen[:1].expand_as(seen))
    assert (alone[0] - alone[1:]).abs().amax() > 0.1, "the model itself prefers some views"


def test_it_is_the_mean_of_the_probabilities() -> None:
    model = toy(bits=2)
    x = noise(model, 5, 3, 4)
    with torch.no_grad():
        probable = [model.log_prob(symmetry(x, k)).exp() for k in range(8)]
        assert_close(Ensemble(model).log_prob(x), torch.stack(probable).mean(0).log())
        few = torch.stack([probable[k] for k in (0, 3)]).mean(0).log()
        assert_close(Ensemble(model, (0, 3)).log_prob(x), few)


def test_probabilities_far_below_the_smallest_float() -> None:
    x = torch.tensor([[-90_000.0, -9.0], [-90_001.0, -8.0]], dtype=torch.float64)
    mean = math.log((1 + math.exp(-1)) / 2)
    assert_close(log_mean_exp(x), torch.tensor([-90_000 + mean, -8 + mean], dtype=torch.float64))


def test_image_does_not_see_the_rest_of_its_batch() -> None:
    model = toy()
    x = noise(model, 3, 4, 5)
    ensemble = Ensemble(model)
    with torch.no_grad():
        alone = torch.cat([ensemble.log_prob(image[None]) for image in x])
        assert_close(ensemble.log_prob(x), alone)
        dims = x[0].numel() * math.log(2)
        assert_close(ensemble.bits_per_dim(x), -alone / dims)


def test_gradients_go_through() -> None:
    model = toy()
    x = noise(model, 2, 3, 3)
    Ensemble(model).log_prob(x).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.numel())


@dataclass(frozen=True)
class ScaleConfig:
    channels: int = 1


class Slope(LikelihoodModel):
    """Continuous values; those on the right count more."""

    config_class = ScaleConfig

    def __init__(self, likelihood: Literal["density", "bound"]) -> None:
        super().__init__(ScaleConfig())
        self.likelihood = likelihood  # type: ignore[misc]

    def log_prob(self, x: Tensor) -> Tensor:
        return (x * torch.arange(x.shape[-1], dtype=x.dtype)).flatten(1).sum(1)


def test_result_says_which_kind_it_is() -> None:
    kinds: list[Literal["density", "bound"]] = ["density", "bound"]
    for kind in kinds:
        ensemble = Ensemble(Slope(kind))
        assert ensemble.likelihood == kind and ensemble.bits is None and ensemble.channels == 1
        x = torch.rand(2, 1, 3, 4).double()
        views = [Slope("bound").log_prob(symmetry(x, k)) for k in range(8)]
        assert_close(ensemble.log_prob(x), log_mean_exp(torch.stack(views)))
    exact = Ensemble(Toy(ToyConfig(channels=3, bits=5)))
    assert (exact.likelihood, exact.channels, exact.bits) == ("mass", 3, 5)
    assert not isinstance(exact, ExactModel | Sampler)  # it can not be walked


def test_members_are_asked_one_at_a_time_about_whole_images() -> None:
    asked = []

    def log_prob(x: Tensor) -> Tensor:
        assert x.is_contiguous()
        asked.append(tuple(x.shape))
        return x.flatten(1)[:, 0]

    x = torch.arange(12).view(1, 1, 3, 4)
    corners = members(log_prob, x).flatten().tolist()
    assert asked == [(1, 1, 3, 4)] * 4 + [(1, 1, 4, 3)] * 4
    assert corners == [0, 3, 8, 11] * 2


@pytest.mark.parametrize("symmetries", [(), (0, 0), (8,), (-1, 2)])
def test_impossible_symmetries_are_refused(symmetries: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="symmetries must be different numbers 0 to 7, got"):
        Ensemble(toy(), symmetries)
