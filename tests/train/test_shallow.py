"""Training to a model folder: an interruption changes nothing, and nothing is mixed up."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.data.images import Image, read, write
from imprior.models import build
from imprior.models.baselines.gmm import GMMConfig
from imprior.models.ride.colour import ColourRIDEConfig
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.models.ride.multiscale import MultiscaleRIDEConfig
from imprior.presets import ImageData, Preset
from imprior.train import shallow
from imprior.train.progress import Progress
from imprior.train.samples import Drawing, Source
from imprior.train.shallow import ShallowTraining, split
from imprior.train.stages import Stage
from imprior.train.training import train
from tests.models.mcgsms import smooth

CONFIG = MCGSMConfig(
    channels=3,
    num_components=2,
    num_scales=2,
    num_features=3,
    rows=1,
    columns=1,
    cross_radius=0.0,
    colour="ycocg",
    num_first=2,
)
STAGES = (
    Stage("adam", "density", steps=9, batch=100, check_every=3),
    Stage("lbfgs", "mass", steps=4, check_every=2),
)
TRAINING = ShallowTraining(Drawing(400), STAGES, validation_pixels=100)
PRESET = Preset(CONFIG, TRAINING, ImageData(), {}, "for tests")
LOOKS = 3 * (1 + 3 + 2)  # planes, each with a look when its pixels are drawn and after each advance


class Stopped(BaseException):
    """Like Ctrl-C, which no `except Exception` catches."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eight pictures in which neighbours and colours are alike."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(8)]
    for path in paths:
        grey = smooth(8, 1, 12, 14)[0].expand(3, -1, -1)
        write(path, Image((grey + torch.randint(-9, 10, grey.shape)).clamp(0, 255), 8))
    return paths


@pytest.fixture(scope="module")
def undisturbed(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights that training ends with."""
    return train(PRESET, files, tmp_path_factory.mktemp("undisturbed")).state_dict()


@pytest.fixture(autouse=True)
def _save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shallow, "SECONDS_BETWEEN_SAVES", 0.0)


def stop_after(looks: int) -> Any:
    """A callback that interrupts training at one of its looks."""
    calls = []

    def progress(now: Progress) -> None:
        calls.append(now)
        if len(calls) == looks:
            raise Stopped

    return progress


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


# -- interruptions


@pytest.mark.parametrize("looks", [1, 2, 4, 6, 7, 8, 13, LOOKS - 1, LOOKS])
def test_interrupted_training_ends_with_the_same_weights(
    files: list[Path], undisturbed: dict[str, Tensor], tmp_path: Path, looks: int
) -> None:
    out = tmp_path / "model"
    with pytest.raises(Stopped):
        train(PRESET, files, out, progress=stop_after(looks))
    assert not out.exists()
    seen: list[Progress] = []
    resumed = train(PRESET, files, out, progress=seen.append)
    assert_same(resumed.state_dict(), undisturbed)
    assert_same(checkpoint.load(out).state_dict(), undisturbed)
    assert not (tmp_path / "model.training").exists()
    if looks > 2:
        assert len(seen) < LOOKS  # it did not start over


def test_interruption_while_saving_keeps_the_last_state(
    files: list[Path],
    undisturbed: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fsync, calls = os.fsync, []

    def broken(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 5:
            os.ftruncate(descriptor, 100)
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="No space left"):
            train(PRESET, files, tmp_path / "b")
    assert_same(train(PRESET, files, tmp_path / "b").state_dict(), undisturbed)


def test_unfinished_training_with_other_settings_is_not_continued(
    files: list[Path], undisturbed: dict[str, Tensor], tmp_path: Path
) -> None:
    out = tmp_path / "model"
    with pytest.raises(Stopped):
        train(PRESET, files, out, progress=stop_after(8))
    other = replace(PRESET, config=replace(CONFIG, num_components=3))
    for changed in ((PRESET, files[:-1], 0), (PRESET, files, 1), (other, files, 0)):
        with pytest.raises(ValueError, match=r"model\.training holds an unfinished training"):
            train(*changed[:2], out, seed=changed[2])
    with pytest.raises(Stopped):
        train(PRESET, files, out, seed=1, resume=False, progress=stop_after(8))
    assert_same(train(PRESET, files, out, resume=False).state_dict(), undisturbed)


# -- what is trained


def test_training_helps_and_says_how_much(files: list[Path], tmp_path: Path) -> None:
    longer = replace(TRAINING, stages=(replace(STAGES[0], steps=60), STAGES[1]))
    seen: list[Progress] = []
    model = train(replace(PRESET, training=longer), files, tmp_path / "m", progress=seen.append)
    provenance = checkpoint.read(tmp_path / "m")["provenance"]
    bits = provenance["figures"]["validation_bits_per_value"]
    assert len(bits) == 3 and sum(bits) / 3 < 6.5  # 8 and a little without a model
    assert seen[-1].figure == pytest.approx(bits[-1], abs=1e-6)
    assert all(now.step <= now.total for now in seen)
    assert model.config == CONFIG and provenance["seed"] == 0
    assert provenance["data"] == "8 images" and len(provenance["data_checksum"]) == 64


def test_seed_decides_the_weights(
    files: list[Path], undisturbed: dict[str, Tensor], tmp_path: Path
) -> None:
    again, other = (
        train(PRESET, files, tmp_path / f"{seed}", seed=seed).state_dict() for seed in (0, 1)
    )
    assert_same(again, undisturbed)
    assert not torch.equal(other["experts.0.eta"], undisturbed["experts.0.eta"])


def test_validation_images_are_not_trained_on() -> None:
    sources = [Source(Tensor, number) for number in range(25)]
    training, validation = split(sources, 0.1)
    assert len(validation) == 2 and len(training) == 23
    assert {source.area for source in training + validation} == set(range(25))
    only = sources[:1]
    assert split(only, 0.1) == (only, only)


def test_grey_model_takes_colour_images_if_its_preset_says_so(
    files: list[Path], tmp_path: Path
) -> None:
    config = replace(CONFIG, channels=1, colour="none")
    preset = replace(PRESET, config=config, data=ImageData(gray=True))
    assert isinstance(train(preset, files, tmp_path / "m"), MCGSM)
    with pytest.raises(ValueError, match=r"0\.png has 3 channels, the model takes 1"):
        train(replace(preset, data=ImageData()), files, tmp_path / "n")


def test_nothing_to_train_on_or_with_is_refused(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images to train on"):
        train(PRESET, [], tmp_path / "m")
    with pytest.raises(ValueError, match="ImageData is not the config of a model"):
        train(replace(PRESET, config=ImageData()), files, tmp_path / "m")
    with pytest.raises(ValueError, match="this training is for MCGSM, not GMM"):
        train(replace(PRESET, config=GMMConfig()), files, tmp_path / "m")
    assert not list(tmp_path.iterdir())


# -- models made of parts

GREY = replace(CONFIG, channels=1, colour="none")
COMPOSED = [
    pytest.param(ColourRIDEConfig(luma=GREY, chroma=GREY), [1, 2], id="colour"),
    pytest.param(MultiscaleRIDEConfig(3, coarse=GREY, detail=GREY), [3, 3, 3], id="multiscale"),
]


@pytest.mark.parametrize(("config", "planes"), COMPOSED)
def test_all_parts_are_trained_wherever_training_was_interrupted(
    files: list[Path], tmp_path: Path, config: Any, planes: list[int]
) -> None:
    preset = replace(PRESET, config=config)
    seen: list[Progress] = []
    whole = train(preset, files, tmp_path / "whole", progress=seen.append)
    names = list(dict.fromkeys(now.stage.split(",")[0] for now in seen))
    assert len(names) == sum(planes) and names[0].endswith(f"plane 1/{planes[0]}")
    bits = checkpoint.read(tmp_path / "whole")["provenance"]["figures"]["validation_bits_per_value"]
    assert len(bits) == len(names)
    fresh = build(config).state_dict()
    for name, tensor in whole.state_dict().items():
        assert not tensor.numel() or not torch.equal(tensor, fresh[name]), name
    for looks in (2, 7, 4):  # of each sitting
        with pytest.raises(Stopped):
            train(preset, files, tmp_path / "m", progress=stop_after(looks))
    assert_same(train(preset, files, tmp_path / "m").state_dict(), whole.state_dict())


@pytest.mark.parametrize(("config", "planes"), COMPOSED)
def test_parts_are_fitted_to_what_they_model(
    files: list[Path], config: Any, planes: list[int]
) -> None:
    model = build(config)
    names = [name.rpartition(" plane ")[0] for name, _, _ in shallow.planes_of(model.parts())]
    assert [names.count(part.name) for part in model.parts()] == planes
    x = read(files[0]).pixels
    for part in model.parts():
        source = Source.of(partial(torch.clone, x)).seen_as(part.images)
        assert torch.equal(source.read(), part.images(x[None])[0]) and source.area == x[0].numel()


def test_images_without_details_are_passed_over(files: list[Path], tmp_path: Path) -> None:
    narrow = [tmp_path / f"{number}.png" for number in range(4)]
    for path in narrow:
        write(path, Image(torch.randint(256, (3, 9, 1)), 8))
    preset = replace(PRESET, config=MultiscaleRIDEConfig(3, coarse=GREY, detail=GREY))
    train(preset, [*files, *narrow], tmp_path / "m")
    with pytest.raises(ValueError, match="too small"):
        train(preset, narrow, tmp_path / "n")
