"""Denoising by tiles: the result of the whole image, in memory that does not grow with it.

A tile is computed with the pixels around it that its own depend on. Where it lies at a border of
the image, its surroundings end there as well, so that the model's rule for borders is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from imprior.denoisers import Denoiser
from imprior.inference.memory import is_out_of_memory

TILE = 1024
"""Pixels a side of the largest tile: with its surroundings some 1 GB for 64 channels of floats."""

SMALLEST = 32  # a smaller tile would not need less memory: most of it are surroundings


class Tile(NamedTuple):
    """A part of an image: rows from `top` to before `bottom`, columns from `left` to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)

    @property
    def size(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left


@torch.no_grad()
def denoise(
    model: Denoiser,
    y: Tensor,
    tile: int = TILE,
    progress: Callable[[float], object] = lambda _: None,
) -> Tensor:
    """The same as `model.denoise(y)` up to rounding, tile by tile.

    Where memory runs out, what is left is done by smaller tiles.

    Arguments:
        model: On any device; only tiles go there.
        y: Floats (B, C, H, W), any height and width.
        tile: The largest side of a tile, without what is around it.
        progress: Called after each tile with the share of the pixels that are done.

    Raises:
        ValueError: If an argument is not as above, or `y` not finite.
        MemoryError: If there is no memory for the smallest tile.
    """
    check_tile(tile)
    model.check_shape(y)
    device = next(model.parameters(), y).device
    result = torch.empty_like(y)
    _, _, height, width = y.shape
    limit, done = _aligned(tile, model.alignment), 0
    waiting = [Tile(0, height, 0, width)]
    while waiting:
        part = waiting.pop()
        if max(part.size) > limit:
            waiting += reversed(divided(part, limit, model.alignment))
            continue
        try:
            result[..., part.rows, part.columns] = _denoise_tile(model, y, part, device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            limit = _smaller(part, limit, model.alignment)
            waiting.append(part)
            continue
        done += part.size[0] * part.size[1]
        progress(done / (height * width))
    return result


def check_tile(tile: int) -> None:
    """Raises ValueError unless this can be the side of a tile."""
    if tile < 1:
        raise ValueError(f"the side of a tile must be at least 1 pixel, got {tile}")


def divided(part: Tile, limit: int, alignment: int) -> list[Tile]:
    """Cuts the longer side of a part into the fewest pieces of at most `limit`, about equal.

    Pieces begin at multiples of `alignment`, as the part does; so is `limit` one.
    """
    top, bottom, left, right = part
    length = max(part.size)
    even = -(-length // -(-length // limit))
    step = -(-even // alignment) * alignment
    if bottom - top == length:
        return [Tile(at, min(at + step, bottom), left, right) for at in range(top, bottom, step)]
    return [Tile(top, bottom, at, min(at + step, right)) for at in range(left, right, step)]


def _denoise_tile(model: Denoiser, y: Tensor, part: Tile, device: torch.device) -> Tensor:
    _, _, height, width = y.shape
    rows, top = _surroundings(model, part.top, part.bottom, height)
    columns, left = _surroundings(model, part.left, part.right, width)

    def take(x: Tensor) -> Tensor:
        return _lines(_lines(x, rows, -2), columns, -1).to(device)

    found = model.at(take).denoise(take(y))
    height, width = part.size
    return found[..., top : top + height, left : left + width].to(y.device)


def _surroundings(
    model: Denoiser, start: int, stop: int, length: int
) -> tuple[Sequence[tuple[int, int]], int]:
    """The lines along an axis that those from `start` to `stop` depend on.

    Through a periodic wavelet, a border sees the opposite one. Lines from there are then put where
    they are in the image, so that borders stay borders; the seam is no nearer than they are.

    Returns:
        One or two ranges of lines, and which of all these is `start`.
    """
    step = model.alignment
    first, last = start - model.halo, stop + model.halo
    low, high = max(first // step * step, 0), min(-(-last // step) * step, length)
    if not model.periodic or (first >= 0 and last <= length):
        return [(low, high)], start - low
    if last <= length and (opposite := (length + first) // step * step) > high:
        return [(0, high), (opposite, length)], start
    if first >= 0 and (over := -(-(last - length) // step) * step) < low:
        return [(0, over), (low, length)], over + start - low
    return [(0, length)], start


def _lines(y: Tensor, ranges: Sequence[tuple[int, int]], axis: int) -> Tensor:
    parts = [y.narrow(axis, low, high - low) for low, high in ranges]
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def _aligned(side: int, alignment: int) -> int:
    return max(side // alignment, 1) * alignment


def _smaller(part: Tile, limit: int, alignment: int) -> int:
    """The side of the tiles to go on with; MemoryError if they would be too small."""
    side = min(max(part.size), limit)
    if side <= max(SMALLEST, alignment):
        raise MemoryError(
            f"there is not enough memory to denoise tiles of {part.size[0]} x {part.size[1]} pixels"
        )
    return _aligned(side // 2, alignment)
