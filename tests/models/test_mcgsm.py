"""The MCGSM is one distribution of images: enumerated, walked and drawn from."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from imprior.models.ride.mcgsm import MCGSMConfig
from tests.models.mcgsms import (
    KINDS,
    assert_close,
    every_image,
    noise,
    toy,
    walked,
)

ORDERS = ["planes", "pixels"]
WINDOWS = [
    pytest.param({"rows": 0, "columns": 0}, id="nothing"),
    pytest.param({"rows": 0, "columns": 2}, id="left"),
    pytest.param({"rows": 2, "columns": 0}, id="above"),
    pytest.param({"rows": 4, "columns": 6, "radius": 5.5}, id="wide"),
    pytest.param({"rows": 0, "columns": 0, "channels": 2, "cross_radius": -1.0}, id="apart"),
    pytest.param({"rows": 1, "columns": 1, "channels": 2, "cross_radius": 3.0}, id="cross"),
]


# -- probabilities


@pytest.mark.parametrize(
    ("fields", "height", "width"),
    [
        ({"bits": 2}, 2, 3),
        ({"bits": 2, "means": True}, 3, 2),
        ({"bits": 1, "channels": 2}, 2, 3),
        ({"bits": 2, "channels": 2}, 2, 2),
        ({"bits": 2, "channels": 2, "order": "pixels"}, 2, 2),
        ({"bits": 1, "channels": 3, "colour": "ycocg"}, 2, 2),
        ({"bits": 2, "channels": 3, "colour": "ycocg", "order": "pixels"}, 1, 2),
        ({"bits": 3, "channels": 3, "colour": "ycocg"}, 1, 1),
    ],
)
def test_all_images_have_probability_one(fields: dict[str, Any], height: int, width: int) -> None:
    model = toy(**fields)
    with torch.no_grad():
        total = model.log_prob(every_image(model, height, width)).logsumexp(0)
    assert abs(total.item()) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_all_images_of_two_channels_have_probability_one(order: str) -> None:
    """All 4^12 images of 2 x 3 pixels."""
    model = toy(bits=2, channels=2, order=order)
    rest, totals = every_image(model, 2, 2), []
    with torch.no_grad():
        for column in every_image(model, 2, 1):
            images = torch.cat([rest, column.expand(len(rest), -1, -1, -1)], 3)
            totals.append(model.log_prob(images).logsumexp(0))
    assert abs(torch.stack(totals).logsumexp(0).item()) < 1e-9


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 7), (2, 7, 1), (3, 4, 5), (1, 2, 11)])
@pytest.mark.parametrize("fields", KINDS)
def test_walk_is_the_parallel_pass(fields: dict[str, Any], shape: tuple[int, int, int]) -> None:
    model = toy(**fields)
    x = noise(model, *shape)
    with torch.no_grad():
        parallel = model.log_prob_map(x)
        assert_close(walked(model, x), parallel)
        assert_close(model.log_prob(x), parallel.sum((1, 2, 3)))
    assert parallel.dtype == torch.float64


@pytest.mark.parametrize("fields", WINDOWS)
def test_any_neighbourhood_can_be_walked(fields: dict[str, Any]) -> None:
    for order in ORDERS:
        model = toy(order=order, **fields)
        for shape in ((1, 5, 6), (2, 2, 3), (1, 9, 2)):
            x = noise(model, *shape)
            with torch.no_grad():
                assert_close(walked(model, x), model.log_prob_map(x))


@pytest.mark.parametrize("bits", [1, 2, 8, 12, 16])
@pytest.mark.parametrize("colour", ["none", "ycocg"])
def test_every_depth_can_be_walked(bits: int, colour: str) -> None:
    model = toy(bits=bits, channels=3, colour=colour)
    x = noise(model, 2, 3, 4)
    x[0], x[1, :, 1:] = 0, 2**bits - 1
    # A bin of 16 bits is so narrow that the difference of its edges' probabilities loses digits.
    with torch.no_grad():
        assert_close(walked(model, x), model.log_prob_map(x), 1e-9 if bits <= 12 else 1e-7)


def test_images_of_one_grey_level_do_no_harm() -> None:
    """Whitening is then extreme, and a mean can be anywhere; nothing may be cut off."""
    model = toy(bits=8)
    for whitening in (model.whitening[0], model.first_whitening[0]):
        level = torch.full((50,), 0.3).double()
        whitening.fit(level[:, None].expand(-1, len(whitening.mean_x)), level)
    x = torch.tensor([0, 77, 255]).view(3, 1, 1, 1).expand(3, 1, 3, 3)
    with torch.no_grad():
        for alpha, predictor in itertools.product((0.0, -16.0, -24.0), (-0.1, 0.0, 0.1)):
            model.experts[0].alpha.fill_(alpha)
            model.experts[0].predictors.fill_(predictor)
            assert_close(walked(model, x), model.log_prob_map(x))


# -- what depends on what


@pytest.mark.parametrize("order", ORDERS)
def test_no_value_sees_the_future(order: str) -> None:
    model = toy(channels=2, order=order, rows=2, columns=2)
    x = noise(model, 1, 4, 5)
    number = torch.arange(x.numel())
    rank = number.view(4, 5, 2).permute(2, 0, 1).reshape(-1) if order == "pixels" else number
    with torch.no_grad():
        before = model.log_prob_map(x).flatten()
        for position in range(x.numel()):
            other = x.clone()
            other.view(-1)[position] ^= 128
            moved = model.log_prob_map(other).flatten() != before
            assert not moved[rank < rank[position]].any()
            assert moved[position]
            is_last = rank[position] == x.numel() - 1
            assert bool(moved[rank > rank[position]].any()) != is_last


def test_image_does_not_see_the_rest_of_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy(channels=2)
    x = noise(model, 4, 5, 6)
    with torch.no_grad():
        whole = model.log_prob_map(x)
        density = model.log_density_map(model.unit(x))
        assert_close(torch.cat([model.log_prob_map(image[None]) for image in x]), whole, 1e-12)
        monkeypatch.setattr("imprior.models.ride.planes.ROWS_AT_ONCE", 7)
        assert_close(model.log_prob_map(x), whole, 1e-12)
        assert_close(model.log_density_map(model.unit(x)), density, 1e-12)


# -- draws


@pytest.mark.parametrize(
    ("fields", "width"),
    [
        ({"bits": 2}, 2),
        ({"bits": 1, "channels": 2, "order": "pixels"}, 2),
        ({"bits": 2, "channels": 3, "colour": "ycocg"}, 1),
    ],
)
def test_samples_are_as_frequent_as_they_are_probable(fields: dict[str, Any], width: int) -> None:
    model = toy(**fields)
    images = every_image(model, 1, width)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        probable = model.log_prob(images).exp()
        drawn = model.sample((8000, 1, width), generator=generator)
    weights = 2 ** (model.config.bits * torch.arange(images[0].numel()))
    codes = [(x.flatten(1) * weights).sum(1) for x in (images, drawn)]
    counts = torch.bincount(codes[1], minlength=len(images))[codes[0]].double()
    expected = len(drawn) * probable
    rare = expected < 5
    bins = [torch.cat([part[~rare], part[rare].sum()[None]]) for part in (counts, expected)]
    assert counts.sum() == len(drawn)
    assert chisquare(*bins, ddof=0).pvalue > 1e-3


# -- errors


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 0}, "bits must be 1 to 16, got 0"),
        ({"bits": 17}, "bits must be 1 to 16, got 17"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
        ({"num_components": 0}, "num_components must be at least 1, got 0"),
        ({"num_first": 0}, "num_first must be at least 1, got 0"),
        ({"num_features": -1}, "num_features must be at least 0, got -1"),
        ({"rows": -1}, "rows must be at least 0, got -1"),
        ({"order": "rows"}, "order must be .* got 'rows'"),
        ({"colour": "hsv"}, "colour must be .* got 'hsv'"),
        ({"colour": "ycocg"}, "needs 3 channels, got 1"),
    ],
)
def test_impossible_models_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MCGSMConfig(**fields)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 2, 3, 3).long(), r"shape \(B, 1, H, W\), got \(1, 2, 3, 3\)"),
        (torch.zeros(3, 3).long(), r"shape \(B, 1, H, W\), got \(3, 3\)"),
        (torch.zeros(1, 1, 3, 3), "takes integers, got torch.float32"),
        (torch.full((1, 1, 3, 3), 256), "8-bit values 0 to 255, got values 256 to 256"),
        (torch.full((1, 1, 3, 3), -1), "got values -1 to -1"),
    ],
)
def test_impossible_images_are_refused(x: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy().log_prob(x)
