"""Steps of a training within a time."""

from __future__ import annotations

import pytest

from experiments import equal_time


@pytest.mark.parametrize(("each", "expected"), [(0.5, 20), (3.0, 3), (1e9, 1)])
def test_what_a_run_costs_besides_its_steps_is_left_out(
    each: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, compiling = [0.0], [100.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def run(steps: int) -> None:
        clock[0] += 7 + compiling[0] + each * steps
        compiling[0] = 0

    assert equal_time.steps_within(10.0, run) == expected


def test_noise_does_not_make_steps_free(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def run(steps: int) -> None:
        clock[0] += 16  # as long for many steps as for few

    assert equal_time.steps_within(10.0, run) == 100


def test_last_training_is_the_one_that_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, taken = [0.0], []
    monkeypatch.setattr("time.process_time", lambda: clock[0])

    def run(steps: int) -> str:
        clock[0] += 7 + 0.5 * steps
        taken.append(steps)
        return f"model {len(taken)}"

    assert equal_time.train_within(10.0, "small", run) == ("model 4", 20, 17.0)
    assert taken == [2, 2, 8, 20]
    assert capsys.readouterr().out == "small: 20 steps\n"
