r"""3×3 convolutions with 16 products where there are 36, on one core or two.

Squares of 2×2 outputs Y come from squares of 4×4 inputs D and kernels g:

.. math:: Y = A^T [(G g G^T) \odot (B^T D B)] A, \quad
    B^T = \begin{pmatrix} 1&0&-1&0\\ 0&1&1&0\\ 0&-1&1&0\\ 0&1&0&-1 \end{pmatrix}, \quad
    A^T = \begin{pmatrix} 1&1&1&0\\ 0&1&-1&-1 \end{pmatrix}

The product of each of the 16 places, summed over channels, is one of matrices. Squares are taken so
few at a time that they stay in the cache. Rounding errors are those of a plain convolution.

Source: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks (2016), F(2×2, 3×3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imprior.distributions.compiling import free

Array = NDArray[Any]

SIDE = 2  # of a square of outputs
PIECE = 160  # squares at once
MOST_THREADS = 2  # PyTorch's convolutions use all of them, the sums here one
FEWEST_CHANNELS = 48  # that are worth it
KERNEL = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])  # G


def pays(x: Tensor, kernel: Tensor) -> bool:
    """Whether `convolve` can take these, and is faster than PyTorch."""
    return (
        kernel.shape[2:] == (3, 3)
        and min(kernel.shape[:2]) >= FEWEST_CHANNELS
        and (x.device.type, x.dtype, kernel.dtype) == ("cpu", torch.float32, torch.float32)
        and not torch.is_autocast_enabled("cpu")
        and not (torch.is_grad_enabled() and (x.requires_grad or kernel.requires_grad))
        and torch.get_num_threads() <= MOST_THREADS
    )


@torch.no_grad()
def convolve(x: Tensor, kernel: Tensor, *, rectify: bool, spare: Tensor | None = None) -> Tensor:
    """Correlates images with 3×3 kernels, beyond the images zeros.

    Arguments:
        x: Floats (B, I, H, W) on the CPU, fast in channels_last.
        kernel: Of the same type, (O, I, 3, 3).
        rectify: Whether negative results become 0.
        spare: An earlier result that may be overwritten, if it fits: memory that is new to
            a process costs as much as a tenth of the sums.

    Returns:
        (B, O, H, W) in channels_last. No gradient goes through it.
    """
    outputs, inputs = kernel.shape[:2]
    square = torch.kron(KERNEL, KERNEL).to(kernel)  # (16, 9): G g G^T of a flattened g
    products = (square @ kernel.permute(2, 3, 1, 0).reshape(9, -1)).view(16, inputs, outputs)
    batch, _, height, width = x.shape
    seen = x.permute(0, 2, 3, 1).contiguous().numpy()
    shape = batch, height, width, outputs
    rows = None if spare is None else spare.permute(0, 2, 3, 1)
    if rows is None or rows.shape != shape or not rows.is_contiguous():
        rows = x.new_empty(shape)
    result = rows.numpy()
    nothing = np.zeros(inputs, seen.dtype)
    total = batch * (-(-height // 2)) * (-(-width // 2))
    before = torch.empty(16, min(PIECE, total), inputs, dtype=x.dtype)
    after = torch.empty(16, min(PIECE, total), outputs, dtype=x.dtype)
    for start in range(0, total, PIECE):
        count = min(PIECE, total - start)
        if count < before.shape[1]:
            before, after = (y.flatten()[: 16 * count * y.shape[2]] for y in (before, after))
            before, after = before.view(16, count, inputs), after.view(16, count, outputs)
        _transform(seen, nothing, start, before.numpy())
        torch.bmm(before, products, out=after)
        _gather(after.numpy(), start, result, rectify)
    return rows.permute(0, 3, 1, 2)


@free
def _square(number, height, width):  # type: ignore[no-untyped-def]
    """The image that a square of outputs is of, and its first row and column."""
    down, across = (height + 1) // 2, (width + 1) // 2
    image, place = divmod(number, down * across)
    return image, 2 * (place // across), 2 * (place % across)


@free
def _transform(x, nothing, start, v):  # type: ignore[no-untyped-def]
    """Writes B^T D B of the squares from `start` on, (16, n, I); `nothing` is beyond the image."""
    _, height, width, inputs = x.shape
    one = x.dtype.type(1)
    for n in range(v.shape[1]):
        image, row, column = _square(start + n, height, width)
        top, left = row - 1, column - 1
        for a in range(4):
            # Each row of B^T has two ones: the second place is added or taken away.
            r, s = top + (0, 1, 2, 1)[a], top + (2, 2, 1, 3)[a]
            r_in, s_in, row_sign = 0 <= r < height, 0 <= s < height, one if a == 1 else -one
            for b in range(4):
                c, d = left + (0, 1, 2, 1)[b], left + (2, 2, 1, 3)[b]
                c_in, d_in, sign = 0 <= c < width, 0 <= d < width, one if b == 1 else -one
                rc = x[image, r, c] if r_in and c_in else nothing
                sc = x[image, s, c] if s_in and c_in else nothing
                rd = x[image, r, d] if r_in and d_in else nothing
                sd = x[image, s, d] if s_in and d_in else nothing
                out = v[4 * a + b, n]
                for k in range(inputs):
                    out[k] = (rc[k] + row_sign * sc[k]) + sign * (rd[k] + row_sign * sd[k])


@free
def _gather(m, start, y, rectify):  # type: ignore[no-untyped-def]
    """Writes A^T M A of the squares from `start` on to the images."""
    _, height, width, outputs = y.shape
    nothing = y.dtype.type(0)
    for n in range(m.shape[1]):
        image, top, left = _square(start + n, height, width)
        for i in range(2):
            row, first, sign = top + i, 4 * i, y.dtype.type(1 - 2 * i)
            if row >= height:
                continue
            for j in range(2):
                column, turn = left + j, y.dtype.type(1 - 2 * j)
                if column >= width:
                    continue
                out = y[image, row, column]
                p, q, r = first + j, first + 1 + j, first + 2 + j
                for k in range(outputs):
                    # Rows i to i + 2 of A^T M, each at columns j to j + 2.
                    total = (
                        (m[p, n, k] + sign * m[p + 4, n, k] + sign * m[p + 8, n, k])
                        + turn * (m[q, n, k] + sign * m[q + 4, n, k] + sign * m[q + 8, n, k])
                        + turn * (m[r, n, k] + sign * m[r + 4, n, k] + sign * m[r + 8, n, k])
                    )
                    out[k] = max(total, nothing) if rectify else total
