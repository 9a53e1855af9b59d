r"""Measurements with orthonormal rows made of fast Fourier transforms.

The Hartley transform is the real and imaginary parts of the unitary Fourier transform F in one
real number for each frequency,

.. math:: H x = \operatorname{Re} F x - \operatorname{Im} F x, \quad H = H^T = H^{-1},

so any of its rows are orthonormal. Frequencies k and -k together say what Fourier says of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from imprior.inference.operators import Operator, Shape, counted


def hartley(x: Tensor, axes: Sequence[int] = (-2, -1)) -> Tensor:
    """The orthonormal Hartley transform along some axes, its own inverse; floats, any shape.

    Example:
        >>> x = torch.arange(6.0).view(2, 3)
        >>> torch.allclose(hartley(hartley(x)), x, atol=1e-5)
        True
    """
    frequencies = torch.fft.fftn(x, dim=tuple(axes), norm="ortho")
    return frequencies.real - frequencies.imag


@final
class Spectral(Operator):
    """Some frequencies of a periodic image are known, as Hartley coefficients (B, C, n).

    Arguments:
        shape: (C, H, W) of the images.
        known: Which frequencies, in the order of `torch.fft.fft2`, bool (H, W), -k wherever k.

    Raises:
        ValueError: If `known` is of another type or shape, empty, or not the same at k and -k.
    """

    def __init__(self, shape: Shape, known: Tensor) -> None:
        super().__init__(shape)
        if known.dtype != torch.bool or known.shape != self.shape[1:] or not known.any():
            raise ValueError(
                f"known must be a bool tensor of shape {self.shape[1:]} that is somewhere true, "
                f"got {known.dtype} of shape {tuple(known.shape)}"
            )
        if not torch.equal(known, known.flip(0, 1).roll((1, 1), (0, 1))):
            raise ValueError("frequencies of a real image are known at k and -k or at neither")
        self.index = known.flatten().nonzero()[:, 0]

    def apply(self, x: Tensor) -> Tensor:
        self.check(x)
        return hartley(x).flatten(2)[..., self.index.to(x.device)]

    def adjoint(self, measured: Tensor) -> Tensor:
        coefficients = measured.new_zeros(len(measured), *self.shape)
        coefficients.flatten(2)[..., self.index.to(measured.device)] = measured
        return hartley(coefficients)


def _frequencies(shape: Shape) -> tuple[Tensor, Tensor]:
    """Absolute frequencies of rows and columns in cycles per pixel, (H, 1) and (1, W)."""
    rows, columns = (torch.fft.fftfreq(n, dtype=torch.float64).abs() for n in shape[1:])
    return rows[:, None], columns[None]


def band_limited(shape: Shape, share: float) -> Spectral:
    """Knows the low frequencies, up to `share` of the highest in both directions.

    Super-resolution by 1 / `share` from an image without aliasing; the published "deblurring".

    Arguments:
        shape: (C, H, W) of the images.
        share: In (0, 1]; 0.25 keeps the sixteenth of all frequencies that is lowest.

    Raises:
        ValueError: If `share` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of the frequencies lies in (0, 1], got {share}")
    rows, columns = _frequencies(shape)
    return Spectral(shape, torch.maximum(rows, columns) <= share / 2)


@final
class Deblurring(Operator):
    r"""What a known blur lets pass, and nothing of what it took away.

    A blur multiplies the frequencies of a periodic image by a transfer function. Where that is
    larger than a threshold, division gives back the frequency; the others are for the prior.

    Arguments:
        shape: (C, H, W) of the images.
        kernel: The blur, floats of odd sides, (h, w), not larger than the image; its middle
            stays where it is.
        threshold: In (0, 1): least transfer, relative to the largest, of what counts as known.
            Errors of the blurred image grow by up to its inverse.

    Attributes:
        known: The frequencies that pass.

    Raises:
        ValueError: If kernel or threshold are not as above.
    """

    def __init__(self, shape: Shape, kernel: Tensor, threshold: float = 0.1) -> None:
        super().__init__(shape)
        fits = kernel.dim() == 2 and all(
            k % 2 and k <= n for k, n in zip(kernel.shape, shape[1:], strict=True)
        )
        if not fits or not kernel.is_floating_point() or not 0 < threshold < 1:
            raise ValueError(
                f"a blur of images of {shape[1]} x {shape[2]} pixels is a matrix of floats with "
                "odd sides, not larger, and its threshold lies between 0 and 1, "
                f"got {kernel.dtype} of shape {tuple(kernel.shape)} and {threshold}"
            )
        padded = torch.zeros(self.shape[1:], dtype=torch.float64)
        padded[: kernel.shape[0], : kernel.shape[1]] = kernel
        middle = (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2))
        self.transfer = torch.fft.fft2(padded.roll(middle, (0, 1)))
        gain = self.transfer.abs()
        # Rounded, so that k and -k are on the same side of the threshold.
        self.known = Spectral(shape, (gain / gain.max()).round(decimals=9) >= threshold)

    def blur(self, x: Tensor) -> Tensor:
        """The periodic convolution of images with the kernel."""
        self.check(x)
        return self._multiplied(x, self.transfer)

    def measure(self, blurred: Tensor) -> Tensor:
        """The measurement that belongs to blurred images: `apply` of the sharp ones."""
        passed = torch.zeros(self.transfer.numel(), dtype=torch.bool)
        passed[self.known.index] = True
        inverse = torch.where(passed.view_as(self.transfer), 1 / self.transfer, 0)
        return self.apply(self._multiplied(blurred, inverse))

    def _multiplied(self, x: Tensor, factors: Tensor) -> Tensor:
        frequencies = torch.fft.fft2(x)
        return torch.fft.ifft2(frequencies * factors.to(frequencies)).real

    def apply(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.known.apply(x)

    def adjoint(self, measured: Tensor) -> Tensor:
        return self.known.adjoint(measured)


@final
class RandomProjection(Operator):
    r"""Random linear combinations of all values, (B, n): compressive sensing.

    .. math:: A = S H D

    with random signs D, the Hartley transform H of all values as one row, and n of its
    coefficients S drawn at random. Rows are orthonormal and nothing of the size n N is stored.

    Arguments:
        shape: (C, H, W) of the images.
        share: Share of the N values' dimensions that is measured, in (0, 1].
        generator: Where signs and coefficients come from.

    Raises:
        ValueError: If `share` is not in (0, 1].

    Source: Kadkhodaie & Simoncelli (2021), who orthonormalise a dense random matrix; this
    structure is that of Ailon & Chazelle (2006).
    """

    def __init__(self, shape: Shape, share: float, *, generator: torch.Generator) -> None:
        super().__init__(shape)
        total = shape[0] * shape[1] * shape[2]
        count = counted(share, total)
        self.signs = 2 * torch.randint(2, (total,), generator=generator) - 1
        self.index = torch.randperm(total, generator=generator)[:count]

    def apply(self, x: Tensor) -> Tensor:
        self.check(x)
        values = x.flatten(1) * self.signs.to(x)
        return hartley(values, (-1,))[:, self.index.to(x.device)]

    def adjoint(self, measured: Tensor) -> Tensor:
        coefficients = measured.new_zeros(len(measured), len(self.signs))
        coefficients[:, self.index.to(measured.device)] = measured
        return (hartley(coefficients, (-1,)) * self.signs.to(measured)).unflatten(1, self.shape)
