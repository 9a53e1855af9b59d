"""The factorized MCGSM computes what the authors' C++ computes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from imprior.models.ride.mixture import FactorizedMCGSM
from tests.models.mixtures import assert_close, gradients


@pytest.fixture(scope="module")
def theirs(data_root: Path) -> dict[str, Tensor]:
    """What the authors' C++ computed, as tensors."""
    with np.load(data_root / "parity" / "mcgsm.npz") as arrays:
        return {key: torch.tensor(arrays[key]) for key in arrays.files if key != "doc"}


@pytest.fixture
def same(theirs: dict[str, Tensor]) -> FactorizedMCGSM:
    """Our model with their parameters."""
    model = FactorizedMCGSM(40, 16, 4, 48).double()
    keys = {"eta": "eta", "alpha": "alpha", "beta": "beta", "features": "b", "predictors": "a"}
    model.load_state_dict({name: theirs[key] for name, key in keys.items()})
    return model


def flat(parts: dict[str, Tensor]) -> Tensor:
    """In the authors' order: all matrices but the predictors column by column."""
    columns = [parts[name].T.flatten() for name in ("eta", "alpha", "beta", "features")]
    return torch.cat([*columns, parts["predictors"].flatten()])


def test_likelihood_and_responsibilities_are_the_authors(
    same: FactorizedMCGSM, theirs: dict[str, Tensor]
) -> None:
    x, y = theirs["Xw"].T, theirs["Yw"][0]
    with torch.no_grad():
        assert_close(same.log_prob(x, y), theirs["ll"], 1e-9)
        assert_close(same.gates(x).sum(2).T, theirs["prior"], 1e-9)
        assert_close(same.posterior(x, y).sum(2).T, theirs["posterior"], 1e-9)


def test_gradients_are_the_authors(same: FactorizedMCGSM, theirs: dict[str, Tensor]) -> None:
    x, y = theirs["Xw"].T.requires_grad_(), theirs["Yw"][0].requires_grad_()
    same.log_prob(x, y).sum().backward()
    assert x.grad is not None and y.grad is not None
    assert_close(x.grad[:200].T, theirs["grad_x"], 1e-9)
    assert_close(y.grad[None, :200], theirs["grad_y"], 1e-9)
    gradients(same)
    same.value_and_gradient(x.detach(), y.detach())
    assert_close(flat(same.state_dict()), theirs["param_vector"], 1e-9)
    assert_close(flat(gradients(same)) / math.log(2), theirs["param_grad"], 1e-9)
