"""Models get the method that they can, and others are told which to take."""

from __future__ import annotations

import pytest
import torch

from imprior.models.baselines.gmm import GMM, GMMConfig
from imprior.tasks.inpaint import Filling
from imprior.tasks.inpaint_ascent import Ascending
from imprior.tasks.inpaint_choice import METHODS, choose
from tests.models.local import small
from tests.toys import Toy, ToyConfig


def test_default_follows_the_ability() -> None:
    assert choose(Toy(ToyConfig())) == Filling("gibbs")
    assert choose(Toy(ToyConfig()), "map", epochs=3) == Filling("map", 3)
    for model in (small.flat(), small.local()):
        assert choose(model) == choose(model, "ascent") == Ascending()
    assert METHODS == ("gibbs", "map", "draw", "ascent")


@pytest.mark.parametrize("method", ["gibbs", "map", "draw"])
def test_denoisers_are_told_to_ascend(method: str) -> None:
    with pytest.raises(ValueError, match=f"'{method}' needs a model that tells .* take ascent"):
        choose(small.flat(), method)


def test_others_are_told_what_they_can() -> None:
    with pytest.raises(ValueError, match="needs a denoiser; for Toy take gibbs, map, draw"):
        choose(Toy(ToyConfig()), "ascent")
    with pytest.raises(ValueError, match="method is one of gibbs, map, draw"):
        choose(Toy(ToyConfig()), "magic")
    for options in ({"epochs": 5}, {"flip": "both"}):
        with pytest.raises(ValueError, match="an ascent has no epochs and no flips"):
            choose(small.flat(), **options)


def test_walks_are_not_for_other_devices() -> None:
    model = GMM(GMMConfig(num_components=1)).to(torch.device("meta"))
    with pytest.raises(ValueError, match="'gibbs' computes on the CPU, not on meta"):
        choose(model)
