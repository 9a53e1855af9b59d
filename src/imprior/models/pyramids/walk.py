"""The walk over a level: networks are called once a part, in one thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from imprior.base import Step
from imprior.distributions.channels import ChannelMixture, rows_of
from imprior.models.pyramids.lattice import Walked
from imprior.models.pyramids.level import PyramidLevel
from imprior.models.pyramids.parts import squeeze
from imprior.nn.threads import single_thread


class LevelWalk:
    """The parts of a level in turn, for fine parts that are not known yet.

    Arguments:
        level: The networks.
        coarse: The coarse images, integers (B, C, H, W).
        shape: Of the fine part.
        axis: That was split.
    """

    def __init__(self, level: PyramidLevel, coarse: Tensor, shape: torch.Size, axis: int) -> None:
        self.level = level
        self.centres = squeeze(level.centre(coarse, shape, axis), level.config.squeeze)
        self.features = level.features(coarse, shape, axis)
        self.before: list[Tensor] = []
        self.states = level.states()

    def mixture(self) -> ChannelMixture:
        """The mixtures of the next part, image after image, row after row."""
        part = len(self.before)
        hidden = self.level.step(self.features[part], self.before, self.states)
        return self.level.mixtures(hidden, self.centres[part])

    def observe(self, told: Tensor) -> None:
        """Takes over the values of that part, (B, C, H, W), and goes on to the next."""
        self.before.append(self.level.relative(told, self.centres[len(self.before)]))


def walk_level(
    level: PyramidLevel, walked: Walked, coarse: Tensor, index: Tensor, axis: int
) -> Generator[Step, None, Tensor]:
    """Steps over a fine part, a channel of a part at a time.

    Arguments:
        level: The networks.
        walked: What the caller writes.
        coarse: The coarse images, integers (B, C, H, W).
        index: Positions of the fine part.
        axis: That was split.

    Returns:
        What the caller has written there.
    """
    with single_thread():
        parts = LevelWalk(level, coarse, index.shape, axis)
    # Positions beyond the image, which round parts up to one size, are -1.
    for where in squeeze(index + 1, level.config.squeeze) - 1:
        with single_thread():
            mixture = parts.mixture()
        rows = rows_of(where)
        inside = rows[:, 0] >= 0
        if not inside.all():
            rows, mixture = rows[inside], mixture.rows(inside)
        yield from walk_channels(mixture, rows, walked)
        parts.observe(walked.values(where))
    return walked.values(index)


def walk_channels(mixture: ChannelMixture, rows: Tensor, walked: Walked) -> Iterator[Step]:
    """A step per channel of the pixels whose channels lie at `rows`, (n, C)."""
    if not len(rows):
        return
    channels = mixture.walk()
    for channel in range(rows.shape[1]):
        where = rows[:, channel].contiguous()
        yield Step(where, channels.binned())
        channels.observe(walked.flat[where])
