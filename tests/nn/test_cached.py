"""The walk over PixelCNN++ gives what the network gives, and computes no more than it needs."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from imprior.nn.cached import CachedBlocks, CachedWalk
from imprior.nn.pixelcnn import PixelCNNNetwork
from tests.nn.networks import make, pixels

SIZES = ((1, 1), (1, 5), (5, 1), (2, 3), (7, 6), (8, 8), (9, 10), (5, 17))


def walk(network: PixelCNNNetwork, x: Tensor) -> Tensor:
    """The outputs at all pixels, each told before the pixel is."""
    steps, outputs = CachedWalk(network, len(x), *x.shape[2:]), []
    for values in x.flatten(2).unbind(2):
        outputs.append(steps.advance())
        steps.observe(values)
    return torch.stack(outputs, 2).view(len(x), -1, *x.shape[2:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("num_blocks", "channels"), [(1, 1), (2, 3)])
def test_walk_is_the_parallel_pass(size: tuple[int, int], num_blocks: int, channels: int) -> None:
    network = make(num_blocks, channels=channels, dropout=0.5).train()
    x = pixels(3, *size, channels=channels)
    with torch.no_grad():
        torch.testing.assert_close(walk(network, x), network.evaluate(x), rtol=0, atol=1e-12)


def test_walk_in_single_precision_is_the_parallel_pass() -> None:
    network = PixelCNNNetwork(3, 20, num_filters=32, num_blocks=2)
    x = pixels(2, 8, 9, channels=3).float()
    with torch.no_grad():
        torch.testing.assert_close(walk(network, x), network.evaluate(x), rtol=0, atol=1e-4)


def test_walk_ends_after_the_last_pixel() -> None:
    steps = CachedWalk(make(), 1, 1, 2)
    for _ in range(2):
        steps.advance()
        steps.observe(torch.zeros(1, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="all 1 x 2 pixels are known already"):
        steps.advance()


def test_each_resolution_is_computed_once_where_it_has_a_pixel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: dict[str, Counter[CachedBlocks]] = {"pixel": Counter(), "start_row": Counter()}
    for name, counter in calls.items():
        method = getattr(CachedBlocks, name)

        def counted(self, *values, method=method, counter=counter):  # type: ignore[no-untyped-def]
            counter[self] += 1
            return method(self, *values)

        monkeypatch.setattr(CachedBlocks, name, counted)
    walk(make(), pixels(1, 9, 6))
    # One block a resolution on the way down; on the way up one more at the two finer ones.
    heights, widths = (9, 5, 3), (6, 3, 2)
    expected: Counter[int] = Counter()
    for height, width, blocks in zip(heights, widths, (3, 3, 2), strict=True):
        expected[height * width] += blocks
    assert Counter(calls["pixel"].values()) == expected
    assert Counter(calls["start_row"].values()) == {9: 3, 5: 3, 3: 2}


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    network = PixelCNNNetwork(3, 20, num_filters=160, num_blocks=1)
    x, before = pixels(1, 4, 5, channels=3).float(), torch.get_num_threads()
    outputs = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            outputs.append(walk(network, x))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*outputs)
