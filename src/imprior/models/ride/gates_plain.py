"""The gates of a spatial LSTM as plain PyTorch: for devices without a compiled version.

All three work on a whole diagonal of cells (`Step`), in place, on tensors with a cell a row. With n
units:

- `p`: what the affine maps see: h of the left and the upper neighbour, in the extended variant
  c of both too (`streams` 2 or 4 times n columns), then the inputs and a 1;
- `a`: (.., 5 n), the maps of g, o, i, f^r, f^c, in the order of the paper;
- `h`, `c`: outputs and memory states, (.., n).
"""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.models.ride.diagonals import Step


def _neighbours(before: Tensor, cells: int, shift: int, batch: int) -> tuple[Tensor, Tensor]:
    """Of a diagonal's states, those of the left and upper neighbours of the next one's cells.

    Zeros where there are none.
    """
    before = torch.nn.functional.pad(before, (0, 0, batch, batch))
    left, up = (shift + 1) * batch, shift * batch
    return before[left : left + cells], before[up : up + cells]


def _memories(c: Tensor, step: Step) -> tuple[Tensor, Tensor]:
    """Memory of the left and of the upper neighbours of a diagonal's cells."""
    before = c[step.before : step.before + step.cells_before]
    return _neighbours(before, step.cells, step.shift, step.batch)


def _hand_on(
    p: Tensor, states: tuple[Tensor, ...], before: slice, after: slice, shift: int, batch: int
) -> None:
    """Writes states of the cells `before` to the inputs of the next diagonal's, `after`."""
    cells = after.stop - after.start
    columns = [c for s in states for c in _neighbours(s[before], cells, shift, batch)]
    p[after, : len(columns) * columns[0].shape[1]] = torch.cat(columns, 1)


def push(p: Tensor, h: Tensor, c: Tensor, step: Step, streams: int) -> None:
    """Hands the states of the diagonal before `step`, or zeros, on to the inputs of `step`."""
    before = slice(step.before, step.before + step.cells_before)
    rows = slice(step.start, step.start + step.cells)
    _hand_on(p, (h, c)[: streams // 2], before, rows, step.shift, step.batch)


def forward(
    p: Tensor, a: Tensor, h: Tensor, c: Tensor, step: Step, streams: int, bound: float
) -> None:
    """Gates, memory (within `bound`) and output, which go on to the inputs of the next diagonal.

    `a` holds affine maps and then gates.
    """
    n, rows = h.shape[1], slice(step.start, step.start + step.cells)
    a[rows, :n].tanh_()
    a[rows, n:].sigmoid_()
    g, o, i, f_up, f_left = a[rows].split(n, 1)
    c_left, c_up = _memories(c, step)
    c[rows] = (g * i + c_left * f_left + c_up * f_up).clamp(-bound, bound)
    h[rows] = torch.tanh(c[rows] * o)
    after = slice(step.after, step.after + step.cells_after)
    _hand_on(p, (h, c)[: streams // 2], rows, after, step.shift_after, step.batch)


def _from_after(rows: Tensor, step: Step, right: slice, down: slice) -> Tensor:
    """What the cells to the right and below hand back, in different columns of `rows`."""
    padded = torch.nn.functional.pad(rows, (0, 0, step.batch, step.batch))
    to_right = (1 - step.shift_after) * step.batch
    to_down = (2 - step.shift_after) * step.batch
    to_cells = slice(to_right, to_right + step.cells), slice(to_down, to_down + step.cells)
    return padded[to_cells[0], right] + padded[to_cells[1], down]


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
    """Gradients of a diagonal's affine maps, given those of the next diagonal.

    Arguments:
        by_h: Gradients of the outputs, from outside of the layer, placed as `h` is.
        by_p_after: Gradients of the next diagonal's inputs, its first cell first.
        carry_after: Gradients that the next diagonal's memory hands back, left then up.
        carry: Where this diagonal's are written, first cell first.
        by_a, place_by_a: Where the gradients are written, from which row on.
    """
    n, rows = h.shape[1], slice(step.start, step.start + step.cells)
    left, up = slice(0, n), slice(n, 2 * n)
    by_out, by_c = by_h[rows], torch.zeros_like(c[rows])
    if step.cells_after:
        by_p, after = by_p_after[: step.cells_after], carry_after[: step.cells_after]
        by_out = by_out + _from_after(by_p, step, left, up)
        by_c = _from_after(after, step, left, up)
        if streams == 4:
            columns = slice(2 * n, 3 * n), slice(3 * n, 4 * n)
            by_c += _from_after(by_p, step, *columns)
    g, o, i, f_up, f_left = a[rows].split(n, 1)
    c_left, c_up = _memories(c, step)
    by_product = by_out * (1 - h[rows].square())
    by_c = (by_c + by_product * o) * (c[rows].abs() < bound)
    carry[: step.cells] = torch.cat([by_c * f_left, by_c * f_up], 1)
    by_a[place_by_a : place_by_a + step.cells] = torch.cat(
        [
            by_c * i * (1 - g.square()),
            by_product * c[rows] * o * (1 - o),
            by_c * g * i * (1 - i),
            by_c * c_up * f_up * (1 - f_up),
            by_c * c_left * f_left * (1 - f_left),
        ],
        1,
    )
