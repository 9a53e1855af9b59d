"""Integers as continuous values, for models of densities."""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.data.batches import Draws, ImageFiles
from imprior.data.loading import stream_of

MANTISSA = 24  # bits of a float32


class Dequantized(Draws):
    r"""Images with uniform noise over each grey level: float32 in (0, 1).

    .. math:: (g + u) / 2^{\text{bits}}, \quad u \sim U(0, 1)

    The noise of a draw depends on `seed` and its number alone, like the draw; a file has new noise
    in every epoch. It has as many levels as leave the sum exact: :math:`\lfloor 2^{bits} x \rfloor`
    is :math:`g` again, which it would not be for all :math:`u` if the sum were rounded.

    Arguments:
        images: Draws or files of integers in [0, 2^bits).
        bits: Depth, 1 to 16.
        seed: Of the noise.

    Raises:
        ValueError: If `bits` is out of range.
    """

    def __init__(self, images: Draws | ImageFiles, bits: int, *, seed: int = 0) -> None:
        if not 1 <= bits <= 16:
            raise ValueError(f"bits must be 1 to 16, got {bits}")
        self.images, self.bits, self.seed = images, bits, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        number = index if isinstance(self.images, Draws) else index % len(self)
        g = self.images[number]
        generator = stream_of(self.seed, index, 1)  # not the stream that the draw itself is from
        levels = 2 ** (MANTISSA - 1 - self.bits)
        u = (torch.randint(levels, g.shape, generator=generator) + 0.5) / levels
        return (g + u) / 2**self.bits
