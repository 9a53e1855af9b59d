"""Planes given planes: the rest of an MCGSM, whose given planes are seen and never touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.models.ride.planes import ConditionalMCGSM, contexts
from imprior.transforms import colour
from tests.models.mcgsms import SMALL, assert_close, noise, toy


def rest_of(model: MCGSM, given: int) -> ConditionalMCGSM:
    """The same mixtures of the same planes, but for those given."""
    bounds = colour.ycocg_support if model.config.colour == "ycocg" else None
    config = replace(model.config, colour="none")
    rest = ConditionalMCGSM(config, given, bounds).double()
    for name in ("whitening", "experts", "first_whitening", "first"):
        parts = zip(getattr(rest, name), list(getattr(model, name))[given:], strict=True)
        for mine, other in parts:
            mine.load_state_dict(other.state_dict())
    return rest


def walked(model: ConditionalMCGSM, truth: Tensor) -> Tensor:
    """Log-mass by the walk, over garbage in all but the given planes."""
    canvas = truth.clone()
    canvas[:, model.given :] = torch.randint(2**model.config.bits, canvas[:, model.given :].shape)
    log_mass = torch.zeros(truth.shape, dtype=torch.float64)
    seen = torch.zeros(truth.numel(), dtype=torch.int64)
    for step in model.conditionals(canvas):
        values = truth.view(-1)[step.where]
        log_mass.view(-1)[step.where] = step.pmfs.log_mass(values)
        seen[step.where] += 1
        canvas.view(-1)[step.where] = values
    visits = seen.view(truth.shape)
    assert not visits[:, : model.given].any() and bool((visits[:, model.given :] == 1).all())
    assert torch.equal(canvas, truth)
    return log_mass


@pytest.mark.parametrize("given", [1, 2])
@pytest.mark.parametrize("kind", ["none", "ycocg"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 4, 5), (1, 1, 6), (1, 6, 1)])
def test_it_is_the_rest_of_the_chain_rule(
    kind: str, given: int, shape: tuple[int, int, int]
) -> None:
    model = toy(channels=3, colour=kind)
    rest, x = rest_of(model, given), noise(model, *shape)
    canvas = model.to_canvas(x)
    with torch.no_grad():
        whole, part = model.log_prob_map(x), rest.log_mass_of(canvas)
        assert_close(part[:, given:], whole[:, given:])
        assert not part[:, :given].any()
        assert_close(walked(rest, canvas), part)
        floats = torch.rand(x.shape).double()
        planes = colour.ycocg(floats) if kind == "ycocg" else floats
        assert_close(
            rest.log_density_of(planes)[:, given:], model.log_density_map(floats)[:, given:]
        )


@pytest.mark.parametrize("order", ["planes", "pixels"])
def test_given_planes_are_seen_before_and_after_the_pixel(
    order: Literal["planes", "pixels"],
) -> None:
    config = replace(SMALL, channels=3, order=order)
    assert contexts(config, 1)[0].offsets == ()
    for context in contexts(config, 1)[1:]:
        assert {(0, 0, 1), (0, 1, 0), (0, -1, 0)} <= set(context.offsets)
    torch.manual_seed(0)
    model = ConditionalMCGSM(config, 1).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
        x = torch.randint(256, (1, 3, 4, 5))
        before = model.log_mass_of(x)
        x[0, 0, 2, 2] ^= 128
        moved = (model.log_mass_of(x) != before)[0]
        assert_close(walked(model, x), model.log_mass_of(x))
    near = torch.zeros(4, 5, dtype=torch.bool)
    near[1:4, 2] = near[2, 1:4] = True  # a cross_radius of 1
    assert torch.equal(moved[1] | moved[2], near) and not moved[0].any()


def test_given_planes_have_no_parameters() -> None:
    names = {name for name, _ in ConditionalMCGSM(replace(SMALL, channels=3), 2).named_parameters()}
    assert names and all(".0." in name for name in names)


@pytest.mark.parametrize("given", [-1, 2, 3])
def test_something_is_left_to_model(given: int) -> None:
    with pytest.raises(ValueError, match=f"given must be 0 to 1, got {given}"):
        ConditionalMCGSM(MCGSMConfig(channels=2), given)
