"""The spatial LSTM as the paper writes it: a double loop over the cells of a grid.

Source: Theis & Bethge (2015), Eqs. 7-9.
"""

from __future__ import annotations

import torch
from torch import Tensor

State = tuple[Tensor, Tensor]


def cell(x: Tensor, left: State, up: State, weight: Tensor, bias: Tensor, extended: bool) -> State:
    """Output h and memory c of one cell, (B, n) each, from its input (B, D) and its neighbours."""
    (h_left, c_left), (h_up, c_up) = left, up
    seen = [h_left, h_up, c_left, c_up, x] if extended else [h_left, h_up, x]
    g, o, i, f_r, f_c = (torch.cat(seen, 1) @ weight.T + bias).chunk(5, 1)
    c = g.tanh() * i.sigmoid() + c_left * f_c.sigmoid() + c_up * f_r.sigmoid()
    return torch.tanh(c * o.sigmoid()), c


def outputs(x: Tensor, weight: Tensor, bias: Tensor, *, extended: bool = False) -> Tensor:
    """All outputs, (B, H, W, n), of a layer that sees inputs (B, H, W, D); differentiable.

    Arguments:
        weight: (5 n, 2 n + D): rows of g, o, i, f^r, f^c; columns of h to the left, h above, the
            input. The extended variant has c to the left and c above before the input.
        bias: (5 n,).
    """
    zeros = x.new_zeros(len(x), len(bias) // 5)
    border: State = (zeros, zeros)
    above = [border] * x.shape[2]
    rows = []
    for y in range(x.shape[1]):
        row: list[State] = []
        for column, up in enumerate(above):
            left = row[-1] if row else border
            row.append(cell(x[:, y, column], left, up, weight, bias, extended))
        rows.append(torch.stack([h for h, _ in row], 1))
        above = row
    return torch.stack(rows, 1)
