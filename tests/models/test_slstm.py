"""The spatial LSTM by diagonals is the paper's double loop, forward and backward."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor

from imprior.models.ride import gates_numba, gates_plain, slstm
from imprior.models.ride.diagonals import positions
from imprior.models.ride.slstm import LARGEST_MEMORY, SpatialLSTM, State
from tests.models.slstms import SIZES, Size, apply, assert_close, gradients, noise, toy, variants
from tests.reference import slstm as reference

MANY = Size(3, 20, 15, 2, 2)  # more cells than go into one product for the weights


@pytest.fixture(params=[gates_numba, gates_plain], ids=["numba", "plain"])
def _gates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has layers use one of the kernels that this machine has."""
    gates: ModuleType = request.param
    view = Tensor.numpy if gates is gates_numba else lambda t: t
    monkeypatch.setattr(slstm, "_kernels", lambda _: (gates, view))


@pytest.mark.usefixtures("_gates")
@variants
@pytest.mark.parametrize("size", [*SIZES, pytest.param(MANY, id="many")])
def test_is_the_double_loop(size: Size, extended: bool) -> None:
    layer, x = toy(size, extended), noise(size).requires_grad_()
    expected = reference.outputs(x, layer.weight, layer.bias, extended=extended)
    actual = apply(layer, x)
    assert_close(actual, expected, 1e-10)
    by_h = torch.randn_like(expected)
    pairs = zip(gradients(layer, x, actual, by_h), gradients(layer, x, expected, by_h), strict=True)
    for gradient, truth in pairs:
        assert_close(gradient, truth, 1e-10)


@pytest.mark.usefixtures("_gates")
@variants
@pytest.mark.parametrize("bound", [LARGEST_MEMORY, 0.4], ids=["free", "bound"])
def test_gradcheck(bound: float, extended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slstm, "LARGEST_MEMORY", bound)
    size = Size(2, 3, 3, 1, 2)
    layer = toy(size, extended)
    x = noise(size)[positions(size.grid, 0, len(size.grid))].requires_grad_()
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def outputs(x: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, named, (x, size.grid))

    assert torch.autograd.gradcheck(outputs, (x, *parameters))


def test_weights_learn_where_inputs_need_no_gradient() -> None:
    layer, x = toy(MANY), noise(MANY)
    loss = apply(layer, x).square().sum()
    alone = torch.autograd.grad(loss, list(layer.parameters()))
    x.requires_grad_()
    with_inputs = gradients(layer, x, apply(layer, x).square().sum(), torch.ones(()).double())
    for gradient, truth in zip(alone, with_inputs[1:], strict=True):
        assert_close(gradient, truth, 1e-12)


@pytest.mark.usefixtures("_gates")
@variants
@pytest.mark.parametrize("at_least", [1, 10, 1000])
@pytest.mark.parametrize("size", [*SIZES, pytest.param(MANY, id="many")])
def test_blocks_are_the_whole(size: Size, at_least: int, extended: bool) -> None:
    layer, x, grid = toy(size, extended), noise(size), size.grid
    state: State | None = None
    parts = []
    for first, stop in grid.blocks(at_least):
        part, state = layer.advance(x[positions(grid, first, stop)], grid, first, stop, state)
        parts.append(part)
    whole = layer(x[positions(grid, 0, len(grid))], grid)
    assert_close(torch.cat(parts), whole.detach(), 1e-12)


@variants
def test_pixels_see_what_is_above_and_to_the_left_alone(extended: bool) -> None:
    size = Size(1, 4, 5, 2, 3)
    layer, x = toy(size, extended), noise(size).requires_grad_()
    (by_x,) = torch.autograd.grad(apply(layer, x)[0, 2, 3].sum(), x)
    moved = by_x[0].abs().sum(2) > 0
    assert moved[:3, :4].all()
    assert moved.sum() == 12


@variants
def test_an_image_does_not_see_its_batch(extended: bool) -> None:
    size = Size(4, 5, 6, 2, 3)
    layer, x = toy(size, extended), noise(size)
    together = apply(layer, x)
    for number in range(size.batch):
        assert_close(apply(layer, x[number : number + 1])[0], together[number], 1e-12)


def test_same_bits_every_time() -> None:
    layer, x = toy(MANY).float(), noise(MANY).float().requires_grad_()
    runs = []
    for _ in range(2):
        h = apply(layer, x)
        runs.append((h, *gradients(layer, x, h, torch.ones_like(h))))
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first, second)


@variants
def test_single_precision_is_close_to_double(extended: bool) -> None:
    size = Size(2, 12, 10, 4, 8)
    layer, x = toy(size, extended, 0.3), noise(size).requires_grad_()
    h = apply(layer, x)
    exact = (h, *gradients(layer, x, h, torch.ones_like(h)))
    single = x.detach().float().requires_grad_()
    h = apply(layer.float(), single)
    rounded = (h, *gradients(layer, single, h, torch.ones_like(h)))
    for actual, expected in zip(rounded, exact, strict=True):
        assert actual.dtype == torch.float32
        assert_close(actual.double(), expected, 1e-4)


@variants
def test_autocast_rounds_products_only(extended: bool) -> None:
    size = Size(2, 8, 9, 4, 8)
    layer, x = toy(size, extended, 0.3).float(), noise(size).float().requires_grad_()
    h = apply(layer, x)
    by_h = torch.randn_like(h)
    exact = gradients(layer, x, h, by_h)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = apply(layer, x)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, h)
    assert_close(rounded, h, 0.03)
    for actual, expected in zip(gradients(layer, x, rounded, by_h), exact, strict=True):
        assert_close(actual / expected.norm(), expected / expected.norm(), 0.03)


@pytest.mark.usefixtures("_gates")
def test_memory_that_would_grow_without_end_stays_finite() -> None:
    size = Size(1, 90, 90, 2, 3)
    layer, x = toy(size).float(), noise(size).float().requires_grad_()
    with torch.no_grad():
        layer.bias[3 * size.units :] = 5  # f^c + f^r is about 2: 2^178 over the image
    h = apply(layer, x)
    assert h.isfinite().all()
    for gradient in gradients(layer, x, h, torch.ones_like(h)):
        assert gradient.isfinite().all()
    rows = x.detach()[positions(size.grid, 0, len(size.grid))]
    _, state = layer.advance(rows, size.grid, 0, len(size.grid), None)
    assert state.c.abs().max() == LARGEST_MEMORY


def test_initialization_is_the_published_one() -> None:
    layers = [SpatialLSTM(24, 16, extended=True) for _ in range(2)]
    for layer in layers:
        layer.initialize(torch.Generator().manual_seed(1))
    weight = layers[0].weight.detach()
    assert torch.equal(weight, layers[1].weight)
    assert 0.079 < weight.max() <= 0.08
    assert -0.08 <= weight.min() < -0.079
    assert abs(float(weight.mean())) < 2e-3
    assert layers[0].bias.abs().max() == 0
