"""Training of models whose parts are networks: parts stay apart, whoever trains them and when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.train.fit import FitResult
from imprior.train.networks import Budget, NetworkTraining, fit_networks
from imprior.train.progress import Progress
from imprior.train.runs import alone
from tests.train.fitting import assert_same, weights
from tests.train.halves import (
    FIT,
    PARTS,
    TRAINING,
    HalfConfig,
    Halves,
    pictures,
)
from tests.train.test_fit_resume import Stopped, stop_at


def fitted(
    folder: Path,
    training: NetworkTraining = TRAINING,
    images: list[Tensor] | None = None,
    **options: Any,
) -> tuple[Halves, dict[str, FitResult]]:
    """Trains a model that always starts with the same weights."""
    images = pictures() if images is None else images
    torch.manual_seed(7)
    model = Halves(HalfConfig())
    return model, fit_networks(model, (images[:6], images[6:]), training, folder, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights of training all at one go."""
    return weights(fitted(tmp_path_factory.mktemp("whole"))[0])


# -- parts


def test_training_helps_and_the_best_on_validation_is_kept(tmp_path: Path) -> None:
    training = replace(TRAINING, fit=replace(FIT, steps=80))
    told: list[Progress] = []
    model, results = fitted(tmp_path, training, progress=told.append)
    assert list(results) == PARTS and not model.training
    for name, result in results.items():
        curve = [point.validation["bits_per_dim"] for point in result.curve]
        assert result.best == min(curve) < curve[0] - 0.1 and result.best < 3, name
        assert (tmp_path / name / "curve.csv").is_file()
    assert {at.stage for at in told} == {"detail 1, training", "coarse, training"}


def test_levels_in_any_order_are_joined_to_the_same_weights(
    tmp_path: Path, whole: dict[str, Tensor]
) -> None:
    _, result = fitted(tmp_path, level="coarse")
    assert list(result) == ["coarse"]
    before = (tmp_path / "coarse" / "state.pt").stat().st_mtime_ns
    with pytest.raises(Stopped):
        fitted(tmp_path, level="detail 1", progress=stop_at(6))
    model, results = fitted(tmp_path)
    assert_same(weights(model), whole)
    assert list(results) == PARTS and results["coarse"] == result["coarse"]
    # What was complete is not trained again; what was interrupted goes on.
    assert not any(training for _, _, training in model.coarse.seen)
    assert sum(training for _, _, training in model.detail.seen) == FIT.steps - 6
    assert (tmp_path / "coarse" / "state.pt").stat().st_mtime_ns == before


def test_one_level_leaves_the_others_alone(tmp_path: Path, whole: dict[str, Tensor]) -> None:
    model, _ = fitted(tmp_path, level="coarse")
    torch.manual_seed(7)
    started = weights(Halves(HalfConfig()))
    for name, value in weights(model).items():
        assert torch.equal(value, (whole if name.startswith("coarse") else started)[name]), name
    assert [path.name for path in tmp_path.iterdir()] == ["coarse"]


def test_level_that_another_process_trains_is_left_to_it(tmp_path: Path) -> None:
    with alone(tmp_path / "coarse"):
        for level in ("coarse", None):
            with pytest.raises(ValueError, match=r"another process is training in .*coarse"):
                fitted(tmp_path, level=level)
        fitted(tmp_path, level="detail 1")
    fitted(tmp_path)


def test_parts_have_budgets_of_their_own(tmp_path: Path) -> None:
    budgets = (Budget("coarse", steps=1, batch_size=2), Budget("*", learning_rate=0.5))
    training = replace(TRAINING, budgets=budgets)
    assert training.fit_of("coarse") == replace(FIT, steps=1, batch_size=2, warmup_steps=1)
    assert training.fit_of("detail 1") == replace(FIT, learning_rate=0.5)
    model, results = fitted(tmp_path, training)
    assert [results[name].curve[-1].step for name in PARTS] == [12, 1]
    assert {s[0] for s, _, training in model.coarse.seen if training} == {2}
    assert {s[0] for s, _, training in model.detail.seen if training} == {4}
    with pytest.raises(ValueError, match="for 'levle', but Halves consists of detail 1, coarse"):
        fitted(tmp_path, replace(TRAINING, budgets=(Budget("levle", steps=3),)))


def test_what_makes_no_sense_is_refused() -> None:
    for wrong, message in (
        ({"crop": 0}, "crop must be at least 1, got 0"),
        ({"validation_patches": 0}, "validation_patches must be at least 1"),
        ({"validation_share": 0.0}, r"validation_share must be in \(0, 0.5\], got 0.0"),
        ({"budgets": (Budget("coarse", steps=0),)}, "steps must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(TRAINING, **wrong)
    with pytest.raises(ValueError, match="crop must be at least 1, got 0"):
        Budget("coarse", crop=0)


# -- images


def test_parts_have_crops_of_their_own(tmp_path: Path) -> None:
    model, _ = fitted(tmp_path, replace(TRAINING, budgets=(Budget("coarse", crop=12),)))
    assert {shape[2:] for shape, _, _ in model.coarse.seen} == {(12, 6)}  # those that decide, too
    assert {shape[2:] for shape, _, training in model.detail.seen if training} == {(8, 4)}


def test_coarse_parts_learn_from_finer_scales_if_told_to(tmp_path: Path) -> None:
    training = replace(TRAINING, finer=True, scales=(0.5, 0.3))
    model, _ = fitted(tmp_path, training)
    learnt = {shape[2:] for shape, _, training in model.coarse.seen if training}
    assert learnt == {(8, 4), (4, 4)}
    assert {shape[2:] for shape, _, training in model.coarse.seen if not training} == {(10, 5)}
    assert {shape[2:] for shape, _, training in model.detail.seen if training} == {(8, 4)}


def test_every_validation_image_counts(tmp_path: Path) -> None:
    training = replace(TRAINING, fit=replace(FIT, batch_size=3), validation_patches=7)
    model, results = fitted(tmp_path / "run", training)
    sizes = [shape[0] for shape, _, training in model.coarse.seen if not training]
    assert sizes == 3 * [3, 3, 1]
    one = replace(training, fit=replace(training.fit, validation_batch=1))
    _, others = fitted(tmp_path / "one", one)
    for name in PARTS:
        assert results[name].best == pytest.approx(others[name].best, rel=1e-6)


def test_images_of_several_sizes_are_learnt_from_together(tmp_path: Path) -> None:
    images = [x[:, :size] for size, x in zip((16, 6, 16, 5, 16, 9, 16, 16, 7), pictures())]  # noqa: B905
    model, results = fitted(tmp_path, images=images)
    trained = {shape[2:] for shape, _, training in model.coarse.seen if training}
    assert trained <= {(8, 4), (6, 4), (5, 4)} and len(trained) > 1
    validated = [shape for shape, _, training in model.coarse.seen if not training]
    assert {shape[2:] for shape in validated} == {(10, 5), (7, 5)}
    assert len(validated) == 5 * len(results["coarse"].curve)


# -- arithmetic


def test_bfloat16_trains_and_validation_is_in_float32(tmp_path: Path) -> None:
    config = replace(FIT, precision="bf16-mixed", steps=80)
    model, results = fitted(tmp_path, replace(TRAINING, fit=config))
    for part, name in ((model.detail, "detail 1"), (model.coarse, "coarse")):
        types = {training: dtype for _, dtype, training in part.seen}
        assert types == {True: torch.bfloat16, False: torch.float32}
        curve = [point.validation["bits_per_dim"] for point in results[name].curve]
        assert curve[-1] < curve[0] - 0.1
    assert {value.dtype for value in weights(model).values()} == {torch.float32}


def test_convolutions_have_channels_last_only_while_they_train(tmp_path: Path) -> None:
    layouts: dict[bool, set[bool]] = {True: set(), False: set()}

    class Watched(Halves):
        def __init__(self, config: HalfConfig) -> None:
            super().__init__(config)
            self.detail.first.register_forward_hook(self.look)

        def look(self, layer: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            last = [
                tensor.is_contiguous(memory_format=torch.channels_last)
                for tensor in (layer.weight, output)
            ]
            layouts[self.detail.training] |= set(last)

    images, found = pictures(), []
    for last in (True, False):
        torch.manual_seed(7)
        model = Watched(HalfConfig(width=5))
        options: dict[str, Any] = {} if last else {"channels_last": False}
        pair = (images[:6], images[6:])
        results = fit_networks(
            model, pair, TRAINING, tmp_path / str(last), level="detail 1", **options
        )
        found.append(results["detail 1"].best)
        assert layouts == {True: {last}, False: {last}}
        layouts = {True: set(), False: set()}
        assert all(value.is_contiguous() for value in weights(model).values())
    assert found[0] == pytest.approx(found[1], abs=0.05)  # the masks of dropout differ
