"""RIDE's walk, compiled: spatial LSTM states and mixtures of a wavefront at a time.

As in `compiled`, only additions, multiplications and divisions in a fixed order and our own `exp`
lead from weights and pixels to the mixtures that are coded: the same bits on every machine, in
every batch, on any number of threads. States are in single precision, as in the parallel pass, and
so twice as fast; mixtures are in double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imprior.distributions.compiling import exact
from imprior.distributions.elementary import sigmoid, tanh
from imprior.models.ride.compiled import GROUP, Floats, Integers, weigh

Singles = NDArray[np.float32]
Reals = Floats | Singles


class Layer(NamedTuple):
    """A layer's parameters, (.., 5 n) each.

    Attributes:
        by_input: (D, 5 n), applied to pixels as integers, or to the layer below.
        by_state: (2 n or 4 n, 5 n), to h of the left and the upper neighbour, then c of both.
        offset: (5 n,).
    """

    by_input: Singles
    by_state: Singles
    offset: Singles


class Head(NamedTuple):
    """A mixture's parameters, folded to act on states and on integer pixels.

    Attributes:
        by_state: (n, F + C), to features, then means in grey levels; in single precision.
        by_pixel: (D, F + C).
        offset: (F + C,).
        beta2, eta, precision, inverse_scale: As in `compiled.Table`.
    """

    by_state: Singles
    by_pixel: Floats
    offset: Floats
    beta2: Floats
    eta: Floats
    precision: Floats
    inverse_scale: Floats


@exact
def pixels(
    padded: Integers, base: Integers, rows: Integers, offsets: Integers, first_row: Integers
) -> Singles:
    """The contexts of the pixels at `base` as floats, (m, D); arguments as of `mixtures`."""
    result = np.empty((base.size, offsets.size), np.float32)
    for q in range(base.size):
        steps = first_row if rows[q % rows.size] == 0 else offsets
        for d in range(steps.size):
            result[q, d] = padded[base[q] + steps[d]]
    return result


@exact
def add_products(z: Reals, x: Reals, matrix: Reals) -> None:
    """Adds x @ matrix to z, a few rows at a time; sums run in the order of x."""
    whole = matrix.shape[0] // 4 * 4
    for d in range(0, whole, 4):
        # Four terms at once, in their order: z is loaded and stored a quarter as often.
        row0, row1, row2, row3 = matrix[d], matrix[d + 1], matrix[d + 2], matrix[d + 3]
        for q in range(x.shape[0]):
            x0, x1, x2, x3, total = x[q, d], x[q, d + 1], x[q, d + 2], x[q, d + 3], z[q]
            for n in range(row0.size):
                sums = total[n] + x0 * row0[n] + x1 * row1[n]
                total[n] = sums + x2 * row2[n] + x3 * row3[n]
    for d in range(whole, matrix.shape[0]):
        row = matrix[d]
        for q in range(x.shape[0]):
            value, total = x[q, d], z[q]
            for n in range(row.size):
                total[n] += value * row[n]


@exact
def cell(
    z: Singles, c_left: Singles, c_up: Singles, bound: np.float32, memory: Singles, out: Singles
) -> None:
    """Writes a cell's memory and output, given its affine maps z and the neighbours' memory."""
    n = memory.size
    g, rest = z[:n], z[n:]
    for k in range(g.size):
        g[k] = tanh(g[k])
    for k in range(rest.size):
        rest[k] = sigmoid(rest[k])
    o, gate = rest[:n], rest[n : 2 * n]
    f_up, f_left = rest[2 * n : 3 * n], rest[3 * n :]
    for k in range(g.size):
        total = g[k] * gate[k] + c_left[k] * f_left[k] + c_up[k] * f_up[k]
        memory[k] = min(max(total, -bound), bound)
        out[k] = tanh(memory[k] * o[k])


@exact
def advance(
    h: Singles,
    c: Singles,
    x: Singles,
    slots: tuple[int, int, int],
    top: int,
    by_input: Singles,
    by_state: Singles,
    offset: Singles,
    bound: float,
) -> Singles:
    """Computes a layer's states for a wavefront of rows `top`, `top` + 1, ... of every image.

    Arguments:
        h, c: States that are still needed, (slots, B, H + 1, n). Row y of an image is at y + 1,
            above the first are zeros.
        x: Inputs, (m, D), image after image.
        slots: Where the wavefront's states go, where those of left and of upper neighbours are.
        by_input, by_state, offset: See `Layer`.
        bound: Largest memory.

    Returns:
        The new h, (m, n).
    """
    here, left, up = slots
    batch, n = h.shape[1], h.shape[3]
    rows = x.shape[0] // batch
    out = np.empty((x.shape[0], n), np.float32)
    z = np.empty((GROUP, offset.size), np.float32)
    seen = np.empty((GROUP, by_state.shape[0]), np.float32)
    for start in range(0, x.shape[0], GROUP):
        count = min(GROUP, x.shape[0] - start)
        for i in range(count):
            b, y = divmod(start + i, rows)
            z[i] = offset
            seen[i, :n] = h[left, b, top + y + 1]
            seen[i, n : 2 * n] = h[up, b, top + y]
            if by_state.shape[0] > 2 * n:
                seen[i, 2 * n : 3 * n] = c[left, b, top + y + 1]
                seen[i, 3 * n :] = c[up, b, top + y]
        add_products(z[:count], x[start : start + count], by_input)
        add_products(z[:count], seen[:count], by_state)
        for i in range(count):
            b, y = divmod(start + i, rows)
            c_left, c_up = c[left, b, top + y + 1], c[up, b, top + y]
            memory, result = c[here, b, top + y + 1], out[start + i]
            cell(z[i], c_left, c_up, np.float32(bound), memory, result)
            h[here, b, top + y + 1] = result
    return out


@exact
def mixtures(
    state: Singles,
    x: Singles,
    by_state: Singles,
    by_pixel: Floats,
    offset: Floats,
    beta2: Floats,
    eta: Floats,
    precision: Floats,
    inverse_scale: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Weights, means and inverse scales, (m, C * S) each, from states (m, n), pixels (m, D)."""
    weights = np.empty((x.shape[0], eta.size))
    means = np.empty((x.shape[0], eta.size))
    spreads = np.empty((x.shape[0], eta.size))
    z = np.empty((GROUP, offset.size))
    of_state = np.empty((GROUP, offset.size), np.float32)
    energy = np.empty(beta2.shape[1])
    for start in range(0, x.shape[0], GROUP):
        stop = min(start + GROUP, x.shape[0])
        group, part = z[: stop - start], of_state[: stop - start]
        part[:] = 0
        add_products(part, state[start:stop], by_state)
        for i in range(stop - start):
            group[i] = offset + part[i]
        add_products(group, x[start:stop], by_pixel)
        for i in range(stop - start):
            places = weights[start + i], means[start + i], spreads[start + i]
            weigh(group[i], places, beta2, eta, precision, inverse_scale, energy)
    return weights, means, spreads


@exact
def product(a: Floats, b: Floats) -> Floats:
    """A @ b, its sums in order."""
    result = np.zeros((a.shape[0], b.shape[1]))
    add_products(result, a, b)
    return result
