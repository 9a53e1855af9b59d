"""What all ways of filling a hole have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor

from imprior.base import ImageModel
from imprior.data.images import Image


@dataclass(frozen=True)
class Stage:
    """How far a filling is.

    Attributes:
        share: From 0 to 1, done.
        text: What to tell of it.
        notable: Whether that is worth a line in a log; otherwise it is for a progress bar.
    """

    share: float
    text: str
    notable: bool = True


class Attempt(Protocol):
    """One filling of a hole, finished or under way: a dataclass of tensors and plain values."""

    @property
    def x(self) -> Tensor:
        """The part of the image around the hole (`around`, `MARGIN`), int64 (C, h, w)."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took."""
        ...

    @property
    def likeliest(self) -> tuple[float, Tensor] | None:
        """The highest log-probability so far and its `x`; None if the model tells none."""
        ...

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        ...


A = TypeVar("A", bound=Attempt)


class Method(Protocol[A]):
    """How a hole is filled: a dataclass of settings."""

    @property
    def method(self) -> str:
        """Its name."""
        ...

    @property
    def attempt(self) -> type[A]:
        """What its fillings are."""
        ...

    def attempts(
        self,
        model: ImageModel,
        image: Image,
        hole: Tensor,
        *,
        seed: int,
        index: int,
        going_on: A | None,
        tell: Callable[[Stage], object],
    ) -> Iterator[A]:
        """Fills a hole; gives what is worth keeping, the last is the result.

        Arguments:
            model: That takes the image; on the CPU unless the method says otherwise.
            image: What is in the hole is not looked at.
            hole: Which pixels are missing, bool (H, W): some, not all.
            seed, index: Filling 3 of seed 0 is the same however many are made.
            going_on: What an interrupted call with the same arguments gave last.
            tell: Is told how far it is, after what is worth keeping was given.

        Raises:
            ValueError: If the model cannot do it, or model, image and hole do not fit together.
        """
        ...

    def notes(self, model: ImageModel, image: Image, done: A) -> list[str]:
        """What to know about a filling, in sentences."""
        ...

    def record(self) -> dict[str, Any]:
        """The settings as JSON values."""
        ...


def check_hole(image: Image, hole: Tensor) -> None:
    """Raises ValueError unless a mask fits an image, and some of it is missing, but not all."""
    if hole.shape != image.pixels.shape[1:] or not hole.any() or hole.all():
        raise ValueError("a hole is a mask (H, W) of the image's size that is true here and there")
