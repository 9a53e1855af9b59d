"""Colour and multi-scale models: one distribution, made of the distributions of their parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import ExactModel
from imprior.inference.walk import draw, score
from imprior.models.ride.colour import ColourRIDE, ColourRIDEConfig
from imprior.models.ride.inner import InnerConfig
from imprior.models.ride.mcgsm import MCGSM
from imprior.models.ride.model import RIDEConfig
from imprior.models.ride.multiscale import MultiscaleRIDE, MultiscaleRIDEConfig
from imprior.provenance import PROVENANCE
from imprior.transforms import colour, haar
from tests.models.mcgsms import SMALL, assert_close

RIDE_SMALL = RIDEConfig(
    num_units=3, num_components=2, num_scales=2, num_features=3, rows=1, columns=1
)


def randomize(model: ExactModel) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape))
        for name, buffer in model.named_buffers():
            if name.endswith(("mean_x", "mean_y")):
                buffer.copy_(torch.rand(buffer.shape))


def colour_ride(bits: int = 8, luma: InnerConfig = SMALL) -> ColourRIDE:
    model = ColourRIDE(ColourRIDEConfig(bits=bits, luma=luma, chroma=SMALL)).double()
    randomize(model)
    return model


def multiscale(
    levels: int = 1, channels: int = 1, bits: int = 8, coarse: InnerConfig = SMALL
) -> MultiscaleRIDE:
    config = MultiscaleRIDEConfig(channels, bits, levels, coarse=coarse, detail=SMALL)
    model = MultiscaleRIDE(config).double()
    randomize(model)
    return model


def noise(model: ExactModel, *shape: int) -> Tensor:
    assert model.bits is not None
    return torch.randint(2**model.bits, (shape[0], model.channels, *shape[1:]))


def every_image(model: ExactModel, height: int, width: int) -> Tensor:
    assert model.bits is not None
    values = itertools.product(range(2**model.bits), repeat=model.channels * height * width)
    return torch.tensor(list(values)).view(-1, model.channels, height, width)


MODELS = [
    pytest.param(colour_ride, id="colour"),
    pytest.param(multiscale, id="multiscale"),
    pytest.param(lambda: multiscale(3, 2), id="multiscale-3-levels-2-channels"),
    pytest.param(lambda: colour_ride(luma=RIDE_SMALL), id="colour-of-ride"),
    pytest.param(lambda: multiscale(2, coarse=RIDE_SMALL), id="multiscale-of-ride"),
]


# -- probabilities


@pytest.mark.parametrize(
    ("levels", "channels", "bits", "height", "width"),
    [
        (1, 1, 2, 2, 3),
        (2, 1, 1, 3, 4),
        (1, 2, 1, 2, 3),
        (2, 1, 3, 2, 2),
        (3, 1, 2, 1, 5),
        (1, 1, 2, 5, 1),
    ],
)
def test_all_images_have_probability_one(
    levels: int, channels: int, bits: int, height: int, width: int
) -> None:
    model = multiscale(levels, channels, bits)
    with torch.no_grad():
        total = model.log_prob(every_image(model, height, width)).logsumexp(0)
    assert abs(total.item()) < 1e-9


@pytest.mark.parametrize(("bits", "height", "width"), [(1, 2, 2), (2, 1, 2), (3, 1, 1)])
def test_all_colour_images_have_probability_one(bits: int, height: int, width: int) -> None:
    model = colour_ride(bits)
    with torch.no_grad():
        total = model.log_prob(every_image(model, height, width)).logsumexp(0)
    assert abs(total.item()) < 1e-9


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 7), (1, 9, 1), (2, 5, 6), (1, 8, 8)])
def test_walk_is_the_parallel_pass(
    build: Callable[[], ExactModel], shape: tuple[int, int, int]
) -> None:
    model = build()
    x = noise(model, *shape)
    with torch.no_grad():
        # The walk's states are in single precision, here the parallel pass is in double precision.
        torch.testing.assert_close(score(model, x), model.log_prob_map(x), rtol=0, atol=3e-6)


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_canvas_is_a_bijection(build: Callable[[], ExactModel], bits: int) -> None:
    model = build()
    model.config = replace(model.config, bits=bits)
    for shape in ((1, 1), (4, 4), (7, 5), (1, 6)):
        x = noise(model, 2, *shape)
        canvas = model.to_canvas(x)
        assert canvas.shape == x.shape and canvas.is_contiguous()
        before = canvas.clone()
        assert torch.equal(model.from_canvas(canvas), x)
        assert torch.equal(canvas, before)


# -- made of parts


def test_colour_with_an_mcgsm_of_luma_is_the_mcgsm_of_all_planes() -> None:
    model = colour_ride()
    whole = MCGSM(replace(SMALL, channels=3, colour="ycocg")).double()
    for name in ("whitening", "experts", "first_whitening", "first"):
        parts = [*getattr(model.luma, name), *getattr(model.chroma, name)]
        for mine, other in zip(getattr(whole, name), parts, strict=True):
            mine.load_state_dict(other.state_dict())
    x = noise(model, 2, 5, 6)
    floats = torch.rand(x.shape).double()
    with torch.no_grad():
        assert_close(model.log_prob_map(x), whole.log_prob_map(x))
        assert_close(model.log_density_map(floats), whole.log_density_map(floats))


def test_multiscale_is_its_coarse_model_and_the_details_given_it() -> None:
    model = multiscale(2)
    x = noise(model, 2, 7, 6)
    bands = haar.pyramid(x, 2)
    with torch.no_grad():
        parts = [model.coarse.log_prob_map(bands[-1].low)]
        for part in model.parts()[1:]:
            planes = part.images(x)
            parts.append(part.model.log_mass_of(planes))  # type: ignore[operator]
            assert not parts[-1][:, :1].any()
        total = torch.stack([part.sum((1, 2, 3)) for part in parts]).sum(0)
        assert_close(model.log_prob(x), total)
        floats = torch.rand(x.shape).double()
        density = model.log_density_map(floats).sum((1, 2, 3))
        coarse = model.coarse.log_density_map(haar.pyramid(floats, 2)[-1].low).sum((1, 2, 3))
        details = [part.model.log_density_of(part.images(floats)) for part in model.parts()[1:]]  # type: ignore[operator]
        assert_close(density, coarse + torch.stack([d.sum((1, 2, 3)) for d in details]).sum(0))


def test_a_detail_does_not_see_the_details_of_its_band_that_follow() -> None:
    """The canvas: rows and columns 0, 2, ... are the low-pass, which comes first."""
    model = multiscale()
    canvas = model.to_canvas(noise(model, 1, 6, 6))
    with torch.no_grad():
        before = model.log_prob_map(model.from_canvas(canvas))[0, 0]
        # Any luma leaves the difference 0 possible, so the changed canvas is an image's.
        canvas[0, 0, 2, 3] = 0
        moved = model.log_prob_map(model.from_canvas(canvas))[0, 0] != before
    assert moved[2, 3]
    assert not moved[:, ::2].any(), "neither low-pass nor row differences"
    assert not moved[:2].any() and not moved[2, :3].any()
    assert moved[3:].any()


# -- configs


@pytest.mark.parametrize("inner", [SMALL, RIDE_SMALL])
def test_bits_and_channels_of_parts_follow(inner: InnerConfig) -> None:
    colours = ColourRIDEConfig(bits=5, luma=inner, chroma=SMALL)
    assert (colours.luma.bits, colours.luma.channels) == (5, 1)
    assert (colours.chroma.bits, colours.chroma.channels) == (5, 3)
    scales = MultiscaleRIDEConfig(2, 5, coarse=inner, detail=SMALL)
    assert (scales.coarse.bits, scales.coarse.channels) == (5, 2)
    assert (scales.detail.bits, scales.detail.channels) == (5, 4)
    assert replace(scales, bits=7).coarse.bits == 7


@pytest.mark.parametrize(
    "config",
    [
        ColourRIDEConfig(luma=SMALL, chroma=SMALL),
        ColourRIDEConfig(luma=RIDE_SMALL, chroma=SMALL),
        MultiscaleRIDEConfig(levels=2, coarse=SMALL, detail=SMALL),
        MultiscaleRIDEConfig(levels=2, coarse=RIDE_SMALL, detail=SMALL),
    ],
)
def test_saved_model_knows_which_models_it_is_made_of(
    config: ColourRIDEConfig | MultiscaleRIDEConfig, tmp_path: Path
) -> None:
    model = ColourRIDE(config) if isinstance(config, ColourRIDEConfig) else MultiscaleRIDE(config)
    randomize(model)
    checkpoint.save(model, tmp_path / "m", dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path / "m")
    assert type(loaded) is type(model) and loaded.config == config
    assert asdict(loaded.config) == asdict(config)
    assert checkpoint.digest(loaded) == checkpoint.digest(model)
    x = noise(model, 1, 4, 5)
    with torch.no_grad():
        assert torch.equal(loaded.log_prob_map(x), model.log_prob_map(x))


def test_impossible_models_are_refused() -> None:
    with pytest.raises(ValueError, match="a colour RIDE is of 3 channels, got 1"):
        ColourRIDEConfig(channels=1)
    with pytest.raises(ValueError, match="levels must be at least 1, got 0"):
        MultiscaleRIDEConfig(levels=0)
    with pytest.raises(ValueError, match='"ycocg" needs 3 channels, got 1'):
        ColourRIDEConfig(luma=replace(SMALL, channels=3, colour="ycocg"))


def test_luma_of_a_draw_is_a_draw_of_the_luma_model() -> None:
    model = colour_ride()
    known = torch.zeros(2, 4, 4, dtype=torch.bool)
    streams = [torch.Generator().manual_seed(1) for _ in range(2)]
    drawn = draw(model, torch.zeros(2, 3, 4, 4).long(), known, generator=streams[0])
    assert torch.equal(
        colour.ycocg(drawn)[:, :1], model.luma.sample((2, 4, 4), generator=streams[1])
    )
