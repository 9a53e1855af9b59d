"""Patches over the hole of an image, in groups that do not see each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d


@dataclass(frozen=True)
class Patches:
    """Where a sweep goes, and how much of the image each of its steps draws, weighs and sees.

    Attributes:
        outer: Side of the patch whose probability decides whether a step is accepted.
        inner: Side of the square in its middle that is drawn anew.
        stride: Pixels from one patch to the next; at most `inner`, so that none is left out.
        context: Columns on either side of the outer patch that the model sees as well; 0 as
            published.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    outer: int = 19
    inner: int = 5
    stride: int = 3
    context: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.inner <= self.outer or self.context < 0:
            raise ValueError(
                "patches need 1 <= stride <= inner <= outer and context >= 0, got "
                f"stride {self.stride}, inner {self.inner}, outer {self.outer}, "
                f"context {self.context}"
            )

    @property
    def margin(self) -> int:
        """Pixels from the outer patch's upper left corner to the inner's, down and right."""
        return (self.outer - self.inner) // 2

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of what the model sees."""
        return self.outer, self.outer + 2 * self.context

    @property
    def exact_reach(self) -> int:
        """The largest reach, in pixels, of a model for which the chain has an exact target.

        What the inner patch bears on must lie in the outer one, and its context in the window. In
        reading order that is to the left and right: what is above the inner patch does not change.

        Example:
            >>> Patches().exact_reach, Patches(context=0).exact_reach
            (5, 3)
        """
        return min(self.margin, (self.margin + self.context) // 2)


class Group(NamedTuple):
    """Patches that do not see each other's pixels: all at once is the same as one by one.

    Attributes:
        inner, window: Upper left corners (y, x) of what is drawn and what is seen, (n, 2).
    """

    inner: Tensor
    window: Tensor


def plan(hole: Tensor, patches: Patches) -> list[Group]:
    """The patches of a sweep over a hole, bool (H, W): every missing pixel is in some inner one.

    Windows are moved inwards where they would leave the image. Rows and columns of patches are
    coloured apart; two patches of one colour then keep their distance down or across.
    """
    sides = [min(patches.inner, size) for size in hole.shape]
    axes = []
    for axis, side in enumerate(sides):
        missing = hole.any(1 - axis).nonzero()[:, 0]
        low = min(int(missing[0]), hole.shape[axis] - side)
        high = max(low, int(missing[-1]) + 1 - side)
        places = torch.tensor([*range(low, high, patches.stride), high])
        windows = _windows(places, hole.shape[axis], patches, axis)
        axes.append(
            _colours(places.tolist(), windows.tolist(), patches.inner, patches.window[axis])
        )
    touched = max_pool2d(hole[None].double(), sides, stride=1)[0] > 0
    groups = []
    for rows in axes[0]:
        for columns in axes[1]:
            corners = torch.cartesian_prod(torch.tensor(rows), torch.tensor(columns)).view(-1, 2)
            inner = corners[touched[corners[:, 0], corners[:, 1]]]
            starts = [_windows(inner[:, i], hole.shape[i], patches, i) for i in (0, 1)]
            groups.append(Group(inner, torch.stack(starts, 1)))
    return [group for group in groups if len(group.inner)]


def _windows(inner: Tensor, size: int, patches: Patches, axis: int) -> Tensor:
    """Where windows begin along an axis of an image of this size."""
    side = patches.window[axis]
    first = inner - patches.margin - (side - patches.outer) // 2
    return first.clamp(0, max(0, size - side))


def _colours(inner: list[int], windows: list[int], side: int, seen: int) -> list[list[int]]:
    """Sorts places along an axis into few groups in which none is inside another's window."""
    window_of = dict(zip(inner, windows, strict=True))

    def blind(a: int, b: int) -> bool:
        return a + side <= window_of[b] or a >= window_of[b] + seen

    groups: list[list[int]] = []
    for a in inner:
        fits = (g for g in groups if all(blind(a, b) and blind(b, a) for b in g))
        group = next(fits, None)
        if group is None:
            groups.append([a])
        else:
            group.append(a)
    return groups


def squares(at: Sequence[Tensor], corner: Tensor, side: int) -> Tensor:
    """Which pixels, given by their rows (n, h) and columns (n, w), are in squares, (n, h, w)."""
    down, across = (
        (at[i] >= corner[:, i, None]) & (at[i] < corner[:, i, None] + side) for i in (0, 1)
    )
    return down[:, :, None] & across[:, None, :]
