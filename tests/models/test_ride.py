"""RIDE: what it depends on, borders, densities, gradients. Contracts are in test_contract.py."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from imprior.inference.walk import score
from imprior.models.ride import model as ride
from imprior.models.ride.model import RIDE, RIDEConfig
from tests.models.rides import CONFIG, make

VARIANTS = [
    pytest.param({}, id="plain"),
    pytest.param({"extended": True, "num_layers": 2}, id="extended"),
    pytest.param({"direct": True}, id="direct"),
    pytest.param({"channels": 3, "num_layers": 2}, id="rgb"),
    pytest.param({"channels": 2, "direct": True, "extended": True}, id="two-channels"),
    pytest.param({"rows": 1, "columns": 0}, id="narrow"),
]


def images(model: RIDE, batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (batch, model.channels, height, width)
    return torch.randint(2**model.config.bits, size, generator=generator)


@pytest.mark.parametrize("fields", VARIANTS)
@pytest.mark.parametrize("size", [(2, 6, 7), (1, 1, 1), (2, 1, 5), (1, 5, 1)])
def test_walk_equals_the_parallel_pass(fields: dict[str, int], size: tuple[int, int, int]) -> None:
    model = make(**fields)
    x = images(model, *size)
    # The walk's states are in single precision, here the parallel pass is in double precision.
    assert (score(model, x) - model.log_prob_map(x)).abs().max() < 3e-6


@pytest.mark.parametrize("fields", VARIANTS)
def test_pixels_depend_on_the_past_alone_and_on_far_pixels_too(fields: dict[str, int]) -> None:
    model = make(**fields)
    x = images(model, 1, 6, 6)
    changed = x.clone()
    changed[0, :, 2, 3] = (x[0, :, 2, 3] + 3) % 2**model.config.bits
    with torch.no_grad():
        moved = (model.log_prob_map(x) - model.log_prob_map(changed))[0].abs().amax(0) > 0
    assert not moved[:2].any() and not moved[2, :3].any()
    assert moved[2, 3]
    # Beyond any neighbourhood, where only the recurrence reaches.
    assert moved[5, 5]


def test_map_does_not_depend_on_the_batch_or_on_how_many_cells_are_done_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make(num_layers=2)
    x = images(model, 3, 9, 8)
    with torch.no_grad():
        together = model.log_prob_map(x)
        monkeypatch.setattr(ride, "CELLS_AT_ONCE", 7)
        apart = torch.cat([model.log_prob_map(image[None]) for image in x])
    with_gradients = model.log_prob_map(x)
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-10)
    torch.testing.assert_close(together, with_gradients.detach(), rtol=0, atol=1e-10)


def test_density_integrates_to_one_over_a_pixel() -> None:
    model = make()
    grid = torch.linspace(-8, 9, 20_001, dtype=torch.float64)
    x = torch.rand(len(grid), 1, 2, 2, dtype=torch.float64)
    x[:] = x[:1]
    x[:, 0, 1, 1] = grid
    with torch.no_grad():
        density = model.log_density_map(x)[:, 0, 1, 1].exp()
    assert math.isclose(torch.trapezoid(density, grid).item(), 1, abs_tol=1e-6)


def test_mass_is_the_density_integrated_over_a_grey_level() -> None:
    model = make(bits=8)
    x = images(model, 1, 3, 3).double()
    grid = torch.linspace(0, 1, 2001, dtype=torch.float64)
    # The context stands at the middles of grey levels.
    canvas = ((x + 0.5) / 256).repeat(len(grid), 1, 1, 1)
    canvas[:, 0, 2, 2] = (x[0, 0, 2, 2] + grid) / 256
    with torch.no_grad():
        density = model.log_density_map(canvas)[:, 0, 2, 2].exp()
        mass = model.log_prob_map(x.long())[0, 0, 2, 2].exp()
    assert math.isclose(torch.trapezoid(density, grid).item() / 256, mass.item(), rel_tol=1e-4)


def test_margin_leaves_out_pixels_without_a_whole_neighbourhood() -> None:
    model = make()
    x = torch.rand(2, 1, 8, 9, dtype=torch.float64)
    reach = model.reach
    with torch.no_grad():
        inner = model.log_density_map(x, reach)
    counted = torch.zeros(8, 9, dtype=torch.bool)
    counted[reach:, reach : 9 - reach] = True
    assert (inner[:, 0, counted] != 0).all() and (inner[:, 0, ~counted] == 0).all()
    # States start where pixels count, so they differ from those of the whole image.
    with torch.no_grad():
        assert not torch.equal(inner[:, 0, counted], model.log_density_map(x)[:, 0, counted])
        assert not model.log_density_map(x, 9).any()


@pytest.mark.parametrize("fields", VARIANTS)
@pytest.mark.parametrize("continuous", [True, False], ids=["density", "mass"])
def test_total_is_the_sum_and_has_its_gradients(fields: dict[str, int], continuous: bool) -> None:
    model = make(**fields)
    x = images(model, 2, 5, 6)
    values = model.unit(x)
    target = values if continuous else x
    for margin in (0, model.reach):
        parts = [part.sum() for _, _, part in model.log_probs(values, target, margin)]
        total = model.total_log_prob(values, target, margin)
        assert math.isclose(total.item(), sum(part.item() for part in parts), rel_tol=1e-12)
        parameters = [p for p in model.parameters() if p.numel()]
        unused = margin > 0  # the mixture of the first pixel
        expected = torch.autograd.grad(torch.stack(parts).sum(), parameters, allow_unused=unused)
        actual = torch.autograd.grad(total, parameters, allow_unused=unused)
        for one, other in zip(expected, actual, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_density_is_differentiable_by_pixels() -> None:
    model = make(num_layers=2, num_units=3)
    x = torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model.log_density_map(x), x)


def test_wrong_configs_and_images_are_refused() -> None:
    with pytest.raises(ValueError, match="num_units must be at least 1, got 0"):
        replace(CONFIG, num_units=0)
    with pytest.raises(ValueError, match="bits must be 1 to 16, got 17"):
        RIDEConfig(bits=17)
    with pytest.raises(ValueError, match=r"takes images of shape \(B, 1, H, W\)"):
        make().log_prob(torch.zeros(1, 2, 3, 3).long())
    with pytest.raises(ValueError, match="a density is one of floats"):
        make().log_density_map(torch.zeros(1, 1, 3, 3).long())
