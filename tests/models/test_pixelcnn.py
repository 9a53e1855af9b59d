"""PixelCNN++ as a model: masses, walk, loss. Contracts are in test_contract.py."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.inference.walk import draw, score
from imprior.models.baselines import pixelcnn
from imprior.models.baselines.pixelcnn import PixelCNN, PixelCNNConfig

CONFIG = PixelCNNConfig(channels=2, bits=4, num_filters=4, num_blocks=1, num_components=3)


def make(**fields: Any) -> PixelCNN:
    """A model in double precision, none of whose parameters is without effect."""
    torch.manual_seed(1)
    model = PixelCNN(replace(CONFIG, **fields))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model.double()


def images(model: PixelCNN, batch: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    size = (batch, model.channels, height, width)
    return torch.randint(2**model.config.bits, size, generator=generator)


@pytest.mark.parametrize(("channels", "bits"), [(1, 1), (2, 4), (3, 8), (4, 5), (1, 16), (3, 16)])
@pytest.mark.parametrize("size", [(2, 6, 7), (1, 1, 1), (2, 1, 5), (1, 5, 1)])
def test_walk_equals_the_parallel_pass(
    channels: int, bits: int, size: tuple[int, int, int]
) -> None:
    model = make(channels=channels, bits=bits)
    x = images(model, *size)
    masses = model.log_prob_map(x)
    assert masses.dtype == torch.float64 and masses.shape == x.shape
    torch.testing.assert_close(score(model, x), masses.detach(), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("channels", "bits", "size"), [(1, 2, (2, 2)), (1, 1, (3, 3)), (2, 1, (1, 4)), (3, 2, (1, 1))]
)
def test_masses_of_all_images_sum_to_one(channels: int, bits: int, size: tuple[int, int]) -> None:
    model = make(channels=channels, bits=bits)
    everything = itertools.product(range(2**bits), repeat=channels * size[0] * size[1])
    x = torch.tensor(list(everything)).view(-1, channels, *size)
    with torch.no_grad():
        assert abs(model.log_prob(x).logsumexp(0).item()) < 1e-9


def test_first_pixel_has_one_distribution_and_channels_see_earlier_ones() -> None:
    model = make()
    x = images(model, 8, 3, 3)
    x[:, 0, 0, 0] = 5
    with torch.no_grad():
        first = model.log_prob_map(x)[:, :, 0, 0]
        torch.testing.assert_close(first[:, 0], first[:1, 0].expand(8))
        x[:, 1, 0, 0] = 9
        x[0, 0, 0, 0] = 6
        second = model.log_prob_map(x)[:, 1, 0, 0]
    assert not torch.isclose(second[0], second[1])


def test_batches_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    x = images(model, 5, 4, 3)
    with torch.no_grad():
        whole = model.log_prob_map(x)
        monkeypatch.setattr(pixelcnn, "PIXELS_AT_ONCE", 30)
        torch.testing.assert_close(model.log_prob_map(x), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bits", [1, 5, 8, 16])
def test_untrained_model_is_about_as_good_as_a_uniform_one(bits: int) -> None:
    model = PixelCNN(PixelCNNConfig(bits=bits, num_filters=16, num_blocks=2))
    with torch.no_grad():
        assert (model.bits_per_dim(images(model, 4, 8, 8)) < bits + 1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_loss_is_the_mean_mass_and_reaches_every_parameter(channels: int) -> None:
    model = make(channels=channels).eval()
    x = images(model, 3, 8, 8)
    loss = model.loss(x)
    # The floor that coding needs is worth less than this.
    expected = -model.log_prob_map(x).mean()
    assert math.isclose(loss.item(), expected.item(), abs_tol=1e-4)
    metrics = model.metrics(x)
    assert math.isclose(metrics["bits_per_dim"].item(), expected.item() / math.log(2))
    assert math.isclose(model.bits_per_dim(x).mean().item(), metrics["bits_per_dim"].item())
    loss.backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and bool(gradient.isfinite().all() and gradient.any()), name


def test_only_the_loss_in_training_mode_sees_dropout() -> None:
    model = make(dropout=0.5).train()
    x = images(model, 2, 6, 5)
    with torch.no_grad():
        assert not torch.isclose(model.loss(x), model.loss(x))
        training, walked = model.log_prob_map(x), score(model, x)
        assert model.training
        assert torch.equal(model.eval().log_prob_map(x), training)
        torch.testing.assert_close(walked, training, rtol=0, atol=1e-8)
        assert torch.equal(model.loss(x), model.loss(x))
        without = make(dropout=0.0).train()
        assert torch.equal(without.loss(x), model.loss(x))


def test_a_few_steps_learn_stripes() -> None:
    """Columns of two values in turn."""
    torch.manual_seed(0)
    model = PixelCNN(replace(CONFIG, channels=1, bits=2, num_filters=8, dropout=0.0))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        phase = torch.randint(2, (8, 1, 1, 1))
        x = (3 * ((torch.arange(6) + phase) % 2)).expand(8, 1, 6, 6)
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3  # ln 2 / 36 = 0.019 would be perfect, ln 4 = 1.39 is uniform
    drawn = model.sample((8, 6, 6), generator=torch.Generator().manual_seed(0))
    assert (drawn[..., 2:] == drawn[..., :-2]).float().mean() > 0.8


def test_known_pixels_are_kept() -> None:
    model, known = make(), torch.zeros(2, 5, 6, dtype=torch.bool)
    known[:, 1:4, 2:5] = True
    x = images(model, 2, 5, 6)
    filled = draw(model, x, known, generator=torch.Generator().manual_seed(0))
    keep = known[:, None].expand_as(x)
    assert torch.equal(filled[keep], x[keep]) and not torch.equal(filled, x)


def test_wrong_configs_and_images_are_refused() -> None:
    for name in ("channels", "num_filters", "num_blocks", "num_components"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            PixelCNNConfig(**{name: 0})
    with pytest.raises(ValueError, match="bits must be 1 to 16, got 17"):
        PixelCNNConfig(bits=17)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1"):
        PixelCNNConfig(dropout=1.0)
    with pytest.raises(ValueError, match=r"takes images of shape \(B, 2, H, W\)"):
        make().log_prob(torch.zeros(1, 3, 3, 3).long())
    with pytest.raises(ValueError, match="takes 4-bit values 0 to 15, got values 0 to 16"):
        make().log_prob(torch.tensor([0, 16]).view(1, 2, 1, 1))
