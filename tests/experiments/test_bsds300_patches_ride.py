"""The patch RIDE's experiment: which patches, which views, and scores that are not made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments import bsds300_patches_ride as experiment
from imprior.data.loading import symmetry
from tests.models.mcgsms import assert_close


class Weighted:
    """Scores by a sum that tells the views of a patch apart."""

    def __init__(self) -> None:
        self.asked = 0

    def log_prob(self, x: Tensor) -> Tensor:
        self.asked += 1
        return (x.double().flatten(1) @ torch.arange(64).double()) / 100


def test_ensemble_scores_the_first_patches_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, model = torch.rand(9, 64), Weighted()
    monkeypatch.setattr(experiment, "CHUNK", 3)
    monkeypatch.setattr(experiment, "patches", lambda *_, **__: x)
    single, same, together = experiment.test(tmp_path, model, 8, 4)  # type: ignore[arg-type]
    views = [model.log_prob(symmetry(x.view(-1, 1, 8, 8), k).contiguous()) for k in range(8)]
    assert_close(single, views[0][:8])
    assert_close(same, views[0][:6])
    assert_close(together, torch.stack(views)[:, :6].exp().mean(0).log())
    model.asked = 0
    again = experiment.test(tmp_path, model, 8, 4)  # type: ignore[arg-type]
    assert not model.asked and torch.equal(again[2], together)
