"""The gates of a conv-LSTM: on the CPU one compiled pass over pixels, forwards and backwards.

PyTorch alone would read and write the gates of all pixels a dozen times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function

from imprior.distributions.compiling import free
from imprior.distributions.elementary import one_minus_square, sigmoid, tanh

Array = NDArray[Any]


def gates(x: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """New h and c, (B, n, H, W) each.

    Arguments:
        x, y: What inputs and the state before contribute to the gates i, f, g, o before their
            nonlinearities, (B, 4 n, H, W).
        c: The memory before, (B, n, H, W). Without one, as without y, it is zero.
    """
    if x.device.type != "cpu":
        return plain(x, y, c)
    if x.dtype is torch.bfloat16:
        x, y = x.float(), None if y is None else y.float()
    return Gates.apply(x, y, c)


def plain(x: Tensor, y: Tensor | None = None, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The same in PyTorch."""
    i, f, g, o = (x if y is None else x + y).chunk(4, 1)
    memory = i.sigmoid() * g.tanh()
    if c is not None:
        memory = memory + f.sigmoid() * c
    return o.sigmoid() * memory.tanh(), memory


def rows(x: Tensor) -> Array:
    """Pixels of a tensor, (B H W, C); no copy in channels_last."""
    return x.detach().permute(0, 2, 3, 1).flatten(0, 2).contiguous().numpy()


def image(array: Array, shape: torch.Size) -> Tensor:
    """The inverse of `rows`."""
    batch, _, height, width = shape
    return torch.from_numpy(array).view(batch, height, width, -1).permute(0, 3, 1, 2)


class Gates(Function):
    """`gates`, and its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keeps the gates after their nonlinearities, if there will be a way back."""
        into = rows(x)
        n = into.shape[1] // 4
        more = into[:0] if y is None else rows(y)
        old = into[:0, :n] if c is None else rows(c)
        h, new = np.empty((len(into), n), into.dtype), np.empty((len(into), n), into.dtype)
        kept = np.empty_like(into[: len(into) if any(ctx.needs_input_grad) else 0])
        forwards(into, more, np.ascontiguousarray(old), h, new, kept)
        ctx.arrays, ctx.shape = (kept, old, new), x.shape
        return image(h, x.shape), image(new, x.shape)

    @staticmethod
    def backward(
        ctx: Any, by_h: Tensor, by_c: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Gradients by both contributions, which are the same, and by the memory before."""
        kept, old, new = ctx.arrays
        by_gates, by_old = np.empty_like(kept), np.empty_like(old)
        backwards(kept, old, new, rows(by_h), rows(by_c), by_gates, by_old)
        by_both, memory = image(by_gates, ctx.shape), len(old) > 0
        by_y = by_both if ctx.needs_input_grad[1] else None
        return by_both, by_y, image(by_old, ctx.shape) if memory else None


@free
def forwards(x, y, old, h, new, activated):  # type: ignore[no-untyped-def]
    """Writes h and the new memory; the gates too if there is room for them."""
    n = h.shape[1]
    gate, total = np.empty(4 * n, x.dtype), np.empty(4 * n, x.dtype)
    for q in range(x.shape[0]):
        row, memory, result = x[q], new[q], h[q]
        if y.shape[0]:
            more = y[q]
            for k in range(4 * n):
                total[k] = row[k] + more[k]
            row = total
        for k in range(2 * n):
            gate[k] = sigmoid(row[k])
        for k in range(2 * n, 3 * n):
            gate[k] = tanh(row[k])
        for k in range(3 * n, 4 * n):
            gate[k] = sigmoid(row[k])
        i, f, g, o = gate[:n], gate[n : 2 * n], gate[2 * n : 3 * n], gate[3 * n :]
        if old.shape[0]:
            before = old[q]
            for k in range(n):
                memory[k] = i[k] * g[k] + f[k] * before[k]
        else:
            for k in range(n):
                memory[k] = i[k] * g[k]
        for k in range(n):
            result[k] = o[k] * tanh(memory[k])
        if activated.shape[0]:
            activated[q] = gate


@free
def backwards(activated, old, new, by_h, by_c, by_gates, by_old):  # type: ignore[no-untyped-def]
    """Writes the gradients by the gates before their nonlinearities and by the old memory."""
    n = by_h.shape[1]
    squashed, slope = np.empty(n, by_h.dtype), np.empty(n, by_h.dtype)
    for q in range(by_h.shape[0]):
        gate, out, memory = activated[q], by_gates[q], new[q]
        i, f, g, o = gate[:n], gate[n : 2 * n], gate[2 * n : 3 * n], gate[3 * n :]
        for_i, for_f, for_g, for_o = out[:n], out[n : 2 * n], out[2 * n : 3 * n], out[3 * n :]
        by_result, by_memory = by_h[q], by_c[q]
        for k in range(n):
            squashed[k] = tanh(memory[k])
        for k in range(n):
            slope[k] = by_memory[k] + by_result[k] * o[k] * one_minus_square(squashed[k])
            for_o[k] = by_result[k] * squashed[k] * (o[k] - o[k] * o[k])
        for k in range(n):
            for_i[k] = slope[k] * g[k] * (i[k] - i[k] * i[k])
            for_g[k] = slope[k] * i[k] * one_minus_square(g[k])
        if old.shape[0]:
            before, for_before = old[q], by_old[q]
            for k in range(n):
                for_f[k] = slope[k] * before[k] * (f[k] - f[k] * f[k])
                for_before[k] = slope[k] * f[k]
        else:
            for_f[:] = 0
