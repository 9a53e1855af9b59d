"""The gates of a spatial LSTM on the CPU: each pass over a diagonal's cells is one compiled loop.

`gates_plain` says the same in PyTorch, and what the arguments are.
"""

from __future__ import annotations

import numpy as np

from imprior.distributions.compiling import free
from imprior.distributions.elementary import one_minus_square, sigmoid, tanh


@free
def hand_on(row, first, out, memory, streams):  # type: ignore[no-untyped-def]
    """Writes a neighbour's states to inputs: from column 0 the left one's, n the upper one's."""
    n = out.size
    row[first : first + n] = out
    if streams == 4:
        row[first + 2 * n : first + 3 * n] = memory


@free
def push(p, h, c, step, streams):  # type: ignore[no-untyped-def]
    """Hands the states of the diagonal before `step`, or zeros, on to the inputs of `step`."""
    n = h.shape[1]
    by_left, by_up = step.shift * step.batch, (step.shift - 1) * step.batch
    for q in range(step.cells):
        row = p[step.start + q]
        left, up = q + by_left, q + by_up
        row[: streams * n] = 0
        if left < step.cells_before:
            hand_on(row, 0, h[step.before + left], c[step.before + left], streams)
        if 0 <= up < step.cells_before:
            hand_on(row, n, h[step.before + up], c[step.before + up], streams)


@free
def forward(p, a, h, c, step, streams, bound):  # type: ignore[no-untyped-def]
    """Gates, memory and output, which go on to the inputs of the next diagonal.

    `a` holds affine maps and then gates.
    """
    n = h.shape[1]
    nothing = np.zeros_like(c[0])
    by_left, by_up = step.shift * step.batch, (step.shift - 1) * step.batch
    to_right, to_down = -step.shift_after * step.batch, (1 - step.shift_after) * step.batch
    for q in range(step.cells):
        place, left, up = step.start + q, q + by_left, q + by_up
        row = a[place]
        # Slices, since LLVM vectorises loops only from 0.
        g, rest = row[:n], row[n:]
        for k in range(g.size):
            g[k] = tanh(g[k])
        for k in range(rest.size):
            rest[k] = sigmoid(rest[k])
        o, i = rest[:n], rest[n : 2 * n]
        f_up, f_left = rest[2 * n : 3 * n], rest[3 * n :]
        c_left = c[step.before + left] if left < step.cells_before else nothing
        c_up = c[step.before + up] if 0 <= up < step.cells_before else nothing
        memory, out = c[place], h[place]
        for k in range(g.size):
            total = g[k] * i[k] + c_left[k] * f_left[k] + c_up[k] * f_up[k]
            memory[k] = min(max(total, -bound), bound)
            out[k] = tanh(memory[k] * o[k])
        right, down = q + to_right, q + to_down
        if 0 <= right < step.cells_after:
            hand_on(p[step.after + right], 0, out, memory, streams)
            if q < step.batch:
                hand_on(p[step.after + right], n, nothing, nothing, streams)
        if down < step.cells_after:
            hand_on(p[step.after + down], n, out, memory, streams)
            if q + step.batch >= step.cells:
                hand_on(p[step.after + down], 0, nothing, nothing, streams)


@free
def backward(  # type: ignore[no-untyped-def]
    a, h, c, by_h, by_p_after, carry_after, carry, by_a, place_by_a, step, streams, bound
):
    """Gradients of a diagonal's affine maps, given those of the next diagonal."""
    n = h.shape[1]
    nothing = np.zeros_like(c[0])
    nothing_after = np.zeros_like(by_p_after[0])
    no_carry = np.zeros_like(carry[0])
    by_left, by_up = step.shift * step.batch, (step.shift - 1) * step.batch
    to_right, to_down = -step.shift_after * step.batch, (1 - step.shift_after) * step.batch
    by_out, by_c = np.empty_like(nothing), np.empty_like(nothing)
    for q in range(step.cells):
        place, left, up = step.start + q, q + by_left, q + by_up
        right, down = q + to_right, q + to_down
        is_right, is_down = 0 <= right < step.cells_after, down < step.cells_after
        p_right = by_p_after[right] if is_right else nothing_after
        p_down = by_p_after[down] if is_down else nothing_after
        e_right = carry_after[right] if is_right else no_carry
        e_down = carry_after[down] if is_down else no_carry
        outer, h_down, c_down = by_h[place], p_down[n:], e_down[n:]
        # Loops over slices, since LLVM vectorises only those that index from 0.
        for k in range(n):
            by_out[k] = outer[k] + p_right[k] + h_down[k]
            by_c[k] = e_right[k] + c_down[k]
        if streams == 4:
            m_right, m_down = p_right[2 * n :], p_down[3 * n :]
            for k in range(n):
                by_c[k] += m_right[k] + m_down[k]
        c_left = c[step.before + left] if left < step.cells_before else nothing
        c_up = c[step.before + up] if 0 <= up < step.cells_before else nothing
        for k in range(n):
            by_out[k] *= one_minus_square(h[place, k])
            by_c[k] += by_out[k] * a[place, n + k]
            by_c[k] = by_c[k] if abs(c[place, k]) < bound else nothing[k]
        by_row = by_a[place_by_a + q]
        through_gates(a[place], c[place], c_left, c_up, by_out, by_c, carry[q], by_row)


@free
def through_gates(  # type: ignore[no-untyped-def]
    row, memory, c_left, c_up, by_product, by_memory, to_neighbours, by_row
):
    """Gradients of a cell's affine maps, and of its neighbours' memory, left and up.

    Given are those of memory times output gate, and of memory.
    """
    n = memory.size
    g, o, i = row[:n], row[n : 2 * n], row[2 * n : 3 * n]
    f_up, f_left = row[3 * n : 4 * n], row[4 * n :]
    by_g, by_o, by_i = by_row[:n], by_row[n : 2 * n], by_row[2 * n : 3 * n]
    by_up_gate, by_left_gate = by_row[3 * n : 4 * n], by_row[4 * n :]
    to_left, to_up = to_neighbours[:n], to_neighbours[n:]
    for k in range(n):
        d = by_memory[k]
        to_left[k] = d * f_left[k]
        to_up[k] = d * f_up[k]
        by_g[k] = d * i[k] * one_minus_square(g[k])
        by_o[k] = by_product[k] * memory[k] * (o[k] - o[k] * o[k])
        by_i[k] = d * g[k] * (i[k] - i[k] * i[k])
        by_up_gate[k] = d * c_up[k] * (f_up[k] - f_up[k] * f_up[k])
        by_left_gate[k] = d * c_left[k] * (f_left[k] - f_left[k] * f_left[k])
