"""The compiled walk computes the same mixtures as torch, and always the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.models.ride.compiled import GROUP
from imprior.models.ride.mcgsm import MCGSM
from imprior.models.ride.walk import Walk, table
from imprior.transforms import causal
from tests.models.mcgsms import assert_close, noise, toy

Mixtures = tuple[Tensor, Tensor, Tensor]


def mixtures_of_steps(model: MCGSM, x: Tensor) -> list[tuple[Tensor, Mixtures]]:
    """Where each step of a walk over `x` is, and its weights, means and inverse scales."""
    truth, canvas = model.to_canvas(x).view(-1), torch.zeros_like(x)
    steps = []
    for step in model.conditionals(canvas):
        pmfs = step.pmfs
        steps.append((step.where, (pmfs.weights, pmfs.means, pmfs.inverse_scales)))
        canvas.view(-1)[step.where] = truth[step.where]
    return steps


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_mixtures_are_the_torch_formula(bits: int, means: bool) -> None:
    model = toy(bits=bits, rows=2, columns=2, means=means)
    height, width = 5, 6
    x = noise(model, 1, height, width)
    mixture, whitening = model.experts[0], model.whitening[0]
    y, column = torch.tensor([0, 0, 1, 2, 4, 4]), torch.tensor([1, 5, 0, 3, 4, 5])
    padded = causal.pad(model.unit(x)[0], model.reach)
    inputs = causal.gather(padded, model.reach, model.contexts[0], y, column)
    inputs = whitening.inputs(inputs)

    state = Walk(x, model.contexts, model.reach)
    state.finish(0)
    where, base = state.positions(0, y.numpy(), column.numpy())
    parts = state.mixtures(table(mixture, whitening, bits), 0, y.numpy(), base)
    weights, centres, inverse_scales = parts

    assert torch.equal(torch.from_numpy(where), y * width + column)
    with torch.no_grad():
        assert_close(weights, mixture.gates(inputs).flatten(1), 1e-12)
        residual = inputs @ mixture.predictors.T + (0 if mixture.means is None else mixture.means)
        mean = residual / whitening.scale + whitening.mean_y
        mean = mean + (inputs @ whitening.predictor)[:, None]
        in_levels = mean.repeat_interleave(2, 1) * 2**bits - 0.5
        assert_close(centres / 2**bits, in_levels / 2**bits, 1e-12)
        precise = (0.5 * mixture.alpha).exp().flatten() * whitening.scale / 2**bits
        assert_close(inverse_scales * 2**bits, precise.expand(6, -1) * 2**bits, 1e-12)


@pytest.mark.parametrize(
    "fields",
    [{"channels": 2}, {"channels": 3, "colour": "ycocg", "order": "pixels"}, {"num_components": 5}],
)
def test_bits_do_not_depend_on_the_batch(fields: dict[str, object]) -> None:
    model = toy(**fields)
    batch = GROUP + 1  # so that pixels of several images share a pass over the matrix
    x = noise(model, batch, 4, 5)
    together = mixtures_of_steps(model, x)
    pixels = x[0].numel()
    for number in range(batch):
        alone = mixtures_of_steps(model, x[number : number + 1])
        assert len(alone) == len(together)
        for (where, parts), (where_all, parts_all) in zip(alone, together, strict=True):
            rows = where_all // pixels == number
            assert torch.equal(where, where_all[rows] - number * pixels)
            for part, part_all in zip(parts, parts_all, strict=True):
                assert torch.equal(part, part_all[rows])


def test_bits_do_not_depend_on_threads() -> None:
    model = toy(channels=2, num_components=9, num_features=17, rows=3, columns=3)
    x = noise(model, 2, 12, 13)
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            runs.append(mixtures_of_steps(model, x))
    finally:
        torch.set_num_threads(before)
    for (where, parts), (where_again, parts_again) in zip(*runs, strict=True):
        assert torch.equal(where, where_again)
        assert all(torch.equal(a, b) for a, b in zip(parts, parts_again, strict=True))


def test_walk_is_the_same_for_a_model_on_either_precision() -> None:
    """Parameters are widened before anything is computed, so a saved model codes the same."""
    single = toy(channels=2).float()
    double = toy(channels=2)
    double.load_state_dict(single.state_dict())
    x = noise(single, 1, 4, 5)
    for (_, parts), (_, again) in zip(
        mixtures_of_steps(single, x), mixtures_of_steps(double, x), strict=True
    ):
        assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))
