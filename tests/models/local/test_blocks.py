"""Flat denoisers that see squares of pixels as one: what they depend on, and images of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from imprior import checkpoint
from imprior.models.local.config import FlatDenoiserConfig, LocalModelConfig, NetworkConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.provenance import PROVENANCE
from tests.models.local.small import assert_close, flat, local, noise

WIDE = NetworkConfig(depth=4, width=24, receptive_field=5)  # no path is without a ReLU that is on


def gathered(y: Tensor, blocks: int) -> Tensor:
    """The pixels of each square as channels: those of the first channel first, row by row."""
    batch, channels, height, width = y.shape
    cut = y.reshape(batch, channels, height // blocks, blocks, width // blocks, blocks)
    order = cut.permute(0, 1, 3, 5, 2, 4)
    return order.reshape(batch, -1, height // blocks, width // blocks)


@pytest.mark.parametrize("blocks", [1, 2, 3])
@torch.no_grad()
def test_network_sees_and_predicts_squares_of_pixels(blocks: int) -> None:
    model, y = flat(channels=2, blocks=blocks), noise(2, 2, 4 * blocks, 5 * blocks)
    expected = gathered(y, blocks) - model.network(gathered(y, blocks))
    assert_close(gathered(model.denoise(y), blocks), expected)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_pixels_depend_on_whole_squares_within_the_field(blocks: int) -> None:
    model = flat(blocks=blocks, network=WIDE)
    y = noise(1, 1, 9 * blocks, 9 * blocks).requires_grad_()
    first, farthest = 4 * blocks, 0
    out = model.denoise(y)
    for row in range(first, first + blocks):
        for column in range(first, first + blocks):
            (gradient,) = torch.autograd.grad(out[0, 0, row, column], y, retain_graph=True)
            seen = gradient[0, 0].nonzero()
            assert seen.min(0)[0].tolist() == [first - 2 * blocks] * 2
            assert seen.max(0)[0].tolist() == [first + 3 * blocks - 1] * 2
            assert len(seen) == (5 * blocks) ** 2
            farthest = max(farthest, int((seen - torch.tensor([row, column])).abs().max()))
    assert farthest == model.halo
    assert model.receptive_field == 2 * farthest + 1


@torch.no_grad()
def test_blocks_are_homogeneous() -> None:
    model, y = flat(blocks=2), noise(2, 1, 7, 10)
    for factor in (0.0, 1e-3, 7.0):
        assert_close(model.denoise(factor * y), factor * model.denoise(y))


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 1), (2, 5), (10, 3)])
@pytest.mark.parametrize("blocks", [2, 4])
@torch.no_grad()
def test_last_lines_are_repeated_and_cut_off_again(size: tuple[int, int], blocks: int) -> None:
    model, y = flat(channels=3, blocks=blocks), noise(2, 3, *size)
    height, width = size
    more = (0, -width % blocks, 0, -height % blocks)
    whole = model.denoise(functional.pad(y, more, mode="replicate"))
    found = model.denoise(y)
    assert found.shape == y.shape
    assert_close(found, whole[..., :height, :width])


@pytest.mark.parametrize("blocks", [2, 3])
@torch.no_grad()
def test_tile_that_begins_where_a_square_does_is_the_same_as_the_whole(blocks: int) -> None:
    model, y = flat(blocks=blocks), noise(1, 1, 90, 21)
    unit, halo, whole = model.alignment, model.halo, model.denoise(y)
    first = -(-halo // unit) * unit + unit
    start = (first - halo) // unit * unit
    tile = model.denoise(y[:, :, start : first + unit + halo])
    assert_close(tile[:, :, first - start :][:, :, :unit], whole[:, :, first : first + unit])
    off = model.denoise(y[:, :, start - 1 : first + unit + halo])
    assert not torch.allclose(off[:, :, first - start + 1 :][:, :, :unit], tile[:, :, :unit])


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_training_sees_every_parameter(size: tuple[int, int]) -> None:
    model, clean = flat(blocks=2, channels=3).train(), torch.rand(2, 3, *size).double()
    loss = model.loss(clean)
    loss.backward()
    assert loss.shape == () and bool(loss.isfinite())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name
    figures = model.metrics(clean)
    assert set(figures) == {"mse", "error_db"}
    assert all(bool(figure.isfinite()) for figure in figures.values())


def test_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model, y = flat(blocks=2), noise(1, 1, 7, 6)
    checkpoint.save(model, tmp_path / "model", dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path / "model")
    assert isinstance(loaded, FlatDenoiser) and loaded.config.blocks == 2
    assert torch.equal(loaded.denoise(y), model.denoise(y))


@torch.no_grad()
def test_low_pass_network_sees_squares_if_told_to() -> None:
    model = local(low_blocks=2)
    assert model.low.config.blocks == 2 and model.alignment == 2 * local().alignment
    y = noise(1, 1, 16, 12)
    x = flat(network=model.config.low, blocks=2)
    x.load_state_dict(model.low.state_dict())
    assert_close(model.low.denoise(y), x.denoise(y))


@pytest.mark.parametrize("blocks", [0, -2])
def test_impossible_blocks_are_refused(blocks: int) -> None:
    with pytest.raises(ValueError, match=f"blocks must be at least 1, got {blocks}"):
        FlatDenoiserConfig(blocks=blocks)
    with pytest.raises(ValueError, match=f"low_blocks must be at least 1, got {blocks}"):
        LocalModelConfig(low_blocks=blocks)
