"""Chained mixtures: masses sum to 1, the walk agrees, tails are finite, any number of channels."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from imprior.distributions.channels import ChannelMixture, initial, num_parameters

CASES = [(1, 1, 2), (2, 2, 3), (3, 3, 2), (4, 1, 3), (1, 4, 1), (3, 1, 16)]  # K, C, bits
each_case = pytest.mark.parametrize(("components", "channels", "bits"), CASES)


def make(components: int, channels: int, bits: int, rows: int) -> ChannelMixture:
    generator = torch.Generator().manual_seed(components + channels)
    size = rows, num_parameters(components, channels)
    parameters = torch.randn(size, generator=generator, dtype=torch.float64)
    centre = torch.rand(rows, channels, generator=generator, dtype=torch.float64) * (2**bits - 1)
    return ChannelMixture(parameters, centre, bits)


def all_values(channels: int, bits: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(2**bits), repeat=channels)))


@pytest.mark.parametrize(("components", "channels", "bits"), CASES[:-1])
def test_masses_of_all_values_sum_to_one(components: int, channels: int, bits: int) -> None:
    values = all_values(channels, bits)
    mixture = make(components, channels, bits, 1)
    rows = torch.zeros(len(values), dtype=torch.int64)
    same = mixture.rows(rows)
    for mass in (same.log_mass(values), same.floored_log_mass(values)):
        assert mass.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-12)


@each_case
def test_walk_has_the_same_masses(components: int, channels: int, bits: int) -> None:
    mixture = make(components, channels, bits, 50)
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(2**bits, (50, channels), generator=generator)
    walk, found = mixture.walk(), []
    for channel in range(channels):
        found.append(walk.binned().log_mass(values[:, channel]))
        walk.observe(values[:, channel])
    torch.testing.assert_close(torch.stack(found, 1), mixture.floored_log_mass(values))


@pytest.mark.parametrize(("channels", "bits"), [(3, 8), (3, 1), (8, 16)])
def test_weights_stay_exact_however_unlikely_values_are(channels: int, bits: int) -> None:
    generator = torch.Generator().manual_seed(0)
    size = 200, num_parameters(5, channels)
    parameters = (4 * torch.randn(size, generator=generator)).double()
    values = torch.randint(2**bits, (200, channels), generator=generator)
    values[:20], values[20:40] = 0, 2**bits - 1
    mixture = ChannelMixture(parameters, torch.zeros(200, channels).double(), bits)
    joint, walk = torch.log_softmax(mixture.split()[0], 1), mixture.walk()
    single = ChannelMixture(parameters.float(), mixture.centre.float(), bits).walk()
    for channel in range(channels):
        found = walk.binned()
        torch.testing.assert_close(found.weights, joint.softmax(1), rtol=1e-8, atol=1e-12)
        assert torch.equal(single.binned().weights, found.weights)  # it computes in double
        walk.observe(values[:, channel])
        single.observe(values[:, channel])
        joint = joint + mixture.component_log_mass(channel, values)
    assert bits < 16 or joint.max(1).values.min() < -745  # whose exponential is zero


def test_a_component_is_chosen_for_all_channels() -> None:
    """Two far apart components: knowing the first channel tells the second."""
    parameters = torch.zeros(1, num_parameters(2, 2), dtype=torch.float64)
    parameters[:, 2:6] = torch.tensor([-0.5, 0.5, -0.5, 0.5])
    parameters[:, 6:10] = -5
    mixture = ChannelMixture(parameters, torch.full((1, 2), 128.0, dtype=torch.float64), 8)
    low, high = (
        mixture.log_mass(torch.tensor([[64, 64]])),
        mixture.log_mass(torch.tensor([[64, 192]])),
    )
    assert low[0, 0].exp() == pytest.approx(high[0, 0].exp().item())
    assert low[0, 1].exp() > 0.2
    assert high[0, 1].exp() < 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_values_have_a_finite_mass_and_a_gradient(dtype: torch.dtype) -> None:
    parameters = initial(1, 3, 0.01)[None].to(dtype).requires_grad_()
    centre = torch.tensor([[0.0, 255.0, 128.0]], dtype=dtype)
    mass = ChannelMixture(parameters, centre, 8).log_mass(torch.tensor([[254, 1, 0]]))
    mass.sum().backward()
    assert mass.isfinite().all() and (mass < -100).all()
    assert parameters.grad is not None and parameters.grad.isfinite().all()
    assert parameters.grad[0, 1] > 1 and (parameters.grad[0, 2:4] < -1).all()


def test_gradients() -> None:
    values = torch.tensor([[0, 3, 7], [7, 0, 2], [3, 4, 5]])
    centre = torch.full((3, 3), 3.5, dtype=torch.float64)
    parameters = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def masses(parameters: Tensor) -> Tensor:
        return ChannelMixture(parameters, centre, 3).log_mass(values)

    torch.autograd.gradcheck(masses, parameters.requires_grad_())


def test_parameters_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="a component has 10"):
        ChannelMixture(torch.zeros(4, 15), torch.zeros(4, 3), 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_case
def test_fused_masses_and_gradients(
    components: int, channels: int, bits: int, dtype: torch.dtype
) -> None:
    mixture = make(components, channels, bits, 200)
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(2**bits, (200, channels), generator=generator)
    values[:20], values[20:40] = 0, 2**bits - 1
    weight = torch.rand(200, generator=generator, dtype=dtype)
    # Narrow and wide components, some beyond the limits, and values far from all.
    parameters = (mixture.parameters * torch.linspace(0.1, 6, 200).double()[:, None]).to(dtype)
    pairs = []
    for total in (ChannelMixture.total_log_mass, lambda m, v: m.log_mass(v).sum(1)):
        leaf = parameters.clone().requires_grad_()
        masses = total(ChannelMixture(leaf, mixture.centre.to(dtype), bits), values)
        (masses * weight).sum().backward()
        assert leaf.grad is not None
        pairs.append((masses.detach(), leaf.grad))
    rtol, atol = (1e-3, 1e-3) if dtype is torch.float32 else (1e-9, 1e-9)
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol * float(other.abs().max()))


def test_floored_masses_of_bits() -> None:
    mixture = make(3, 3, 2, 30)
    values = torch.randint(4, (30, 3), generator=torch.Generator().manual_seed(0))
    floor = 2.0**-24
    expected = (mixture.log_mass(values).exp() * (1 - 4 * floor) + floor).log()
    torch.testing.assert_close(mixture.floored_log_mass(values), expected)
