"""PixelCNN++'s network: what outputs depend on, and what they do not."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.functional import jacobian

from imprior.nn.pixelcnn import PixelCNNNetwork
from tests.nn.networks import make, pixels

SIZES = ((1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (3, 3), (4, 4), (7, 6), (6, 7), (8, 5))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_blocks", [1, 2])
def test_pixels_depend_on_all_before_them_and_no_others(
    size: tuple[int, int], num_blocks: int
) -> None:
    network, count = make(num_blocks), size[0] * size[1]
    slopes = jacobian(lambda x: network.evaluate(x).sum((0, 1)), pixels(1, *size))
    moves = (slopes != 0).all(3).view(count, count)
    assert torch.equal(moves, (slopes != 0).any(3).view(count, count))
    assert torch.equal(moves, torch.ones(count, count, dtype=torch.bool).tril(-1))


def test_far_corner_is_seen_from_the_end() -> None:
    """At 16 x 16, where one resolution alone would not reach it."""
    x = pixels(1, 16, 16).requires_grad_()
    make(1).evaluate(x)[..., -1, -1].sum().backward()
    assert x.grad is not None and (x.grad[0, :, 0, 0] != 0).all()


def test_border_is_told_from_pixels_of_value_zero() -> None:
    network, x = make(), torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        y = network(x)
    assert not torch.allclose(y[..., 0, 0], y[..., 5, 5])
    assert not torch.allclose(y[..., 0, 3], y[..., 5, 3])


def test_images_do_not_see_each_other() -> None:
    network, x = make(2), pixels(4, 5, 7)
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in x])
        torch.testing.assert_close(network(x), alone, rtol=0, atol=1e-12)


def test_dropout_is_for_forward_in_training_mode() -> None:
    network, x = make(dropout=0.5), pixels(2, 5, 5)
    with torch.no_grad():
        dropped, again = network.train()(x), network(x)
        assert not torch.allclose(dropped, again)
        exact = network.evaluate(x)
        assert torch.equal(network.eval()(x), exact)
        assert torch.equal(make().train()(x), exact)


def test_every_parameter_is_used() -> None:
    # Without the steps away from the start that `make` takes.
    network = PixelCNNNetwork(3, 5, num_filters=6, num_blocks=2, dropout=0.2)
    network(pixels(2, 8, 8, channels=3).float()).square().sum().backward()
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and bool(gradient.isfinite().all()), name
        assert bool((gradient != 0).any(-1).all()), name


def test_published_network_has_the_published_size() -> None:
    with torch.device("meta"):
        network = PixelCNNNetwork(3, 100, num_filters=160, num_blocks=5)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6) == 54
