"""Up-scaling draws the detail that a model describes, and nothing else changes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from imprior.base import Sampler
from imprior.data.images import to_float, to_int
from imprior.inference.synthesis import enlarge
from imprior.tasks.sample import stream
from imprior.tasks.upscale import Spread, expected, upscale
from tests import scales
from tests.blocks import Blocks, BlocksConfig, Details
from tests.scales import NearConfig, Scales


def picture(channels: int = 1, height: int = 5, width: int = 6, bits: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(2**bits, (channels, height, width), generator=generator)


def test_toy_is_what_a_multiscale_model_promises() -> None:
    model, x = Blocks(BlocksConfig(2)), picture(2, 6, 8)[None]
    coarse, detail = model.split(x)
    assert coarse.shape == (1, 2, 3, 4) and detail.shape == (1, 6, 3, 4)
    assert torch.equal(model.join(coarse, detail), x)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 5), (2, 12)])
def test_given_pixels_stay_bit_for_bit(factor: int, channels: int, bits: int) -> None:
    model, coarse = Blocks(BlocksConfig(channels, bits)), picture(channels, bits=bits)
    (x,) = upscale(model, coarse, factor)
    assert x.shape == (channels, 5 * factor, 6 * factor) and x.dtype == torch.int64
    model.check(x[None])
    assert torch.equal(x[:, factor - 1 :: factor, factor - 1 :: factor], coarse)


def test_levels_are_asked_from_the_coarsest_to_the_finest_and_the_first_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    given = Blocks.given

    def note(model: Blocks, coarse: Tensor, level: int = 0) -> Details:
        asked.append((level, tuple(coarse.shape[2:])))
        return given(model, coarse, level)

    monkeypatch.setattr(Blocks, "given", note)
    assert len(list(upscale(Blocks(BlocksConfig()), picture(), 8, 2))) == 2
    assert asked == [(2, (5, 6)), *[(1, (10, 12)), (0, (20, 24))] * 2]


def test_sample_depends_on_its_seed_and_number_alone() -> None:
    model, coarse = Blocks(BlocksConfig()), picture()
    five, two = (list(upscale(model, coarse, 4, num, seed=3)) for num in (5, 2))
    assert all(torch.equal(x, y) for x, y in zip(five, two, strict=False))
    assert len({tuple(x.flatten().tolist()) for x in five}) == 5
    (other,) = upscale(model, coarse, 4, seed=4)
    assert not torch.equal(other, five[0])


def test_details_have_the_distribution_of_the_model() -> None:
    coarse, spread = torch.full((1, 40, 40), 128), Spread()
    for x in upscale(Blocks(BlocksConfig()), coarse, 2, 4):
        spread.add(x)
    drawn = torch.ones(80, 80, dtype=torch.bool)
    drawn[1::2, 1::2] = False
    # Gaussians of scale 2, rounded to integers: the variance grows by 1/12.
    variance = spread.deviation[:, drawn].square().mean()
    num = 4 * int(drawn.sum())
    assert spread.mean[:, drawn].mean().item() == pytest.approx(128, abs=5 * 2 / math.sqrt(num))
    assert variance.item() == pytest.approx(4 + 1 / 12, rel=5 * math.sqrt(2 / num) * 2)
    assert not spread.deviation[:, ~drawn].any() and (spread.mean[:, ~drawn] == 128).all()


def test_temperature_zero_takes_the_likeliest() -> None:
    model, coarse = Blocks(BlocksConfig()), picture()
    (cold,) = upscale(model, coarse, 2, temperature=0)
    assert torch.equal(cold, coarse.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_details_that_cannot_be_walked_have_no_temperature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Plain(Sampler):
        def sample(self, shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
            batch, height, width = shape
            return torch.full((batch, 3, height, width), 7)

    monkeypatch.setattr(Blocks, "given", lambda model, *_: Plain(model.config))
    model = Blocks(BlocksConfig())
    (x,) = upscale(model, picture(), 2)
    assert int((x == 7).sum()) >= 90
    with pytest.raises(ValueError, match="up-scaling at a temperature needs a model that is"):
        list(upscale(model, picture(), 2, temperature=0.5))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"factor": 1}, "a power of 2, such as 2, 4 or 8; got 1"),
        ({"factor": 6}, "got 6"),
        ({"factor": 0}, "got 0"),
        ({"factor": 16}, "has levels 0 to 2, not 3"),
        ({"num": 0}, "at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"temperature": -0.5}, "temperature must be at least 0 and finite, got -0.5"),
        ({"temperature": math.nan}, "got nan"),
        ({"coarse": picture(3)}, "takes images of shape"),
        ({"coarse": 256 + picture()}, "takes 8-bit values 0 to 255"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], named: str) -> None:
    arguments = {"coarse": picture(), "factor": 2, **options}
    with pytest.raises(ValueError, match=named):
        list(upscale(Blocks(BlocksConfig()), **arguments))  # type: ignore[arg-type]


def test_spread_is_that_of_the_samples_whatever_their_order() -> None:
    samples = torch.randint(2**16, (5, 2, 3, 4))
    forth, back = Spread(), Spread()
    for x, y in zip(samples, samples.flip(0), strict=True):
        forth.add(x)
        back.add(y)
    torch.testing.assert_close(forth.mean, samples.double().mean(0), rtol=1e-15, atol=0)
    torch.testing.assert_close(forth.deviation, samples.double().std(0), rtol=1e-12, atol=0)
    assert torch.equal(forth.mean, back.mean) and torch.equal(forth.deviation, back.deviation)


def test_one_sample_has_no_deviation() -> None:
    spread = Spread()
    spread.add(picture())
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        _ = spread.deviation


# -- denoisers, from which details are drawn by ascent

DENOISER = Scales(NearConfig())


@pytest.mark.parametrize("bits", [8, 16])
def test_denoiser_makes_integers_whose_blocks_have_the_given_means(bits: int) -> None:
    coarse = scales.picture(bits=bits)
    for x in (
        *upscale(DENOISER, coarse, 4, bits=bits),
        expected(DENOISER, coarse, 4, bits=bits),
    ):
        assert x.shape == (1, 20, 24) and x.dtype == torch.int64
        assert int(x.min()) >= 0 and int(x.max()) < 2**bits
        means = x.double().unflatten(1, (-1, 4)).unflatten(3, (-1, 4)).mean((2, 4))
        assert (means - coarse).abs().max() <= 0.5


def test_numbered_sample_of_a_denoiser_is_the_same_alone() -> None:
    coarse = scales.picture()
    four = list(upscale(DENOISER, coarse, 4, 4, bits=8, seed=5))
    start = to_float(coarse, 8, torch.float64)[None]
    alone = enlarge(DENOISER, start, 2, generator=stream(5, 2))
    assert torch.equal(to_int(alone[0], 8), four[2])
    assert len({tuple(x.flatten().tolist()) for x in four}) == 4
    assert all(map(torch.equal, four, upscale(DENOISER, coarse, 4, 2, bits=8, seed=5)))


def test_least_squares_answer_is_the_conditional_mean() -> None:
    coarse = scales.picture()
    low = to_float(coarse, 8, torch.float64)[None]
    middle = DENOISER.join(low, DENOISER.mean(low))
    mean = DENOISER.join(middle, DENOISER.mean(middle))[0]
    found = [expected(DENOISER, coarse, 4, bits=8, seed=seed) for seed in (0, 1)]
    assert torch.equal(*found), "noise hardly matters"
    assert (found[0] - 255 * mean).abs().max() < 0.6


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"factor": 8}, "2 scales of details, which make images up to 4 times as large"),
        ({"temperature": 0.5}, "a denoiser draws at temperature 1 only, got 0.5"),
        ({"bits": None}, "Scales takes floats: say the depth"),
        ({"coarse": scales.picture(3)}, "takes images of shape"),
    ],
)
def test_what_a_denoiser_cannot_is_refused(options: dict[str, object], named: str) -> None:
    arguments = {"coarse": scales.picture(), "factor": 2, "bits": 8, **options}
    with pytest.raises(ValueError, match=named):
        list(upscale(DENOISER, **arguments))  # type: ignore[arg-type]


def test_models_that_draw_details_have_no_least_squares_answer() -> None:
    with pytest.raises(ValueError, match=r"Blocks draws details .* --samples 8 writes the mean"):
        expected(Blocks(BlocksConfig()), picture(), 2)
