"""Small MCGSMs whose parameters all matter, and what tests do with them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior.models.ride.mcgsm import MCGSM, MCGSMConfig
from imprior.transforms import causal

SMALL = MCGSMConfig(
    num_components=2, num_scales=2, num_features=3, rows=1, columns=1, cross_radius=1.0, num_first=2
)

KINDS = [
    pytest.param({}, id="grey"),
    pytest.param({"channels": 2}, id="planes"),
    pytest.param({"channels": 2, "order": "pixels", "means": True}, id="pixels"),
    pytest.param({"channels": 3, "colour": "ycocg"}, id="ycocg-planes"),
    pytest.param({"channels": 3, "colour": "ycocg", "order": "pixels"}, id="ycocg-pixels"),
]


def toy(**fields: Any) -> MCGSM:
    """A model of the small size with some fields changed, float64."""
    settings = {**vars(SMALL), **fields}
    model = MCGSM(MCGSMConfig(**settings)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
        for whitening in (*model.whitening, *model.first_whitening):
            size = len(whitening.mean_x)
            whitening.mean_x.copy_(torch.rand(size))
            whitening.whitener.copy_(2 * torch.eye(size) + 0.5 * torch.randn(size, size))
            whitening.mean_y.copy_(torch.rand(()))
            whitening.predictor.copy_(0.2 * torch.randn(size))
            whitening.scale.copy_(3 + torch.rand(()))
    return model


def noise(model: MCGSM, batch: int, height: int, width: int) -> Tensor:
    """Images in which every value is as likely as any other."""
    return torch.randint(2**model.config.bits, (batch, model.channels, height, width))


def smooth(bits: int, batch: int, height: int, width: int) -> Tensor:
    """Grey images whose neighbours are alike: a random walk from left to right and downwards."""
    steps = torch.randn(batch, 1, height, width)
    walk = steps.cumsum(2).cumsum(3)
    walk = (walk - walk.min()) / (walk.max() - walk.min())
    return (walk * (2**bits - 1)).round().long()


def fit_whitening(model: MCGSM, x: Tensor) -> None:
    """Fits all whitening to images, as training does."""
    canvas = model.unit(model.to_canvas(x))
    padded = causal.pad(canvas, model.reach)
    batch, planes, height, width = canvas.shape
    numbers = torch.arange(batch * height * width)
    image, y, column = numbers // (height * width), numbers // width % height, numbers % width
    for plane in range(planes):
        inputs = causal.gather(padded, model.reach, model.contexts[plane], y, column, image)
        model.whitening[plane].fit(inputs, canvas[:, plane].flatten())
        model.first_whitening[plane].fit(torch.zeros(batch, 0), canvas[:, plane, 0, 0])


def every_image(model: MCGSM, height: int, width: int) -> Tensor:
    """All images of this size."""
    values = range(2**model.config.bits)
    images = list(itertools.product(values, repeat=model.channels * height * width))
    return torch.tensor(images).view(-1, model.channels, height, width)


def walked(model: MCGSM, x: Tensor) -> Tensor:
    """Log-mass of every value by the walk, which must name each position once."""
    truth = model.to_canvas(x).view(-1)
    canvas = model.to_canvas(noise(model, len(x), *x.shape[2:]))
    log_mass = torch.full(truth.shape, torch.nan, dtype=torch.float64)
    for step in model.conditionals(canvas):
        assert bool(log_mass[step.where].isnan().all())
        log_mass[step.where] = step.pmfs.log_mass(truth[step.where])
        canvas.view(-1)[step.where] = truth[step.where]
    assert not log_mass.isnan().any()
    assert torch.equal(model.from_canvas(canvas), x)
    return log_mass.view(x.shape)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)
