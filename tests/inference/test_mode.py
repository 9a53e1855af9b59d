"""The search climbs, stays in the hole, and ends at the mode where that is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.base import Differentiable, ExactModel, require
from imprior.inference.mode import ModeSearch
from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from tests.toys import Toy, ToyConfig


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Chained:
    """Neighbours in a row differ by Gaussian noise: the mode of a gap is a straight line."""

    sigma = 0.05

    def log_density_map(self, x: Tensor) -> Tensor:
        first = torch.full_like(x[..., :1], 0.5)
        return -0.5 * (torch.cat([first, x], -1).diff(dim=-1) / self.sigma).square()


def small_mcgsm() -> MCGSM:
    model = MCGSM(MCGSMConfig(1, 8, 3, 2, 4, rows=1, columns=1)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            change = torch.randn(parameter.shape, generator=seeded(1))
            parameter.add_(change, alpha=0.1)
    return model


@pytest.mark.parametrize("bits", [8, 12])
def test_mode_of_a_gap_is_a_straight_line(bits: int) -> None:
    x = torch.randint(2**bits, (1, 2, 12), generator=seeded())
    x[..., 3], x[..., 9] = 2**bits // 4, 2**bits // 2
    hole = torch.zeros(2, 12, dtype=torch.bool)
    hole[:, 4:9] = True
    search = ModeSearch(Chained(), x, hole, bits)
    while not search.converged:
        search.advance()
    line = torch.linspace(2**bits // 4, 2**bits // 2, 7)[1:-1]
    assert ((search.x[0, :, 4:9] - line).abs() <= 1).all()
    assert torch.equal(search.x[:, ~hole], x[:, ~hole])


def test_each_epoch_climbs_and_leaves_no_gradient_at_the_model() -> None:
    model = require(small_mcgsm(), Differentiable, "a test")
    x = torch.randint(256, (1, 12, 12), generator=seeded())
    hole = torch.rand(12, 12, generator=seeded()) < 0.5
    search = ModeSearch(model, x, hole, bits=8)
    assert torch.equal(search.x, x), "it begins with the integers that it was given"
    reached = [search.log_prob]
    for _ in range(6):
        search.advance()
        reached.append(search.log_prob)
        assert torch.equal(search.x[:, ~hole], x[:, ~hole])
        assert search.x.min() >= 0 and search.x.max() <= 255
    assert reached == sorted(reached) and reached[-1] > reached[0] + 1
    assert isinstance(model, MCGSM)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_search_goes_on_from_its_state() -> None:
    x, hole = torch.randint(256, (1, 8, 8), generator=seeded()), torch.ones(8, 8).bool()
    hole[0] = False
    one = ModeSearch(small_mcgsm(), x, hole, bits=8)
    one.advance()
    state = one.state_dict()
    one.advance()
    other = ModeSearch(small_mcgsm(), x, hole, bits=8)
    other.load_state_dict(state)
    assert other.log_prob == state["log_prob"] < one.log_prob
    other.advance()
    assert other.log_prob == one.log_prob and torch.equal(other.x, one.x)


def test_model_without_a_density_is_told_apart() -> None:
    toy = Toy(ToyConfig())
    assert isinstance(toy, ExactModel)
    with pytest.raises(ValueError, match="a climb needs a model that is a Differentiable; Toy"):
        require(toy, Differentiable, "a climb")
