"""Training to a model folder: an interruption changes nothing, and nothing is mixed up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.data.images import Image, write
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.presets import ImageData, Preset
from imprior.train import shallow
from imprior.train.samples import Drawing, Source
from imprior.train.shallow import Progress, ShallowTraining, split, train
from imprior.train.stages import Stage
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
    save, calls = torch.save, []

    def broken(state: object, path: Path) -> None:
        calls.append(path)
        save(state, path)
        if len(calls) == 5:
            path.write_bytes(path.read_bytes()[:100])
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", broken)
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
    assert seen[-1].bits == pytest.approx(bits[-1], abs=1e-6)
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
    with pytest.raises(ValueError, match="this training is for MCGSM, not ImageData"):
        train(replace(PRESET, config=ImageData()), files, tmp_path / "m")
