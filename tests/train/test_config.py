"""Settings of a fit: rates, optimizers, and what is refused at once."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from imprior.train.config import FitConfig

CONFIG = FitConfig(steps=110, batch_size=4, learning_rate=0.5, warmup_steps=10, final_fraction=0.2)


def test_rate_rises_and_falls() -> None:
    rates = [CONFIG.rate(step) for step in range(110)]
    assert rates[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert rates[10] == 0.5 and rates[60] == pytest.approx(0.5 * 0.6)
    assert all(before > after for before, after in pairwise(rates[10:]))
    assert 0.1 < rates[-1] < 0.101
    assert rates[35] == pytest.approx(0.5 * (0.2 + 0.8 * (0.5 + 0.5 * math.cos(math.pi / 4))))
    linear = replace(CONFIG, schedule="linear")
    assert linear.rate(35) == pytest.approx(0.5 * (0.2 + 0.8 * 0.75))
    constant = replace(CONFIG, schedule="constant")
    assert {constant.rate(step) for step in range(9, 110)} == {0.5}
    assert replace(CONFIG, warmup_steps=110).rate(109) == 0.5


def test_average_remembers_more_and_more() -> None:
    config = replace(CONFIG, weight_average=0.99)
    assert [config.decay(step) for step in (0, 8, 10**6)] == [0.1, 0.5, 0.99]


def test_optimizer_is_the_one_asked_for() -> None:
    parameters = [nn.Parameter(torch.zeros(2))]
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    options: dict[str, Any] = {"betas": (0.5, 0.6), "momentum": 0.7, "weight_decay": 0.8}
    for name, kind in kinds.items():
        config = replace(CONFIG, optimizer=name, **options)  # type: ignore[arg-type]
        optimizer = config.make_optimizer(parameters)
        assert type(optimizer) is kind
        [group] = optimizer.param_groups
        assert group["lr"] == 0.5 and group["weight_decay"] == 0.8
        assert group.get("betas", (0.5, 0.6)) == (0.5, 0.6)
        assert group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 2, 3, 3)])
def test_muon_takes_orthogonal_steps_of_matrices(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix, vector = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(3))
    config = replace(CONFIG, optimizer="muon")
    optimizer = config.make_optimizer([vector, matrix])
    matrix.grad, vector.grad = torch.randn(shape, generator=generator), torch.ones(3)
    optimizer.step()
    rate, flat = config.learning_rate, matrix.detach().flatten(1)
    steps = torch.linalg.svdvals(flat) / rate / max(1, shape[0] / flat.shape[1]) ** 0.5
    assert ((steps > 0.5) & (steps < 1.5)).all()  # five Newton-Schulz iterations bring them there
    assert vector.tolist() == pytest.approx([-0.1 * rate] * 3)


def test_rate_of_muon_falls_in_matrices_and_vectors() -> None:
    config = replace(CONFIG, optimizer="muon", weight_decay=0.8, momentum=0.7)
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))]
    optimizer = config.make_optimizer(parameters)
    config.set_rate(optimizer, 60)
    matrices, vectors = optimizer.param_groups
    assert matrices["lr"] == config.rate(60) and vectors["lr"] == 0.1 * config.rate(60)
    assert matrices["weight_decay"] == 0.8 and vectors["weight_decay"] == 0
    assert matrices["momentum"] == 0.7 and vectors["betas"] == config.betas
    assert len(config.make_optimizer(parameters[:1]).param_groups) == 1


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("steps", 0, "at least 1, got 0"),
        ("batch_size", -1, "at least 1"),
        ("validate_every", 0, "at least 1"),
        ("validation_batch", -1, "not negative"),
        ("learning_rate", 0.0, "positive"),
        ("learning_rate", math.nan, "positive"),
        ("optimizer", "lion", "one of adam, adamw, muon, sgd, got 'lion'"),
        ("betas", (0.9, 1.0), r"two values in \[0, 1\)"),
        ("momentum", 1.0, r"in \[0, 1\)"),
        ("weight_decay", -0.1, "not negative"),
        ("warmup_steps", 111, r"in \[0, 110\], the steps"),
        ("schedule", "step", "one of cosine, linear, constant"),
        ("final_fraction", 1.1, r"in \[0, 1\]"),
        ("gradient_clip", math.inf, "finite"),
        ("weight_average", 1.0, r"in \[0, 1\)"),
        ("precision", "16", "one of 32, bf16-mixed, 16-mixed"),
        ("checkpoint_seconds", -1.0, "not negative"),
        ("checkpoint_steps", -1, "not negative"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be .*{rule}"):
        replace(CONFIG, **{name: value})  # type: ignore[arg-type]
