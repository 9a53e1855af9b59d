"""How many steps of a training fit into a time, so that models can be compared at equal time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

FEW, MANY = 2, 8

Model = TypeVar("Model")


def steps_within(seconds: float, run: Callable[[int], object]) -> int:
    """Steps that take about `seconds` of CPU time, at least 1.

    Arguments:
        seconds: To spend.
        run: Trains so many steps. The cost of one is the difference of two short runs, after a
            first one that compiles.
    """
    spent = []
    for steps in (FEW, FEW, MANY):
        began = time.process_time()
        run(steps)
        spent.append(time.process_time() - began)
    # Where noise hides a step, it is not taken for free: short runs cost little but steps.
    each = max((spent[2] - spent[1]) / (MANY - FEW), spent[2] / MANY / 20)
    return max(1, round(seconds / max(each, 1e-6)))


def train_within(
    seconds: float, name: str, run: Callable[[int], Model]
) -> tuple[Model, int, float]:
    """The model of a training of about so much CPU time, its steps, and the seconds they took.

    Arguments:
        seconds: To spend.
        name: Of the model, to tell of the steps before they begin.
        run: Trains a new model so many steps.
    """
    steps = steps_within(seconds, run)
    print(f"{name}: {steps} steps", flush=True)
    began = time.process_time()
    model = run(steps)
    return model, steps, round(time.process_time() - began, 1)
