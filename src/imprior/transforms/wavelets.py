r"""Orthogonal wavelets in two dimensions: PyWavelets' filters, applied by convolutions.

With a low-pass filter h and a high-pass filter g of even length L along each axis, and beyond the
image the image again (periodic):

.. math:: a_k = \sum_{i<L} h_i \, x_{2k - L/2 + 1 + i}, \quad
          d_k = \sum_{i<L} g_i \, x_{2k - L/2 + 1 + i}

The transform is orthonormal: energy is kept, and its transpose is its inverse. Where a side is
odd, its last line is repeated first; the coefficients of one line more than there is then tell the
image without loss. These are PyWavelets' conventions for `mode="periodization"`. Of Haar, whose
filters do not overlap, all of its modes agree.

Source: Mallat, A Wavelet Tour of Signal Processing, 3rd ed., Sec. 7.7.
"""

from __future__ import annotations

from functools import cache

import pywt
import torch
from torch import Tensor
from torch.nn import functional

NUM_DETAILS = 3


def filter_length(wavelet: str = "haar") -> int:
    """Length of a wavelet's filters, an even number: 2 for Haar."""
    return int(_bank(wavelet).shape[-1])


def analyze(x: Tensor, wavelet: str = "haar") -> tuple[Tensor, Tensor]:
    """One level of the orthonormal wavelet transform.

    Arguments:
        x: Floats (B, C, H, W), any height and width.
        wavelet: PyWavelets' name of an orthogonal one: "haar", "db2" to "db38", "sym2", "coif1" ...

    Returns:
        The low-pass image, (B, C, ceil(H / 2), ceil(W / 2)), twice as bright as `x`, and the
        details, (B, 3 C, ...): all channels of what changes from row to row (PyWavelets calls its
        edges horizontal), all of what changes from column to column, all of what changes both ways.

    Raises:
        ValueError: If there is no such wavelet, it is not orthogonal, or `x` is not such a tensor.

    Example:
        >>> low, details = analyze(torch.tensor([[[[4.0, 3.0], [2.0, 1.0]]]]))
        >>> low.flatten().tolist(), details.flatten().tolist()
        ([5.0], [2.0, 1.0, 0.0])
    """
    if x.dim() != 4 or not x.is_floating_point():
        raise ValueError(f"wavelets take floats of shape (B, C, H, W), got {x.dtype}, {_size(x)}")
    bank = _bank(wavelet).to(x)
    batch, channels, height, width = x.shape
    even = functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
    around = _extend(even, bank.shape[-1] // 2 - 1)
    bands = functional.conv2d(around.flatten(0, 1).unsqueeze(1), bank, stride=2)
    # (B C, 4, ...) -> (B, 4, C, ...): a band is next to itself, whatever the channel.
    bands = bands.unflatten(0, (batch, channels)).transpose(1, 2).flatten(1, 2)
    return bands[:, :channels], bands[:, channels:]


def synthesize(
    low: Tensor, details: Tensor, wavelet: str = "haar", size: tuple[int, int] | None = None
) -> Tensor:
    """The inverse of `analyze`.

    Arguments:
        low: Floats (B, C, h, w).
        details: Floats (B, 3 C, h, w).
        wavelet: As in `analyze`.
        size: Height and width of the image, where they are not 2 h and 2 w but one less.

    Returns:
        Floats (B, C, H, W).

    Raises:
        ValueError: If there is no such wavelet, or shapes do not fit.
    """
    batch, channels, height, width = low.shape
    if details.shape != (batch, NUM_DETAILS * channels, height, width):
        raise ValueError(
            f"a low-pass image of shape {_size(low)} needs details of shape "
            f"{(batch, NUM_DETAILS * channels, height, width)}, got {_size(details)}"
        )
    size = size or (2 * height, 2 * width)
    if (-(-size[0] // 2), -(-size[1] // 2)) != (height, width):
        raise ValueError(
            f"a low-pass image of {height} x {width} pixels is of an image of twice that size, "
            f"or one line less, not of {size[0]} x {size[1]}"
        )
    bank = _bank(wavelet).to(low)
    overlap = bank.shape[-1] // 2 - 1
    bands = torch.cat([low, details], 1).unflatten(1, (1 + NUM_DETAILS, channels)).transpose(1, 2)
    more = (overlap + 1) // 2
    around = _extend(bands.flatten(0, 1), more)
    x = functional.conv_transpose2d(around, bank, stride=2).unflatten(0, (batch, channels))[:, :, 0]
    start = overlap + 2 * more
    return x[..., start : start + size[0], start : start + size[1]]


def _extend(x: Tensor, count: int) -> Tensor:
    """So many lines more on each side of images (..., H, W), which are periodic."""
    if not count:
        return x
    for axis in (-2, -1):
        length = x.shape[axis]
        lines = torch.arange(-count, length + count, device=x.device) % length
        x = x.index_select(axis, lines)
    return x


def _size(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)


@cache
def _bank(wavelet: str) -> Tensor:
    """The four filters in the order of the bands, float64 (4, 1, L, L)."""
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise ValueError(f"there is no wavelet {wavelet!r}: choose haar, db2, sym4, coif1 or alike")
    filters = pywt.Wavelet(wavelet)
    if not filters.orthogonal:
        raise ValueError(f"the wavelet {wavelet!r} is not orthogonal: choose haar, db2, sym4 ...")
    low, high = (torch.tensor(taps, dtype=torch.float64) for taps in filters.filter_bank[2:])
    pairs = [(low, low), (high, low), (low, high), (high, high)]
    return torch.stack([torch.outer(rows, columns) for rows, columns in pairs])[:, None]
