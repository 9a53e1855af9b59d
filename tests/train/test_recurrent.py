"""Training of a RIDE: stages, greedy layers, resuming, and what counts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.data.images import Image, write
from imprior.models.ride.colour import ColourRIDEConfig
from imprior.models.ride.mcgsm import MCGSMConfig
from imprior.models.ride.model import RIDE, RIDEConfig
from imprior.presets import PRESETS, ImageData, Preset
from imprior.train import recurrent
from imprior.train.config import FitConfig
from imprior.train.finetune import finetune, initialize_direct, initialize_heads, prepare
from imprior.train.parts import PartTrainings
from imprior.train.progress import Progress
from imprior.train.recurrent import (
    Objective,
    RecurrentStage,
    RecurrentTraining,
    fit_recurrent,
    patches,
)
from imprior.train.samples import Drawing
from imprior.train.shallow import ShallowTraining
from imprior.train.stages import Stage
from imprior.train.training import train
from tests.models.mcgsms import smooth
from tests.models.rides import make

CONFIG = RIDEConfig(
    num_units=4, num_components=2, num_scales=2, num_features=2, rows=1, columns=1, num_layers=2
)
FIT = FitConfig(
    6, 3, 0.01, gradient_clip=1.0, weight_average=0.9, validate_every=3, checkpoint_steps=1
)
STAGES = (
    RecurrentStage(1, 8, "density", FIT),
    RecurrentStage(2, 10, "mass", replace(FIT, steps=4), lbfgs_steps=2),
)
TRAINING = RecurrentTraining(STAGES, validation_size=12, validation_patches=4, sampled_patches=6)


class Stopped(BaseException):
    """Like Ctrl-C, which no `except Exception` catches."""


def pictures(count: int = 5, side: int = 20) -> list[Tensor]:
    return [smooth(8, 1, side, side)[0] for _ in range(count)]


def fitted(folder: Path, **options: Any) -> tuple[dict[str, Tensor], float]:
    torch.manual_seed(0)
    images = pictures()
    model, bits = fit_recurrent(CONFIG, (images[:3], images[3:]), TRAINING, folder, **options)
    assert len(model.layers) == 2
    return model.state_dict(), bits


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_training_goes_on_to_the_same_weights_from_any_stage(tmp_path: Path) -> None:
    whole, bits = fitted(tmp_path / "whole")
    for stop in (1, 2, 3, 4):
        seen: list[Progress] = []

        def tell(at: Progress, seen: list[Progress] = seen, stop: int = stop) -> None:
            seen.append(at)
            if len(seen) == stop:
                raise Stopped

        with pytest.raises(Stopped):
            fitted(tmp_path / "broken", progress=tell)
    again, again_bits = fitted(tmp_path / "broken")
    assert_same(again, whole)
    assert again_bits == bits
    # A complete run does nothing more.
    assert_same(fitted(tmp_path / "broken")[0], whole)


def test_new_layers_come_on_top_and_lower_ones_stay(tmp_path: Path) -> None:
    images = pictures()
    lower = RIDE(replace(CONFIG, num_layers=1))
    with torch.no_grad():
        for parameter in lower.parameters():
            parameter.normal_()
        lower.whitening[0].mean_x.fill_(0.3)
    model = RIDE(CONFIG)
    recurrent._start(model, lower, images, TRAINING, STAGES[1], 0)
    grown, kept = model.state_dict(), lower.state_dict()
    for name in kept:
        same = grown[name].shape == kept[name].shape and torch.equal(grown[name], kept[name])
        assert same == (not name.startswith("experts.")), name
    assert grown["layers.1.weight"].abs().sum() > 0
    # Without new layers, mixtures stay too.
    same_size = RIDE(CONFIG)
    recurrent._start(same_size, model, images, TRAINING, STAGES[1], 0)
    assert_same(same_size.state_dict(), grown)


def test_training_helps(tmp_path: Path) -> None:
    images = pictures(8)
    fit = FitConfig(60, 8, 0.02, gradient_clip=1.0, validate_every=60)
    stages = (RecurrentStage(1, 12, "mass", fit),)
    training = replace(TRAINING, stages=stages, borders=True, sampled_patches=30)
    config = replace(CONFIG, num_layers=1)
    _, bits = fit_recurrent(config, (images[:6], images[6:]), training, tmp_path)
    assert bits < 7  # white noise takes 8, and a start from nothing more


def test_mixtures_that_see_neighbourhoods_start_as_an_mcgsm() -> None:
    torch.manual_seed(0)
    x = torch.stack(pictures(24, 10))
    direct, hidden = (RIDE(replace(CONFIG, num_layers=1, direct=d)) for d in (True, False))
    losses = []
    for model in (direct, hidden):
        model.layers[0].initialize(torch.Generator().manual_seed(0))
        prepare(model, x, borders=False)
        start = initialize_direct if model is direct else None
        generator = torch.Generator().manual_seed(0)
        start(model, x, generator) if start else initialize_heads(model, generator)
        with torch.no_grad():
            losses.append(Objective(model, model.reach).loss(x).item())
    assert losses[0] < losses[1]


def test_objective_counts_what_has_a_whole_neighbourhood() -> None:
    model = make(bits=8)
    x = torch.randint(256, (2, 1, 9, 10))
    noisy = (x + torch.rand(x.shape, dtype=torch.float64)) / 256
    inner = (slice(None), slice(None), slice(2, None), slice(2, -2))
    with torch.no_grad():
        density = model.log_density_map(noisy, 2)[inner].mean() - 8 * math.log(2)
        assert math.isclose(Objective(model, 2).loss(noisy).item(), -density.item())
        mass = model.log_prob_map(x).mean()
        assert math.isclose(Objective(model, 0).loss(x).item(), -mass.item())
        bits = Objective(model, 0).metrics(x)["bits_per_dim"].item()
    assert math.isclose(bits, -mass.item() / math.log(2))


@pytest.mark.parametrize("continuous", [True, False], ids=["density", "mass"])
def test_fine_tuning_helps_and_leaves_layers_alone(continuous: bool) -> None:
    torch.manual_seed(0)
    x = torch.stack(pictures(24, 10))
    model = RIDE(replace(CONFIG, num_layers=1))
    batch = (x + torch.rand(x.shape)) / 256 if continuous else x
    model.layers[0].initialize(torch.Generator().manual_seed(0))
    prepare(model, batch, borders=False)
    initialize_heads(model, torch.Generator().manual_seed(0))
    objective, layers = Objective(model, model.reach), model.layers[0].weight.detach().clone()
    with torch.no_grad():
        before = objective.loss(batch).item()
        finetune(model, batch, batch, model.reach, 30)
        assert objective.loss(batch).item() < before - 0.1
    assert torch.equal(model.layers[0].weight, layers)


def test_patches_shrink_to_the_smallest_image() -> None:
    images = [torch.zeros(1, 30, 30).long(), torch.zeros(1, 9, 40).long()]
    assert patches(images, 20, "mass", 8, length=3)[0].shape == (1, 9, 9)
    assert patches(images[:1], 20, "density", 8, length=3)[0].dtype == torch.float32


# -- from files to a model folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(5)]
    for path in paths:
        write(path, Image(smooth(8, 1, 20, 20)[0].expand(3, -1, -1).clone(), 8))
    return paths


SHALLOW = ShallowTraining(
    Drawing(400), (Stage("adam", "mass", 4, 100, check_every=2),), validation_pixels=100
)
MIXTURES = MCGSMConfig(num_components=2, num_scales=2, num_features=2, rows=1, columns=1)


def test_presets_become_model_folders(files: list[Path], tmp_path: Path) -> None:
    preset = Preset(CONFIG, TRAINING, ImageData(gray=True), {}, "for tests")
    model = train(preset, files, tmp_path / "ride")
    loaded = checkpoint.load(tmp_path / "ride")
    assert_same(loaded.state_dict(), model.state_dict())
    figures = checkpoint.read(tmp_path / "ride")["provenance"]["figures"]
    assert len(figures["validation_bits_per_value"]) == 1
    curves = [(tmp_path / "ride" / f"curve-{stage}.csv").read_text() for stage in (1, 2)]
    assert [len(curve.splitlines()) for curve in curves] == [3, 3]  # a head and two looks
    assert not list(tmp_path.glob("*.training"))


def test_training_goes_on_from_a_trained_model(files: list[Path], tmp_path: Path) -> None:
    preset = Preset(CONFIG, TRAINING, ImageData(gray=True), {}, "for tests")
    first = train(preset, files, tmp_path / "first")
    still = replace(FIT, steps=1, learning_rate=1e-9, validate_every=1)
    tuning = replace(TRAINING, stages=(RecurrentStage(2, 10, "mass", still),))
    tuned = train(replace(preset, training=tuning), files, tmp_path / "m", start=tmp_path / "first")
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tuned.state_dict()[name], tensor, rtol=0, atol=1e-6)
    told = checkpoint.read(tmp_path / "m")["provenance"]["start"]
    assert told == checkpoint.digest(first)
    wider = replace(preset, config=replace(CONFIG, num_units=5))
    with pytest.raises(ValueError, match="first has another config than the preset"):
        train(wider, files, tmp_path / "wider", start=tmp_path / "first")
    mixtures = replace(preset, config=MIXTURES, training=SHALLOW)
    with pytest.raises(
        ValueError, match="only networks, and a RIDE from a RIDE, can go on, not MCGSM from"
    ):
        train(mixtures, files, tmp_path / "mixtures", start=tmp_path / "first")


def test_parts_that_are_no_ride_are_trained_as_mixtures(files: list[Path], tmp_path: Path) -> None:
    luma = replace(CONFIG, num_layers=1)
    training = PartTrainings(replace(TRAINING, stages=STAGES[:1]), SHALLOW)
    config = ColourRIDEConfig(luma=luma, chroma=MIXTURES)
    preset = Preset(config, training, ImageData(), {}, "for tests")
    model = train(preset, files, tmp_path / "colour")
    assert_same(checkpoint.load(tmp_path / "colour").state_dict(), model.state_dict())
    figures = checkpoint.read(tmp_path / "colour")["provenance"]["figures"]
    assert len(figures["validation_bits_per_value"]) == 3


def test_trainings_of_other_models_are_refused(files: list[Path], tmp_path: Path) -> None:
    def preset(config: Any, training: Any) -> Preset:
        return Preset(config, training, ImageData(gray=True), {}, "for tests")

    with pytest.raises(ValueError, match="this training is for RIDE, not MCGSM"):
        train(preset(MIXTURES, TRAINING), files, tmp_path / "m")
    with pytest.raises(ValueError, match="this training is for MCGSM, not RIDE"):
        train(preset(CONFIG, SHALLOW), files, tmp_path / "m")
    with pytest.raises(ValueError, match="ColourRIDE has parts that this training does not reach"):
        train(preset(ColourRIDEConfig(luma=CONFIG), TRAINING), files, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_published_schedule_grows_patches_and_lowers_rates() -> None:
    stages = PRESETS["ride-bsds300-2-published"].training.stages
    assert [stage.patch_size for stage in stages] == [8, 10, 12, 14, 16, 18, 20, 22]
    assert [stage.layers for stage in stages] == [1, 2, 2, 2, 2, 2, 2, 2]
    rates = [stage.fit.learning_rate for stage in stages]
    assert rates == sorted(rates, reverse=True)
    assert all(stage.fit.optimizer == "sgd" and stage.lbfgs_steps for stage in stages)
