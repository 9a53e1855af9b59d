"""Training of a network: what it computes, what it keeps, what it costs, and what it refuses."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from imprior.data.batches import ImageFiles
from imprior.data.feed import feed
from imprior.provenance import PROVENANCE
from imprior.train.config import FitConfig
from imprior.train.fit import fit
from tests.train.fitting import CONFIG, Gaussian, Normal, Smooth, assert_same, run, weights

PLAIN = replace(CONFIG, weight_average=0.0)
NOISY = FitConfig(40, 1, 0.5, optimizer="sgd", schedule="constant", validate_every=1)


def by_hand(config: FitConfig, training: Normal, seed: int) -> tuple[nn.Module, nn.Module]:
    """The plain loop: the network and the average of its weights after all steps."""
    model, average = Gaussian(), Gaussian()
    optimizer = config.make_optimizer(model.parameters())
    for step, batch in zip(range(config.steps), feed(training, config.batch_size, seed=seed)):  # noqa: B905
        config.set_rate(optimizer, step)
        optimizer.zero_grad()
        model.loss(batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip or math.inf)
        optimizer.step()
        keep = config.decay(step)
        for mean, now in zip(average.parameters(), model.parameters(), strict=True):
            mean.data = keep * mean.data + (1 - keep) * now.data
    average.load_state_dict(dict(model.named_buffers()), strict=False)
    return model, average


# -- what it computes


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("adam", 0.05), ("adamw", 0.05), ("muon", 0.5), ("sgd", 0.05)]
)
def test_fit_is_the_plain_loop(tmp_path: Path, optimizer: Any, rate: float) -> None:
    config = replace(
        PLAIN, optimizer=optimizer, learning_rate=rate, weight_decay=0.1, validate_every=24
    )
    network, average = by_hand(config, Normal(50), seed=5)
    fitted, result = run(tmp_path / "plain", config, seed=5)
    assert result.best_step == config.steps
    torch.testing.assert_close(weights(fitted), weights(network), rtol=1e-6, atol=1e-7)
    config = replace(config, weight_average=0.9)
    _, average = by_hand(config, Normal(50), seed=5)
    averaged, _ = run(tmp_path / "averaged", config, seed=5)
    torch.testing.assert_close(weights(averaged), weights(average), rtol=1e-6, atol=1e-7)
    assert abs(averaged.mean - fitted.mean) > 1e-3  # they could be told apart


def test_fit_learns_what_the_images_are(tmp_path: Path) -> None:
    config = FitConfig(400, 16, 0.1, weight_average=0.99, validate_every=100)
    model = Gaussian()
    result = fit(model, Normal(50), Normal(200, seed=1), config, tmp_path / "run")
    assert model.mean.item() == pytest.approx(3, abs=0.1)
    assert model.log_scale.exp().item() == pytest.approx(2, abs=0.1)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 4)
    assert result.curve[-1].training == pytest.approx(entropy, abs=0.05)
    assert result.best == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_precision_is_that_of_training_alone(tmp_path: Path, precision: Any) -> None:
    types = {True: set[torch.dtype](), False: set[torch.dtype]()}

    class Watched(Smooth):
        def loss(self, batch: Tensor) -> Tensor:
            types[self.training].add(conv2d(batch, self.weight).dtype)
            return super().loss(batch)

    config = replace(PLAIN, precision=precision)
    result = fit(Watched(), Normal(50), Normal(7), config, tmp_path / "run")
    assert types[True] == {torch.bfloat16 if precision == "bf16-mixed" else torch.float32}
    assert types[False] == {torch.float32}
    assert result.curve[-1].training < result.curve[0].training


# -- what it keeps


def test_best_on_validation_is_kept(tmp_path: Path) -> None:
    model, result = run(tmp_path / "run", NOISY)
    figures = {point.step: point.validation["bits_per_dim"] for point in result.curve}
    assert result.best == min(figures.values()) == figures[result.best_step] < figures[40]
    validation = torch.stack(list(Normal(7, seed=1)))
    assert not model.training
    assert model.metrics(validation)["bits_per_dim"].item() == pytest.approx(result.best, rel=1e-6)


def test_every_validation_image_counts_once(tmp_path: Path) -> None:
    model, result = run(tmp_path / "run", replace(PLAIN, batch_size=5))
    assert Counter(model.validated) == Counter({number: 5 for number in range(7)})
    assert [point.step for point in result.curve] == [5, 10, 15, 20, 24]
    assert {point.validation["first"] for point in result.curve} == {3.0}
    one, _ = run(tmp_path / "one", replace(PLAIN, batch_size=5, validation_batch=1))
    assert one.validated == model.validated


def test_provenance_is_complete(tmp_path: Path) -> None:
    about = {"data": "dice", "data_checksum": "0" * 64, "licence": "CC0"}
    _, result = run(tmp_path / "run", CONFIG, seed=9, about=about)
    told = result.provenance
    assert set(told) == set(PROVENANCE) and about.items() <= told.items()
    assert told["seed"] == 9 and told["training"]["learning_rate"] == 0.05
    assert {"torch", "lightning", "imprior"} <= set(told["versions"])
    assert told["figures"]["validation_bits_per_dim"] == result.best
    kept = json.loads((tmp_path / "run" / "about.json").read_text())
    assert kept == json.loads(json.dumps(told | {"figures": {}}))


# -- what it costs


def test_lightning_is_not_imported_before_a_fit() -> None:
    code = "import sys, imprior.train.fit; print('lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_step_costs_little_more_than_by_hand(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=300, validate_every=300)
    run(tmp_path / "first", CONFIG)
    started = time.process_time()
    by_hand(config, Normal(50), seed=0)
    bare = time.process_time() - started
    started = time.process_time()
    run(tmp_path / "run", config)
    assert (time.process_time() - started - bare) / config.steps < 3e-3


# -- what it refuses


def test_numbers_that_are_not_finite_end_it(tmp_path: Path) -> None:
    class Broken(Gaussian):
        def loss(self, batch: Tensor) -> Tensor:
            loss = super().loss(batch)
            return loss * math.nan if self.training and self.steps == 13 else loss

    model = Broken()
    config = replace(PLAIN, checkpoint_steps=4)
    arguments: Any = (Normal(50), Normal(7, seed=1), config, tmp_path / "run")
    with pytest.raises(ValueError, match=r"^the loss of step 13 is nan; .* lower learning_rate"):
        fit(model, *arguments)
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["global_step"] == 12
    assert all(value.isfinite().all() for value in state["state_dict"].values())
    assert model.steps == 10 and not model.training  # the best so far


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    class Broken(Gaussian):
        def loss(self, batch: Tensor) -> Tensor:
            loss = super().loss(batch)
            spoils = self.training and self.steps == 8
            return loss + 0 * (self.mean - self.mean.detach()).sqrt() if spoils else loss

    config = replace(PLAIN, checkpoint_steps=4, gradient_clip=0.0)
    with pytest.raises(ValueError, match=r"^the weights after step 8 are not finite; "):
        fit(Broken(), Normal(50), Normal(7), config, tmp_path / "run")
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["global_step"] == 4


def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    good: dict[str, Any] = {
        "model": Gaussian(),
        "training": Normal(50),
        "validation": Normal(7),
        "config": CONFIG,
        "folder": tmp_path / "run",
    }
    for wrong, message in (
        ({"model": nn.Linear(2, 2)}, "Linear cannot be trained: it has no loss and metrics"),
        ({"training": ImageFiles([], 1, 8)}, "needs images to train on, and others"),
        ({"validation": Normal(0)}, "needs images to train on, and others"),
        ({"logs": ("csv", "wandb")}, "no logs wandb: there are csv, tensorboard"),
        ({"about": {"weather": "fine"}}, "about tells data, .* not weather"),
        ({"config": replace(CONFIG, precision="16-mixed")}, "16-mixed needs a GPU"),
        ({"accelerator": "abacus"}, "abacus"),
        ({"strategy": "waterfall"}, "waterfall"),
        ({"strategy": "ddp_spawn", "devices": 2}, "'ddp_spawn' .*: choose 'ddp'"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(**good | wrong)
        assert not (tmp_path / "run").exists()


def test_metric_to_monitor_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no metric 'psnr', .* it has bits_per_dim, first"):
        run(tmp_path / "run", replace(CONFIG, monitor="psnr"))
    _, result = run(tmp_path / "other", replace(CONFIG, monitor="first"))
    assert (result.best, result.best_step) == (3.0, 5)


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    model, result = run(tmp_path / "run")
    again, same = run(tmp_path / "run")
    assert_same(weights(again), weights(model))
    assert (same.best, same.best_step, same.curve) == (
        result.best,
        result.best_step,
        result.curve,
    )
