"""The gates of a conv-LSTM: on the CPU one compiled pass over pixels, forwards and backwards.

PyTorch alone would read and write the gates of all pixels a dozen times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function

from imprior.distributions.elementary import one_minus_square, sigmoid, tanh

compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
Array = NDArray[Any]


def gates(z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    """New h and c, (B, n, H, W) each.

    Arguments:
        z: The gates i, f, g, o before their nonlinearities, (B, 4 n, H, W).
        c: The memory before, (B, n, H, W); None for zeros.
    """
    if z.device.type != "cpu":
        return plain(z, c)
    return Gates.apply(z.float() if z.dtype is torch.bfloat16 else z, c)


def plain(z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same in PyTorch."""
    i, f, g, o = z.chunk(4, 1)
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
    def forward(ctx: Any, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keeps the gates after their nonlinearities, if there will be a way back."""
        into = rows(z)
        n = into.shape[1] // 4
        old = np.empty((0, n), into.dtype) if c is None else rows(c)
        h, new = np.empty((len(into), n), into.dtype), np.empty((len(into), n), into.dtype)
        kept = np.empty_like(into[: len(into) if any(ctx.needs_input_grad) else 0])
        forwards(into, old, h, new, kept)
        ctx.arrays, ctx.shape = (kept, old, new), z.shape
        return image(h, z.shape), image(new, z.shape)

    @staticmethod
    def backward(ctx: Any, by_h: Tensor, by_c: Tensor) -> tuple[Tensor, Tensor | None]:
        """Gradients by z and by the memory before."""
        kept, old, new = ctx.arrays
        by_z, by_old = np.empty_like(kept), np.empty_like(old)
        backwards(kept, old, new, rows(by_h), rows(by_c), by_z, by_old)
        return image(by_z, ctx.shape), image(by_old, ctx.shape) if len(old) else None


@compiled
def forwards(z, old, h, new, activated):  # type: ignore[no-untyped-def]
    """Writes h and the new memory; the gates too if there is room for them."""
    n = h.shape[1]
    gate = np.empty(4 * n, z.dtype)
    for q in range(z.shape[0]):
        row, memory, result = z[q], new[q], h[q]
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


@compiled
def backwards(activated, old, new, by_h, by_c, by_z, by_old):  # type: ignore[no-untyped-def]
    """Writes the gradients by z and by the old memory."""
    n = by_h.shape[1]
    squashed, slope = np.empty(n, by_h.dtype), np.empty(n, by_h.dtype)
    for q in range(by_h.shape[0]):
        gate, out, memory = activated[q], by_z[q], new[q]
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
