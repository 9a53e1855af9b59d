"""A bias-free network is homogeneous, sees as far as it says, and normalizes as it was trained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from imprior.models.local.config import NetworkConfig, NoiseConfig, spread
from imprior.models.local.network import BiasFreeCNN
from imprior.models.local.norm import BiasFreeNorm
from tests.models.local.small import SMALL, assert_close, flat, noise, randomized

# -- where the 3x3 layers stand


@pytest.mark.parametrize(
    ("receptive_field", "step"), [(5, 20), (13, 4), (23, 2), (43, 1)]
)  # fmt: skip
def test_layers_are_where_the_published_networks_have_them(
    receptive_field: int, step: int
) -> None:  # fmt: skip
    assert spread(21, receptive_field) == tuple(range(0, 21, step))


@pytest.mark.parametrize("depth", [2, 3, 7, 20, 21])
def test_every_odd_field_up_to_the_largest(depth: int) -> None:
    for field in range(5, 2 * depth + 2, 2):
        config = NetworkConfig(depth, 1, field)
        assert sum(kernel - 1 for kernel in config.kernels) + 1 == field
        assert config.kernels[0] == config.kernels[-1] == 3


@pytest.mark.parametrize("where", [None, (1, 2, 4)])
@pytest.mark.parametrize(("height", "width"), [(15, 15), (4, 21)])
def test_output_depends_on_the_square_that_it_says(
    where: tuple[int, ...] | None, height: int, width: int
) -> None:
    model = flat(network=NetworkConfig(5, 16, 7, where))
    y = noise(1, 1, height, width).requires_grad_()
    row, column = height // 2, width // 2
    model.denoise(y)[0, 0, row, column].backward()
    assert y.grad is not None
    rows, columns = (torch.arange(n) - m for n, m in ((height, row), (width, column)))
    near = (rows.abs() <= model.halo)[:, None] & (columns.abs() <= model.halo)
    assert torch.equal(y.grad[0, 0] != 0, near)


@pytest.mark.parametrize("field", [5, 9, 13, 23, 43])
def test_published_depths_have_their_field(field: int) -> None:
    model = flat(network=NetworkConfig(21, 8, field))
    y = noise(1, 1, 45, 45).requires_grad_()
    model.denoise(y)[0, 0, 22, 22].backward()
    assert y.grad is not None
    seen = y.grad[0, 0].nonzero() - 22
    assert seen.min(0)[0].tolist() == [-(field - 1) // 2] * 2
    assert seen.max(0)[0].tolist() == [(field - 1) // 2] * 2


# -- without biases


@pytest.mark.parametrize("first_relu", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
@torch.no_grad()
def test_network_is_homogeneous(channels: int, first_relu: bool) -> None:
    config = NetworkConfig(5, 6, 9, first_relu=first_relu)
    model = flat(channels=channels, network=config)
    y = noise(2, channels, 9, 7)
    for factor in (0.0, 1e-3, 7.0):
        assert_close(model.denoise(factor * y), factor * model.denoise(y))
    assert not any("bias" in name for name, _ in model.named_parameters())


@torch.no_grad()
def test_relu_after_the_first_layer_is_what_makes_a_difference() -> None:
    y = noise(1, 1, 8, 8)
    linear, rectified = (
        flat(network=NetworkConfig(5, 6, 9, first_relu=relu)) for relu in (False, True)
    )
    rectified.load_state_dict(linear.state_dict())
    assert not torch.allclose(linear.denoise(y), rectified.denoise(y))


# -- normalization


def plain(network: BiasFreeCNN, x: Tensor) -> Tensor:
    """As the formula says, nothing folded."""
    layers = list(network.convolutions)
    x = layers[0](x)
    for layer, norm in zip(layers[1:-1], network.norms, strict=True):
        x = layer(x)
        x = x / norm.running_sd[None, :, None, None]  # type: ignore[index]
        x = (x * norm.gain[None, :, None, None]).relu()  # type: ignore[index]
    return layers[-1](x)


@torch.no_grad()
def test_folded_kernels_normalize_as_the_formula_says() -> None:
    network = randomized(BiasFreeCNN(2, 3, SMALL))
    x = noise(2, 2, 7, 9)
    assert_close(network(x), plain(network, x))
    assert_close(network.train()(x), plain(network, x))


@torch.no_grad()
def test_new_networks_do_not_see_brightness() -> None:
    for inputs in (1, 4):
        network = BiasFreeCNN(inputs, 1, SMALL)
        first, *_ = network.folded()
        assert float(first.sum((2, 3)).abs().max()) < 1e-5
        assert float(first.abs().mean()) > 0.01
        image = torch.ones(1, inputs, 9, 9)
        inner = network.convolutions[0](image)[..., 1:-1, 1:-1]
        assert float(inner.abs().max()) < 1e-5


@pytest.mark.parametrize("inputs", [1, 4])
def test_channels_of_a_pixel_are_side_by_side(inputs: int) -> None:
    network = BiasFreeCNN(inputs, 1, SMALL)
    first, *_ = network.folded()
    x = functional.conv2d(torch.rand(1, inputs, 5, 7), first, padding=1)
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_running_deviations_end_at_those_of_the_batches() -> None:
    """Then a network gives outside training what it gave in it."""
    network = BiasFreeCNN(1, 1, SMALL).train()
    with torch.no_grad():
        for norm in network.norms:
            norm.gain.fill_(1)  # type: ignore[operator]
        x = torch.randn(4, 1, 12, 12)
        for _ in range(200):
            learnt = network.learning(x)
        torch.testing.assert_close(network(x), learnt, rtol=1e-3, atol=1e-4)


def test_settled_networks_learn_what_is_then_used() -> None:
    model = flat().train()
    norms = [module for module in model.modules() if isinstance(module, BiasFreeNorm)]
    before = [norm.running_sd.clone() for norm in norms]
    x = noise(2, 1, 9, 9)
    assert not torch.allclose(model.network.learning(x), model.network(x))
    for norm, sd in zip(norms, before, strict=True):
        assert not torch.equal(norm.running_sd, sd)
        norm.running_sd.copy_(sd)
        norm.settled = True
    assert_close(model.network.learning(x), model.network(x))
    model.loss(x).backward()
    for norm, sd in zip(norms, before, strict=True):
        assert torch.equal(norm.running_sd, sd)
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def test_training_sees_every_parameter() -> None:
    model = flat().train()
    model.loss(torch.rand(2, 1, 8, 8, dtype=torch.float64)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"receptive_field": 3}, "odd, 5 to 43"),
        ({"receptive_field": 12}, "odd, 5 to 43"),
        ({"receptive_field": 45}, "odd, 5 to 43"),
        ({"depth": 1}, "depth must be at least 2"),
        ({"width": 0}, "width must be at least 1"),
        ({"receptive_field": 7, "where": (0, 1)}, "takes 3 layers"),
        ({"receptive_field": 5, "where": (5, 2)}, "rising order"),
        ({"receptive_field": 5, "where": (2, 21)}, "layers 0 to 20"),
    ],
)
def test_impossible_networks_are_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        NetworkConfig(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields", [{"sigma": 0}, {"power": -1}, {"weight": -1}, {"sigma": float("nan")}]
)
def test_impossible_noise_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        NoiseConfig(**fields)  # type: ignore[arg-type]
