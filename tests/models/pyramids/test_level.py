"""A level: its parts, its mixtures, in parallel and walked, on images of any size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from imprior.distributions.channels import rows_of
from imprior.models.pyramids.config import Fine, LevelConfig
from imprior.models.pyramids.lattice import Walked
from imprior.models.pyramids.level import LevelObjective, PyramidLevel
from imprior.models.pyramids.parts import squeeze, unsqueeze
from imprior.models.pyramids.walk import walk_level
from imprior.transforms import pairs

SMALL = LevelConfig(width=4, depth=2, features=5, hidden=3, num_components=2)
CONFIGS = [
    pytest.param(SMALL, "pixel", id="published"),
    pytest.param(replace(SMALL, context="residual", num_lstms=1), "pixel", id="residual"),
    pytest.param(replace(SMALL, neighbours=True, direct=True), "pixel", id="direct"),
    pytest.param(replace(SMALL, squeeze=4, kernel=1), "difference", id="sixteen-parts"),
    pytest.param(replace(SMALL, context="none"), "pixel", id="no-context"),
    pytest.param(replace(SMALL, squeeze=1, num_lstms=0), "pixel", id="one-part"),
    pytest.param(replace(SMALL, num_lstms=0), "difference", id="no-lstm"),
]
SIZES = [(1, 2), (2, 1), (5, 7), (8, 8), (2, 9)]


def make(config: LevelConfig, fine: Fine, channels: int = 2, bits: int = 3) -> PyramidLevel:
    torch.manual_seed(0)
    level = PyramidLevel(config, channels, bits, fine).double()
    for parameter in level.parameters():  # also what starts as zeros
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    return level


def images(height: int, width: int, channels: int = 2, bits: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    return torch.randint(2**bits, (2, channels, height, width), generator=generator)


@pytest.mark.parametrize("size", [(4, 6), (1, 1), (5, 3)])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_parts_interleave_and_come_back(size: tuple[int, int], factor: int) -> None:
    x = torch.arange(2 * 3 * size[0] * size[1]).view(2, 3, *size)
    parts = squeeze(x, factor)
    assert len(parts) == factor**2
    first = x[:, :, ::factor, ::factor]
    assert torch.equal(parts[0][:, :, : first.shape[2], : first.shape[3]], first)
    assert parts.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(unsqueeze(rows_of(parts.flatten(0, 1)), factor, x.shape), x)


@pytest.mark.parametrize(("config", "fine"), CONFIGS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", [pairs.ROWS, pairs.COLUMNS])
@torch.no_grad()
def test_walk_equals_the_parallel_pass(
    config: LevelConfig, fine: Fine, size: tuple[int, int], axis: int
) -> None:
    level, x = make(config, fine), images(*size)
    if x.shape[axis] < 2:
        return
    coarse, rest = pairs.split(x, axis)
    expected = level.log_mass_map(coarse, rest, axis)
    told = level.told(coarse, rest, axis)
    canvas, truth = torch.zeros_like(x), pairs.join(coarse, told, axis)
    walked, found = Walked(canvas, (slice(None),) * 4), torch.full(x.shape, torch.nan).double()
    index = walked.fine((axis,))
    for step in walk_level(level, walked, coarse, index, axis):
        values = truth.view(-1)[step.where]
        found.view(-1)[step.where] = step.pmfs.log_mass(values)
        canvas.view(-1)[step.where] = values
    torch.testing.assert_close(found.view(-1)[index], expected, rtol=0, atol=1e-9)
    assert torch.equal(level.untold(coarse, told, axis), rest)


@pytest.mark.parametrize(("config", "fine"), CONFIGS)
def test_loss_has_gradients_for_all_parameters(config: LevelConfig, fine: Fine) -> None:
    level, x = make(config, fine), images(13, 17)
    LevelObjective(level, pairs.ROWS, None).loss(x).backward()
    for name, parameter in level.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("config", "fine"), CONFIGS)
@torch.no_grad()
def test_loss_is_the_mean_of_the_map_without_its_floor(config: LevelConfig, fine: Fine) -> None:
    level, x = make(config, fine), images(13, 18) // 7 + 3
    coarse, rest = pairs.split(x, pairs.ROWS)
    expected = -level.log_mass_map(coarse, rest, pairs.ROWS).mean()
    found = LevelObjective(level, pairs.ROWS, None).loss(x)
    # The floor only helps, and only what is very unlikely without it.
    assert 0.999 * expected < found < 1.01 * expected


@torch.no_grad()
def test_nothing_depends_on_the_batch_or_on_the_mode() -> None:
    level, x = make(SMALL, "pixel"), images(12, 9)
    coarse, rest = pairs.split(x, pairs.ROWS)
    together = level.train().log_mass_map(coarse, rest, pairs.ROWS)
    apart = level.eval().log_mass_map(coarse[1:], rest[1:], pairs.ROWS)
    torch.testing.assert_close(together[1:], apart)


@torch.no_grad()
def test_fine_pixels_tell_only_later_parts() -> None:
    """And the centre of a difference is the middle of the range for every depth."""
    level = make(SMALL, "pixel")
    x = images(8, 8)
    coarse, rest = pairs.split(x, pairs.ROWS)
    masses = level.log_mass_map(coarse, rest, pairs.ROWS)
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        changed = rest.clone()
        changed[:, :, a::2, b::2] = (rest[:, :, a::2, b::2] + 1) % 8
        moved = (level.log_mass_map(coarse, changed, pairs.ROWS) - masses).abs() > 0
        for c, d in ((0, 0), (0, 1), (1, 0), (1, 1)):
            later = (c, d) >= (a, b)
            assert bool(moved[:, :, c::2, d::2].any()) is later
    for bits in (1, 5, 8, 16):
        other = make(SMALL, "difference", bits=bits)
        told = other.told(coarse % 2, (coarse % 2)[:, :, :4], pairs.ROWS)
        assert torch.equal(told.double(), other.centre(coarse, told.shape, pairs.ROWS))


def test_images_without_a_fine_part_are_refused() -> None:
    objective = LevelObjective(make(SMALL, "pixel"), pairs.ROWS, None)
    with pytest.raises(ValueError, match="1x5 pixels at a level of the pyramid have no fine part"):
        objective.loss(images(1, 5))


def test_weights_keep_the_layout_of_activations_when_they_are_loaded() -> None:
    level = make(SMALL, "pixel")
    state = {name: tensor.contiguous() for name, tensor in level.state_dict().items()}
    assert not state["embed.0.weight"].is_contiguous(memory_format=torch.channels_last)
    level.load_state_dict(state, assign=True)
    for name, parameter in level.named_parameters():
        if parameter.dim() == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last), name
            assert torch.equal(parameter, state[name])
