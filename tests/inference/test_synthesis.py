"""What is drawn has the low-pass image that was given, and depends on its generator alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imprior.inference.expectation import expect_enlarged
from imprior.inference.synthesis import Moment, enlarge, synthesize
from imprior.models.local.conditional import ConditionalDenoiser
from tests.models.local import small
from tests.scales import Near, NearConfig, Scales


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def low(*shape: int) -> Tensor:
    return torch.rand(shape, generator=seeded(9), dtype=torch.float64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_given_image_is_the_low_pass_of_what_is_drawn(channels: int, count: int) -> None:
    for model in (Scales(NearConfig(channels)), small.local(channels=channels)):
        given = low(1, channels, 5, 6)
        x = enlarge(model, given, count, generator=seeded())
        assert x.shape == (1, channels, 5 * 2**count, 6 * 2**count)
        for _ in range(count):
            x, _ = model.split(x)
        torch.testing.assert_close(x, given, rtol=0, atol=1e-5)


def test_details_are_those_of_the_model() -> None:
    """A denoiser that knows means, and believes in no spread, draws the means."""
    model, given = Scales(NearConfig(variance=0.0)), low(1, 1, 6, 6)
    middle = model.join(given, model.mean(given))
    expected = model.join(middle, model.mean(middle))
    x = enlarge(model, given, 2, generator=seeded())
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-9)


def test_details_are_drawn_by_tiles_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = small.local(), low(1, 1, 40, 33)
    drawn = enlarge(model, given, 1, generator=seeded())
    mean = expect_enlarged(model, given, 1, generator=seeded())
    whole, seen = ConditionalDenoiser.denoise, set()

    def denoise(self: ConditionalDenoiser, low: Tensor, details: Tensor) -> Tensor:
        if low[0, 0].numel() > 30 * 30:
            raise MemoryError
        seen.add(low.shape)
        return whole(self, low, details)

    monkeypatch.setattr(ConditionalDenoiser, "denoise", denoise)
    again = enlarge(model, given, 1, generator=seeded())
    torch.testing.assert_close(again, drawn, rtol=0, atol=1e-9)
    found = expect_enlarged(model, given, 1, generator=seeded())
    torch.testing.assert_close(found, mean, rtol=0, atol=1e-9)
    assert len(seen) > 1


def test_generator_decides() -> None:
    model, given = Scales(NearConfig()), low(1, 1, 5, 6)
    one, same, other = (enlarge(model, given, 2, generator=seeded(n)) for n in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_are_drawn(size: tuple[int, int], channels: int) -> None:
    for model in (Scales(NearConfig(channels)), Near(NearConfig(channels))):
        x = synthesize(model, size, generator=seeded())
        assert x.shape == (1, channels, *size) and bool(x.isfinite().all())
        assert abs(float(x.mean()) - 0.5) < 0.2


def test_what_exceeds_a_multiple_is_cut_off() -> None:
    model = Scales(NearConfig())
    whole, cut = (synthesize(model, size, generator=seeded()) for size in ((8, 8), (5, 7)))
    assert torch.equal(cut, whole[..., :5, :7])


def test_watcher_is_told_of_every_scale_from_the_coarsest() -> None:
    told: list[Moment] = []
    synthesize(Scales(NearConfig()), (24, 24), generator=seeded(), watch=told.append)
    scales = [at.scale for at in told]
    assert sorted(scales, reverse=True) == scales and set(scales) == {0, 1, 2}
    numbers = [at.iteration for at in told if at.scale == 1]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(at.sigma > 0 and not at.trouble for at in told)


def test_largest_noise_is_what_was_learnt_from() -> None:
    local = small.local()
    assert local.given(low(1, 1, 4, 4), 1).largest_noise == local.config.noise.sigma == 0.25
    assert local.low.largest_noise == local.low.config.noise.sigma == 1


def test_images_begin_with_noise_of_1_whatever_was_learnt_from() -> None:
    told: list[Moment] = []
    model = Near(NearConfig(sigma=0.25))  # takes all but 2 % for noise
    synthesize(model, (24, 24), generator=seeded(), watch=told.append)
    assert model.largest_noise == 0.25 and told[0].sigma == pytest.approx(1, abs=0.1)


class Biased(Near):
    """Finds the same noise again and again."""

    def denoise(self, y: Tensor) -> Tensor:
        return y + 0.2


class Wild(Near):
    def denoise(self, y: Tensor) -> Tensor:
        return y * torch.inf


class Growing(Near):
    def denoise(self, y: Tensor) -> Tensor:
        return 5 * y


@pytest.mark.parametrize(
    ("kind", "trouble"), [(Biased, "steps ran out"), (Growing, "the noise grew")]
)
def test_trouble_is_told_once(kind: type[Near], trouble: str) -> None:
    told: list[Moment] = []
    synthesize(kind(NearConfig()), (2, 2), generator=seeded(), watch=told.append)
    (found,) = [at for at in told if at.trouble]
    assert found is told[-1] and trouble in found.trouble and found.iteration == len(told) - 1


def test_what_overflows_is_no_image() -> None:
    with pytest.raises(ValueError, match="overflowed at scale 0: the denoiser makes noise larger"):
        synthesize(Wild(NearConfig()), (2, 2), generator=seeded())


def test_scales_that_a_model_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 scales of details, .* up to 4 times .* scale of 8"):
        enlarge(Scales(NearConfig()), low(1, 1, 2, 2), 3, generator=seeded())
