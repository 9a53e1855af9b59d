r"""The spatial LSTM, by anti-diagonals.

.. math::
    c_{ij} &= g_{ij} \odot i_{ij} + c_{i,j-1} \odot f^c_{ij} + c_{i-1,j} \odot f^r_{ij}

    h_{ij} &= \tanh(c_{ij} \odot o_{ij})

with gates from an affine map of :math:`(x_{ij}, h_{i,j-1}, h_{i-1,j})`: tanh for g, the logistic
function for o, i, :math:`f^r, f^c`. All cells of an anti-diagonal, of all images, go through one
matrix product and one fused pass of the gates; so does the way back.

Source: Theis & Bethge (2015), Eqs. 7-9; Graves & Schmidhuber (2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from imprior.models.ride import gates_numba, gates_plain
from imprior.models.ride.diagonals import Diagonals, Step, steps

INITIAL_RANGE = 0.08
LARGEST_MEMORY = 1e4
"""Where f^c + f^r > 1, memory grows exponentially with the distance from the corner of an image:
it stops here, long after the output is saturated, instead of at infinity. See README."""
CELLS_OF_A_PRODUCT = 512
"""Cells whose weight gradients go into one product: many enough to be efficient, few enough that
what they read is still in the cache."""


@dataclass(frozen=True)
class Memory:
    """What a layer keeps of the cells it has passed, a row each; see `gates_plain`."""

    p: Tensor
    a: Tensor
    h: Tensor
    c: Tensor

    @classmethod
    def of(cls, cells: int, matrix: Tensor) -> Memory:
        """Room for so many cells, with uninitialized values."""
        inputs, outputs = matrix.shape
        sizes = (inputs, outputs, outputs // 5, outputs // 5)
        return cls(*(matrix.new_empty(cells, size) for size in sizes))


@dataclass(frozen=True)
class State:
    """Outputs and memory of the last diagonal of a block, to go on from."""

    h: Tensor
    c: Tensor


def _kernels(tensor: Tensor) -> tuple[ModuleType, Any]:
    """The gates for a device, and the form in which they take tensors."""
    if tensor.dtype in (torch.float32, torch.float64):
        if tensor.device.type == "cpu":
            return gates_numba, Tensor.numpy
        if tensor.device.type == "cuda" and find_spec("triton") is not None:
            # Not with the rest: Triton is at home on few machines, and slow to import.
            return import_module("imprior.models.ride.gates_triton"), lambda t: t
    return gates_plain, lambda t: t


def _bound(tensor: Tensor) -> Any:
    """`LARGEST_MEMORY` in the precision of a tensor, as compiled loops need it."""
    return np.float32(LARGEST_MEMORY) if tensor.dtype == torch.float32 else LARGEST_MEMORY


def _product(x: Tensor, matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """X @ matrix, from numbers rounded to `dtype`, in the precision of x."""
    return torch.mm(x.to(dtype), matrix.to(dtype)).to(x.dtype)


def _precision(matrix: Tensor) -> torch.dtype:
    """What products round their factors to: less than the matrix has under `torch.autocast`."""
    device = matrix.device.type
    if torch.is_autocast_enabled(device) and matrix.dtype == torch.float32:
        return torch.get_autocast_dtype(device)
    return matrix.dtype


def run(
    memory: Memory, matrix: Tensor, plan: tuple[Step, ...], streams: int, dtype: torch.dtype
) -> None:
    """The forward pass over the diagonals of `plan`; inputs are in `memory.p` already."""
    gates, view = _kernels(matrix)
    bound = _bound(matrix)
    p, a, h, c = (view(t) for t in (memory.p, memory.a, memory.h, memory.c))
    rounded = matrix.to(dtype)
    gates.push(p, h, c, plan[0], streams)
    for step in plan:
        rows = slice(step.start, step.start + step.cells)
        if dtype == matrix.dtype:
            torch.mm(memory.p[rows], matrix, out=memory.a[rows])
        else:
            memory.a[rows] = _product(memory.p[rows], rounded, dtype)
        gates.forward(p, a, h, c, step, streams, bound)


class _Scan(torch.autograd.Function):
    """`run` over whole grids as one differentiable operation."""

    @staticmethod
    def forward(ctx, x, matrix, diagonals, streams):  # type: ignore[no-untyped-def]
        plan = steps(diagonals, 0, len(diagonals))
        memory = Memory.of(len(x), matrix)
        _set_inputs(memory, x, streams)
        dtype = _precision(matrix)
        run(memory, matrix, plan, streams, dtype)
        ctx.save_for_backward(memory.p, memory.a, memory.h, memory.c, matrix)
        ctx.plan, ctx.streams, ctx.dtype = plan, streams, dtype
        return memory.h

    @staticmethod
    @once_differentiable
    def backward(ctx, by_h):  # type: ignore[no-untyped-def]
        *states, matrix = ctx.saved_tensors
        memory = Memory(*states)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = matrix.new_empty(len(by_h), len(matrix) - 1 - ctx.streams * by_h.shape[1])
        by_h, how = by_h.contiguous(), (ctx.plan, ctx.streams, ctx.dtype)
        by_matrix = _run_back(memory, matrix, by_h, by_x, *how)
        return by_x, by_matrix, None, None


def _set_inputs(memory: Memory, x: Tensor, streams: int) -> None:
    first = streams * memory.h.shape[1]
    memory.p[-len(x) :, first:-1] = x
    memory.p[-len(x) :, -1] = 1


def _run_back(
    memory: Memory,
    matrix: Tensor,
    by_h: Tensor,
    by_x: Tensor | None,
    plan: tuple[Step, ...],
    streams: int,
    dtype: torch.dtype,
) -> Tensor:
    """The backward pass: writes `by_x`, if there is one, and returns the matrix's gradient."""
    gates, view = _kernels(matrix)
    bound = _bound(matrix)
    recurrent = streams * memory.h.shape[1]
    # Without a gradient by the inputs, their columns need not be computed.
    back = (matrix[:recurrent] if by_x is None else matrix[:-1]).T.to(dtype)
    longest = max(step.cells for step in plan)
    by_p = [matrix.new_empty(longest, back.shape[1]) for _ in range(2)]
    carries = [matrix.new_empty(longest, 2 * memory.h.shape[1]) for _ in range(2)]
    by_a = matrix.new_empty(CELLS_OF_A_PRODUCT + longest, matrix.shape[1])
    a, h, c, outer, by_gates = (view(t) for t in (memory.a, memory.h, memory.c, by_h, by_a))
    by_p_views, carry_views = [view(t) for t in by_p], [view(t) for t in carries]
    by_matrix = torch.zeros_like(matrix)
    place, pending = len(by_a), plan[-1].start + plan[-1].cells
    for number, step in enumerate(reversed(plan)):
        this, after = number % 2, 1 - number % 2
        place -= step.cells
        handed = (by_p_views[after], carry_views[after], carry_views[this])
        gates.backward(a, h, c, outer, *handed, by_gates, place, step, streams, bound)
        rows, by_rows = by_a[place : place + step.cells], by_p[this][: step.cells]
        if dtype == matrix.dtype:
            torch.mm(rows, back, out=by_rows)
        else:
            by_rows.copy_(_product(rows, back, dtype))
        if by_x is not None:
            by_x[step.start : step.start + step.cells] = by_rows[:, recurrent:]
        if place < longest or step.start == 0:
            by_matrix += _product(memory.p[step.start : pending].T, by_a[place:], dtype)
            place, pending = len(by_a), step.start
    return by_matrix


class SpatialLSTM(nn.Module):
    """A layer of spatial LSTM units over grids of inputs.

    Inputs and outputs are rows, one a cell, in the order of `diagonals.positions`.

    Arguments:
        num_inputs: Numbers per cell.
        num_units: Units n of the layer.
        extended: Whether gates see the memory states of the neighbours too.

    Source: Theis & Bethge (2015), Eqs. 7-9; the extended variant is that of Sec. 2.2.
    """

    def __init__(self, num_inputs: int, num_units: int, *, extended: bool = False) -> None:
        super().__init__()
        self.streams = 4 if extended else 2
        num_columns = self.streams * num_units + num_inputs
        self.weight = nn.Parameter(torch.zeros(5 * num_units, num_columns))
        self.bias = nn.Parameter(torch.zeros(5 * num_units))

    @property
    def num_units(self) -> int:
        """Units of the layer: the length of an output row."""
        return len(self.bias) // 5

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draws weights uniformly from [-0.08, 0.08], as published; biases become 0."""
        uniform = torch.rand(self.weight.shape, generator=generator, dtype=self.weight.dtype)
        self.weight.copy_((2 * uniform - 1) * INITIAL_RANGE)
        self.bias.zero_()

    def matrix(self) -> Tensor:
        """Weights and biases as the products take them, (inputs + 1, 5 n)."""
        return torch.cat([self.weight.T, self.bias[None]])

    def forward(self, x: Tensor, diagonals: Diagonals) -> Tensor:
        """Outputs of all cells, (N, n), from their inputs, (N, num_inputs); differentiable."""
        return _Scan.apply(x, self.matrix(), diagonals, self.streams)

    @torch.no_grad()
    def advance(
        self, x: Tensor, diagonals: Diagonals, first: int, stop: int, state: State | None
    ) -> tuple[Tensor, State]:
        """Outputs of the diagonals from `first` to before `stop`, in memory that they alone need.

        Arguments:
            x: Their inputs, (N, num_inputs).
            state: What `advance` returned for the diagonals before; None if there are none.
        """
        before, matrix = diagonals.cells(first - 1), self.matrix()
        plan = steps(diagonals, first, stop)
        memory = Memory.of(before + len(x), matrix)
        if state is not None:
            memory.h[:before], memory.c[:before] = state.h, state.c
        _set_inputs(memory, x, self.streams)
        run(memory, matrix, plan, self.streams, matrix.dtype)
        last = slice(plan[-1].start, plan[-1].start + plan[-1].cells)
        return memory.h[before:], State(memory.h[last].clone(), memory.c[last].clone())
