r"""Linear measurements of images with orthonormal rows, and a check for those of users.

A measurement A of an image x of N values has n rows, :math:`m = A x` with :math:`A A^T = I`, so
:math:`A^T A` projects onto what is measured. (The papers write :math:`M^T` for A, :math:`M` for
its adjoint.) Fourier measurements and random projections are in `imprior.inference.spectral`.

Source: Kadkhodaie & Simoncelli (2021), Sec. 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


class Operator(ABC):
    """A linear measurement of images with orthonormal rows, the same for all images of a batch.

    Arguments:
        shape: (C, H, W) of the images.

    Raises:
        ValueError: If it is not three positive numbers.
    """

    def __init__(self, shape: Shape) -> None:
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"an operator is made for images (C, H, W), got shape {tuple(shape)}")
        channels, height, width = shape
        self.shape = (channels, height, width)

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """The measurements of images, :math:`A x`: (B, C, H, W) -> (B, ...)."""

    @abstractmethod
    def adjoint(self, measured: Tensor) -> Tensor:
        """Images with those measurements and nothing else, :math:`A^T m`: -> (B, C, H, W)."""

    def project(self, x: Tensor) -> Tensor:
        """What the measurement sees of images, :math:`A^T A x`."""
        return self.adjoint(self.apply(x))

    def enforce(self, x: Tensor, measured: Tensor) -> Tensor:
        """The images closest to `x` that have these measurements, :math:`x + A^T (m - A x)`."""
        return x + self.adjoint(measured - self.apply(x))

    def check(self, x: Tensor) -> None:
        """Raises ValueError, saying what is wrong, unless `x` is a batch of such images."""
        if x.dim() != 4 or tuple(x.shape[1:]) != self.shape:
            raise ValueError(
                f"{self!r} measures images of shape (B, {', '.join(map(str, self.shape))}), "
                f"got {tuple(x.shape)}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape})"


@final
class Mask(Operator):
    """Known values, the others are missing: inpainting, random pixels.

    Measurements are the known values in reading order, (B, n).

    Arguments:
        known: What is known, bool (C, H, W), so that channels of a pixel may be known apart.

    Raises:
        ValueError: If it is of another type or shape, or nothing is known.
    """

    def __init__(self, known: Tensor) -> None:
        if known.dtype != torch.bool or known.dim() != 3 or not known.any():
            raise ValueError(
                "known must be a bool tensor of shape (C, H, W) that is somewhere true, "
                f"got {known.dtype} of shape {tuple(known.shape)}"
            )
        channels, height, width = known.shape
        super().__init__((channels, height, width))
        self.index = known.flatten().nonzero()[:, 0]

    def apply(self, x: Tensor) -> Tensor:
        self.check(x)
        return x.flatten(1)[:, self.index.to(x.device)]

    def adjoint(self, measured: Tensor) -> Tensor:
        x = measured.new_zeros(len(measured), *self.shape)
        x.flatten(1)[:, self.index.to(x.device)] = measured
        return x

    def enforce(self, x: Tensor, measured: Tensor) -> Tensor:
        """Known values are written, not added, so that they come back to the last bit."""
        self.check(x)
        x = x.clone(memory_format=torch.contiguous_format)
        x.flatten(1)[:, self.index.to(x.device)] = measured
        return x


def random_pixels(shape: Shape, share: float, *, generator: torch.Generator) -> Mask:
    """Knows a random share of the pixels, at least one; all channels of a pixel or none.

    Raises:
        ValueError: If `share` is not in (0, 1].
    """
    count = counted(share, shape[1] * shape[2])
    known = torch.zeros(shape[1] * shape[2], dtype=torch.bool)
    known[torch.randperm(len(known), generator=generator)[:count]] = True
    return Mask(known.view(1, *shape[1:]).expand(shape))


def counted(share: float, total: int) -> int:
    """How many a share in (0, 1] of things is, at least one; else raises ValueError."""
    if not 0 < share <= 1:
        raise ValueError(f"a share of what is measured lies in (0, 1], got {share}")
    return max(1, round(share * total))


@final
class BlockAverage(Operator):
    """Means of square blocks, `factor` times as large as orthonormal rows want: super-resolution.

    The measurement of an unknown image with block means `low` is `factor * low`,
    (B, C, H / factor, W / factor).

    Arguments:
        shape: (C, H, W) of the images.
        factor: Side of a block.

    Raises:
        ValueError: If the blocks do not fill the images.
    """

    def __init__(self, shape: Shape, factor: int) -> None:
        super().__init__(shape)
        if factor < 1 or shape[1] % factor or shape[2] % factor:
            raise ValueError(
                f"blocks of side {factor} do not fill images of {shape[1]} x {shape[2]} pixels: "
                "crop the images or take another factor"
            )
        self.factor = factor

    def apply(self, x: Tensor) -> Tensor:
        self.check(x)
        return avg_pool2d(x, self.factor) * self.factor

    def adjoint(self, measured: Tensor) -> Tensor:
        spread = measured.repeat_interleave(self.factor, -1).repeat_interleave(self.factor, -2)
        return spread / self.factor


@final
class Custom(Operator):
    """A user's own measurement; `check_adjoint` says whether the two functions fit together.

    Arguments:
        shape: (C, H, W) of the images.
        apply: Measures, (B, C, H, W) -> (B, ...).
        adjoint: Its adjoint, (B, ...) -> (B, C, H, W).
    """

    def __init__(
        self,
        shape: Shape,
        apply: Callable[[Tensor], Tensor],
        adjoint: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(shape)
        self._apply, self._adjoint = apply, adjoint

    @classmethod
    def projection(cls, shape: Shape, project: Callable[[Tensor], Tensor]) -> Custom:
        """What is known is an orthogonal projection of the image; it is its own adjoint."""
        return cls(shape, project, project)

    def apply(self, x: Tensor) -> Tensor:
        self.check(x)
        return self._apply(x)

    def adjoint(self, measured: Tensor) -> Tensor:
        return self._adjoint(measured)


def check_adjoint(
    operator: Operator,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    tolerance: float | None = None,
) -> None:
    r"""Raises ValueError, saying by how much, unless an operator is what it should be.

    Tested on random images and measurements: linear; :math:`\langle A x, m \rangle =
    \langle x, A^T m \rangle`; and rows are orthonormal. The last is tested as
    :math:`A A^T A x = A x`, which also holds for a projection given as an operator.

    Arguments:
        operator: What to test.
        dtype, device: Of the images to test it with.
        tolerance: Of relative errors; the square root of the rounding error by default.

    Raises:
        ValueError: If one of these fails, or shapes do not fit.
    """
    tolerance = torch.finfo(dtype).eps ** 0.5 if tolerance is None else tolerance
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(2, 2, *operator.shape, generator=generator, dtype=torch.float64)
    x, other = draws.to(device, dtype)
    try:
        errors = _faults(operator, x, other)
    except (RuntimeError, TypeError, IndexError) as said:  # as torch says what does not fit
        raise ValueError(f"{operator!r} fails on images {tuple(x.shape)}: {said}") from None
    for wrong, error in errors.items():
        if not error <= tolerance:
            raise ValueError(
                f"{operator!r} {wrong}: relative error {error:.2g}, allowed {tolerance:.2g}"
            )


def _faults(operator: Operator, x: Tensor, other: Tensor) -> dict[str, float]:
    """What an operator could be guilty of, and how large the relative error is."""
    seen, both = operator.apply(x), operator.apply(x - 2 * other)
    # Correlated with A x, so that a wrong scale shows, but not A x alone: other faults show too.
    m = seen + operator.apply(other)
    back = operator.adjoint(m)
    if back.shape != x.shape:
        raise ValueError(f"{operator!r}: its adjoint makes {tuple(back.shape)}, not an image")
    return {
        "is not linear": _relative(both - seen + 2 * operator.apply(other), both),
        "has a wrong adjoint": _mismatch(seen, m, x, back),
        "has rows that are not orthonormal": _relative(
            operator.apply(operator.adjoint(seen)) - seen, seen
        ),
    }


def _relative(error: Tensor, scale: Tensor) -> float:
    return float(error.norm() / scale.norm())


def _mismatch(seen: Tensor, m: Tensor, x: Tensor, back: Tensor) -> float:
    """Difference of the inner products, relative to the largest that they can be."""
    left, right = (seen.conj() * m).real.sum(), (x * back).sum()
    return float((left - right).abs() / (seen.norm() * m.norm()))
