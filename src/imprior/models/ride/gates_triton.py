"""The gates of a spatial LSTM on a GPU: one launch a diagonal, forward and backward.

`gates_plain` says the same in PyTorch, and what the arguments are. Rows are a tensor's cells,
without gaps between them. Programs take tiles of a few cells and units.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from imprior.models.ride.diagonals import Step

CELLS, MOST_UNITS = 4, 128
"""A tile: a power of two of cells, and of units at most so many."""

# Places differ from diagonal to diagonal; code made for special values of them would be many.
PLACES = (*Step._fields, "place_by_a")


def _launch(kernel: Any, step: Step, n: int, *arguments: Any, **constants: Any) -> None:
    units = min(MOST_UNITS, triton.next_power_of_2(n))
    grid = (triton.cdiv(step.cells, CELLS), triton.cdiv(n, units))
    kernel[grid](*arguments, *step, n, **constants, CELLS=CELLS, UNITS=units)


def push(p: Tensor, h: Tensor, c: Tensor, step: Step, streams: int) -> None:
    """Hands the states of the diagonal before `step` on to the inputs of `step`."""
    _launch(_push, step, h.shape[1], p, h, c, p.shape[1], STREAMS=streams)


def forward(
    p: Tensor, a: Tensor, h: Tensor, c: Tensor, step: Step, streams: int, bound: float
) -> None:
    """Gates, memory and output of a diagonal, handed on to the inputs of the next one."""
    arguments = (p, a, h, c, float(bound), p.shape[1])
    _launch(_forward, step, h.shape[1], *arguments, STREAMS=streams)


def backward(
    a: Tensor,
    h: Tensor,
    c: Tensor,
    by_h: Tensor,
    by_p_after: Tensor,
    carry_after: Tensor,
    carry: Tensor,
    by_a: Tensor,
    place_by_a: int,
    step: Step,
    streams: int,
    bound: float,
) -> None:
    """Gradients of a diagonal's affine maps, given those of the next diagonal."""
    tensors = (a, h, c, by_h, by_p_after, carry_after, carry, by_a)
    arguments = (*tensors, place_by_a, float(bound), by_p_after.shape[1])
    _launch(_backward, step, h.shape[1], *arguments, STREAMS=streams)


@triton.jit
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _tanh(x):  # type: ignore[no-untyped-def]
    return 2 / (1 + tl.exp(-2 * x)) - 1


@triton.jit
def _tile(CELLS: tl.constexpr, UNITS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Cells of a diagonal, a column, and units, a row, that this program computes."""
    q = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    k = tl.program_id(1) * UNITS + tl.arange(0, UNITS)
    return q[:, None], k[None, :]


@triton.jit
def _rows(tensor, q, width):  # type: ignore[no-untyped-def]
    """Where rows begin; counted in 64 bits, since batches of large images need them."""
    return tensor + q.to(tl.int64) * width


@triton.jit(do_not_specialize=PLACES)
def _push(  # type: ignore[no-untyped-def]
    p, h, c, inputs, start, cells, before, cells_before, after, cells_after, shift, shift_after,
    batch, n, STREAMS: tl.constexpr, CELLS: tl.constexpr, UNITS: tl.constexpr
):  # fmt: skip
    q, k = _tile(CELLS, UNITS)
    here = (q < cells) & (k < n)
    left, up = q + shift * batch, q + (shift - 1) * batch
    is_left, is_up = here & (left < cells_before), here & (up >= 0) & (up < cells_before)
    to = _rows(p, start + q, inputs) + k
    tl.store(to, tl.load(_rows(h, before + left, n) + k, is_left, 0), here)
    tl.store(to + n, tl.load(_rows(h, before + up, n) + k, is_up, 0), here)
    if STREAMS == 4:
        tl.store(to + 2 * n, tl.load(_rows(c, before + left, n) + k, is_left, 0), here)
        tl.store(to + 3 * n, tl.load(_rows(c, before + up, n) + k, is_up, 0), here)


@triton.jit
def _hand_on(states, to_right, to_down, n, masks):  # type: ignore[no-untyped-def]
    """States are those of a left neighbour of one cell, an upper neighbour of another.

    Where these have no other neighbour, zeros take its place.
    """
    is_right, is_down, is_top, is_first = masks
    tl.store(to_right, states, is_right)
    tl.store(to_down + n, states, is_down)
    tl.store(to_right + n, 0.0, is_top)
    tl.store(to_down, 0.0, is_first)


@triton.jit(do_not_specialize=PLACES)
def _forward(  # type: ignore[no-untyped-def]
    p, a, h, c, bound, inputs, start, cells, before, cells_before, after, cells_after, shift,
    shift_after, batch, n, STREAMS: tl.constexpr, CELLS: tl.constexpr, UNITS: tl.constexpr
):  # fmt: skip
    q, k = _tile(CELLS, UNITS)
    here = (q < cells) & (k < n)
    left, up = q + shift * batch, q + (shift - 1) * batch
    is_left, is_up = here & (left < cells_before), here & (up >= 0) & (up < cells_before)
    c_left = tl.load(_rows(c, before + left, n) + k, is_left, 0)
    c_up = tl.load(_rows(c, before + up, n) + k, is_up, 0)

    gates = _rows(a, start + q, 5 * n) + k
    g = _tanh(tl.load(gates, here, 0))
    o = _sigmoid(tl.load(gates + n, here, 0))
    i = _sigmoid(tl.load(gates + 2 * n, here, 0))
    f_up = _sigmoid(tl.load(gates + 3 * n, here, 0))
    f_left = _sigmoid(tl.load(gates + 4 * n, here, 0))
    memory = g * i + c_left * f_left + c_up * f_up
    memory = tl.clamp(memory, -bound, bound, propagate_nan=tl.PropagateNan.ALL)
    out = _tanh(memory * o)
    tl.store(gates, g, here)
    tl.store(gates + n, o, here)
    tl.store(gates + 2 * n, i, here)
    tl.store(gates + 3 * n, f_up, here)
    tl.store(gates + 4 * n, f_left, here)
    tl.store(_rows(c, start + q, n) + k, memory, here)
    tl.store(_rows(h, start + q, n) + k, out, here)

    right, down = q - shift_after * batch, q + (1 - shift_after) * batch
    is_right, is_down = here & (right >= 0) & (right < cells_after), here & (down < cells_after)
    masks = is_right, is_down, is_right & (q < batch), is_down & (q + batch >= cells)
    to_right, to_down = _rows(p, after + right, inputs) + k, _rows(p, after + down, inputs) + k
    _hand_on(out, to_right, to_down, n, masks)
    if STREAMS == 4:
        _hand_on(memory, to_right + 2 * n, to_down + 2 * n, n, masks)


@triton.jit(do_not_specialize=PLACES)
def _backward(  # type: ignore[no-untyped-def]
    a, h, c, by_h, by_p_after, carry_after, carry, by_a, place_by_a, bound, inputs, start, cells,
    before, cells_before, after, cells_after, shift, shift_after, batch, n,
    STREAMS: tl.constexpr, CELLS: tl.constexpr, UNITS: tl.constexpr
):  # fmt: skip
    q, k = _tile(CELLS, UNITS)
    here = (q < cells) & (k < n)
    right, down = q - shift_after * batch, q + (1 - shift_after) * batch
    is_right, is_down = here & (right >= 0) & (right < cells_after), here & (down < cells_after)
    p_right, p_down = _rows(by_p_after, right, inputs) + k, _rows(by_p_after, down, inputs) + k
    by_out = tl.load(_rows(by_h, start + q, n) + k, here, 0)
    by_out += tl.load(p_right, is_right, 0) + tl.load(p_down + n, is_down, 0)
    by_c = tl.load(_rows(carry_after, right, 2 * n) + k, is_right, 0)
    by_c += tl.load(_rows(carry_after, down, 2 * n) + k + n, is_down, 0)
    if STREAMS == 4:
        by_c += tl.load(p_right + 2 * n, is_right, 0) + tl.load(p_down + 3 * n, is_down, 0)

    left, up = q + shift * batch, q + (shift - 1) * batch
    is_left, is_up = here & (left < cells_before), here & (up >= 0) & (up < cells_before)
    c_left = tl.load(_rows(c, before + left, n) + k, is_left, 0)
    c_up = tl.load(_rows(c, before + up, n) + k, is_up, 0)
    out = tl.load(_rows(h, start + q, n) + k, here, 0)
    memory = tl.load(_rows(c, start + q, n) + k, here, 0)
    gates = _rows(a, start + q, 5 * n) + k
    g, o = tl.load(gates, here, 0), tl.load(gates + n, here, 0)
    i, f_up = tl.load(gates + 2 * n, here, 0), tl.load(gates + 3 * n, here, 0)
    f_left = tl.load(gates + 4 * n, here, 0)

    by_product = by_out * (1 - out * out)
    by_c = tl.where(tl.abs(memory) < bound, by_c + by_product * o, 0)
    to = _rows(carry, q, 2 * n) + k
    tl.store(to, by_c * f_left, here)
    tl.store(to + n, by_c * f_up, here)
    to = _rows(by_a, place_by_a + q, 5 * n) + k
    tl.store(to, by_c * i * (1 - g * g), here)
    tl.store(to + n, by_product * memory * o * (1 - o), here)
    tl.store(to + 2 * n, by_c * g * i * (1 - i), here)
    tl.store(to + 3 * n, by_c * c_up * f_up * (1 - f_up), here)
    tl.store(to + 4 * n, by_c * c_left * f_left * (1 - f_left), here)
