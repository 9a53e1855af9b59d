"""Fillings go where the hole is, whatever the method, and go on from where they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.base import LikelihoodModel
from imprior.data.formats.raster import Metadata
from imprior.data.images import Image
from imprior.inference.patches import Patches
from imprior.inference.symmetry import Ensemble
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.tasks.holes import hole_of_box
from imprior.tasks.inpaint import MARGIN, Filling, Inpainting, filled, inpaint
from tests.toys import Toy, ToyConfig

HOLE = hole_of_box("30,40,6,5", (100, 90))


def picture(channels: int = 1) -> Image:
    pixels = torch.randint(256, (channels, 100, 90), generator=torch.Generator().manual_seed(0))
    return Image(pixels, 8, Metadata(resolution=(72.0, 72.0)), path="x.png")


def mcgsm() -> MCGSM:
    """A small model with random weights."""
    model = MCGSM(MCGSMConfig(1, 8, 2, 2, 4, rows=1, columns=1)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


def last(model: LikelihoodModel, image: Image, filling: Filling, hole: Tensor = HOLE) -> Inpainting:
    *_, done = inpaint(model, image, hole, filling)
    return done


@pytest.mark.parametrize("method", ["gibbs", "map", "draw"])
def test_only_the_hole_changes(method: str) -> None:
    filling = Filling(method, None if method == "draw" else 3)  # type: ignore[arg-type]
    image = picture()
    before = image.pixels.clone()
    done = last(mcgsm(), image, filling)
    result = filled(image, HOLE, done.x)
    assert torch.equal(image.pixels, before)
    assert torch.equal(result.pixels[:, ~HOLE], before[:, ~HOLE])
    assert (result.pixels != before)[:, HOLE].double().mean() > 0.5
    assert (result.bits, result.metadata) == (8, image.metadata)
    assert len(done.acceptances) == (done.num_epochs if method == "gibbs" else 0)


def test_nothing_is_looked_at_but_what_is_near_and_known() -> None:
    """Neither what stands in the hole nor what is far from it makes a difference."""
    image, other = picture(), picture()
    other.pixels[:, HOLE] = 0
    other.pixels[:, : 40 - MARGIN], other.pixels[:, :, 36 + MARGIN :] = 7, 7
    near = picture()
    near.pixels[:, 40 - 1, 20:45] = 0
    done = [last(Toy(ToyConfig()), x, Filling(epochs=2)).x for x in (image, other, near)]
    assert torch.equal(done[0], done[1]) and not torch.equal(done[0], done[2])


@pytest.mark.parametrize("filling", [Filling(epochs=4, flip="both"), Filling("map", 4)], ids=str)
def test_filling_goes_on_as_if_nothing_had_been(filling: Filling) -> None:
    model, image = mcgsm(), picture()
    states = list(inpaint(model, image, HOLE, filling, seed=3, index=1))
    resumed = list(inpaint(model, image, HOLE, filling, seed=3, index=1, going_on=states[2]))
    assert len(states) == 5 and len(resumed) == 3
    assert torch.equal(resumed[-1].x, states[-1].x)
    assert torch.equal(resumed[-1].best, states[-1].best)
    assert resumed[-1].log_probs == states[-1].log_probs
    assert resumed[-1].acceptances == states[-1].acceptances


def test_best_is_the_most_probable_state() -> None:
    model, image = Toy(ToyConfig()), picture()
    states = list(inpaint(model, image, HOLE, Filling(epochs=8)))
    with torch.no_grad():
        log_probs = [float(model.log_prob(state.x[None])) for state in states]
    assert states[-1].log_probs == tuple(log_probs)
    assert torch.equal(states[-1].best, states[log_probs.index(max(log_probs))].x)
    assert states[-1].best_log_prob == max(log_probs)


def test_fillings_differ_by_index_and_seed_alone() -> None:
    model, image = Toy(ToyConfig()), picture()

    def fill(seed: int, index: int) -> Tensor:
        *_, done = inpaint(model, image, HOLE, Filling(epochs=1), seed=seed, index=index)
        return done.x

    assert torch.equal(fill(0, 1), fill(0, 1))
    assert not torch.equal(fill(0, 1), fill(0, 0)) and not torch.equal(fill(0, 1), fill(1, 1))


@pytest.mark.parametrize("size", [(1, 2), (3, 2), (2, 9)])
def test_image_smaller_than_any_patch(size: tuple[int, int]) -> None:
    image = Image(torch.randint(256, (1, *size)), 8)
    hole = torch.zeros(size, dtype=torch.bool)
    hole[-1, -1] = True
    for filling in (Filling(epochs=2), Filling("map", 2), Filling("draw")):
        done = last(mcgsm(), image, filling, hole)
        assert torch.equal(done.x[:, ~hole], image.pixels[:, ~hole])


def test_model_that_only_scores_fills_as_well() -> None:
    patches = Patches(outer=5, inner=1, stride=1, context=0)
    done = last(Ensemble(Toy(ToyConfig())), picture(), Filling(epochs=6, patches=patches))
    assert max(done.acceptances) > 0 and len(set(done.log_probs)) > 3


def test_methods_ask_for_what_they_need() -> None:
    image, toy = picture(), Toy(ToyConfig())
    with pytest.raises(ValueError, match="method 'draw' needs a model that is a ExactModel; Ens"):
        last(Ensemble(toy), image, Filling("draw"))
    with pytest.raises(ValueError, match="method 'map' needs a model that is a Differentiable"):
        last(toy, image, Filling("map"))
    with pytest.raises(ValueError, match="needs an image of 3 channels and 8 bits, got 1 and 8"):
        last(Toy(ToyConfig(channels=3)), image, Filling())
    for hole in (~HOLE | HOLE, HOLE & ~HOLE, HOLE[:-1]):
        with pytest.raises(ValueError, match="true here and there"):
            last(toy, image, Filling(), hole)


@pytest.mark.parametrize(
    "values",
    [
        {"method": "magic"},
        {"flip": "upside down"},
        {"epochs": -1},
        {"candidates": 0},
        {"method": "draw", "epochs": 5},
    ],
)
def test_wrong_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="got"):
        Filling(**values)  # type: ignore[arg-type]
