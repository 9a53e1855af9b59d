"""Ascents fill the hole alone, as the posterior of a Gaussian prior says, and go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imprior.data.formats.raster import Metadata
from imprior.data.images import Image, read, to_float, to_int
from imprior.denoisers import Denoiser
from imprior.inference.schedule import Schedule
from imprior.tasks.filling import Stage
from imprior.tasks.holes import around, hole_of_box
from imprior.tasks.inpaint import MARGIN, filled
from imprior.tasks.inpaint_ascent import (
    MOST_MARGIN,
    Ascended,
    Ascending,
    ascend_into,
    margin_of,
)
from imprior.tasks.inpaint_files import Inpainted, Progress, inpaint_files
from tests.inference.gaussian import MEAN, Gaussian, seeded
from tests.models.local import small

HOLE = hole_of_box("9,7,4,5", (20, 22))
QUICK = Schedule(h0=0.3, beta=0.5)


@dataclass(frozen=True)
class SmoothConfig:
    channels: int = 1
    field: int = 3


class Smooth(Denoiser):
    """Takes the mean of a square for the clean image: crude, but all noise is gone in the end."""

    config_class = SmoothConfig

    def denoise(self, y: Tensor) -> Tensor:
        self.check(y)
        field = self.config.field
        return torch.nn.functional.avg_pool2d(y, field, 1, field // 2, count_include_pad=False)

    @property
    def receptive_field(self) -> int:
        return int(self.config.field)


def picture(channels: int = 1, bits: int = 8, name: str = "x.png") -> Image:
    pixels = torch.randint(2**bits, (channels, 20, 22), generator=seeded())
    return Image(pixels, bits, Metadata(resolution=(72.0, 72.0)), channels in (2, 4), name)


def fill(image: Image, model: Denoiser | None = None, *, seed: int = 0, index: int = 0) -> Ascended:
    model = model or Smooth(SmoothConfig())
    return ascend_into(model, image, HOLE, QUICK, seed=seed, index=index)


def run(image: Image, out: Path, **options: object) -> Inpainted[Ascended]:
    model = Smooth(SmoothConfig())
    return inpaint_files(model, image, HOLE, out, Ascending(QUICK), **options)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- one filling


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (1, 16), (2, 8), (3, 16), (4, 8), (5, 12)])
def test_only_colours_in_the_hole_change(channels: int, bits: int) -> None:
    image = picture(channels, bits)
    before = image.pixels.clone()
    result = filled(image, HOLE, fill(image).x).pixels
    colours = channels - image.alpha
    assert torch.equal(image.pixels, before) and torch.equal(result[:, ~HOLE], before[:, ~HOLE])
    assert torch.equal(result[colours:], before[colours:])
    assert (result != before)[:colours, HOLE].double().mean() > 0.5
    assert result.min() >= 0 and result.max() < 2**bits
    assert len(set(result[0, HOLE].tolist())) > 10


def test_what_is_in_the_hole_is_not_looked_at_and_what_is_near_is() -> None:
    image = picture()
    dark, near = image.pixels.clone(), image.pixels.clone()
    dark[:, HOLE], near[:, 6] = 0, 0
    x, of_dark, of_near = (
        fill(replace(image, pixels=pixels)).x for pixels in (image.pixels, dark, near)
    )
    assert torch.equal(x[:, HOLE], of_dark[:, HOLE])
    assert not torch.equal(x[:, HOLE], of_near[:, HOLE])


def test_fillings_differ_by_index_and_seed_alone() -> None:
    def x(seed: int, index: int) -> Tensor:
        return fill(picture(), seed=seed, index=index).x

    assert torch.equal(x(0, 3), x(0, 3))
    assert not torch.equal(x(0, 3), x(0, 2)) and not torch.equal(x(0, 3), x(1, 3))


def test_grey_model_fills_each_channel_by_itself() -> None:
    """The first channel of a colour image is filled as a grey image is; the others otherwise."""
    image = picture(3)
    same = image.pixels[:1].expand(3, -1, -1).clone()
    done = fill(replace(image, pixels=same))
    assert len(done.steps) == len(done.noise) == len(done.stopped) == 3
    assert torch.equal(done.x[:1], fill(replace(image, pixels=same[:1])).x)
    assert not torch.equal(done.x[0], done.x[1]) and not torch.equal(done.x[1], done.x[2])
    told = Ascending(QUICK).notes(Smooth(SmoothConfig()), image, done)
    assert told == ["a model of grey images: each channel was filled by itself"]
    assert not Ascending(QUICK).notes(Smooth(SmoothConfig(3)), image, fill(image))
    with pytest.raises(ValueError, match="has 3 colour channels, the model is for 2"):
        fill(image, Smooth(SmoothConfig(2)))


@pytest.mark.parametrize("model", [small.flat(), small.local()], ids=["flat", "local"])
def test_denoisers_of_one_scale_and_of_several_fill(model: Denoiser) -> None:
    done = fill(picture(), model)
    assert torch.equal(done.x[:, ~HOLE], picture().pixels[:, ~HOLE])
    assert not torch.equal(done.x[:, HOLE], picture().pixels[:, HOLE])


def test_steps_and_noise_are_those_of_the_ascent() -> None:
    seen: list[Tensor] = []
    done = ascend_into(
        Smooth(SmoothConfig()), picture(3), HOLE, QUICK, watch=lambda at: seen.append(at.sigma)
    )
    assert torch.equal(done.sigmas.isnan(), torch.stack(seen).isnan())
    assert done.stopped == ("converged",) * 3 and max(done.noise) <= QUICK.sigma_end
    for number, count in enumerate(done.steps):
        column = done.sigmas[:, number]
        assert bool(column[:count].isfinite().all()) and bool(column[count:].isnan().all())
    assert done.likeliest is None
    record = done.record()
    assert record["steps"] == done.steps and record["stopped"] == ["converged"] * 3


@pytest.mark.parametrize(("field", "margin"), [(3, MARGIN), (81, 40), (999, MOST_MARGIN)])
def test_margin_is_what_the_model_sees_within_reason(field: int, margin: int) -> None:
    model = Smooth(SmoothConfig(field=field))
    assert margin_of(model) == margin
    hole = torch.zeros(400, 300, dtype=torch.bool)
    hole[200, 150] = True
    pixels = torch.randint(256, (1, 400, 300), generator=seeded())
    far = pixels.clone()
    far[:, 200 - margin - 1] = far[:, :, 150 + margin + 1] = 0
    one, other = (
        ascend_into(Smooth(SmoothConfig()), Image(x, 8), hole, QUICK).x for x in (pixels, far)
    )
    assert one.shape[1:] == hole[around(hole, MARGIN)].shape
    assert torch.equal(one[hole[around(hole, MARGIN)].expand_as(one)], other[:, MARGIN, MARGIN])


def test_untrained_denoisers_are_told() -> None:
    class Louder(Smooth):
        """Every step makes the noise larger."""

        factor = 3.0

        def denoise(self, y: Tensor) -> Tensor:
            return self.factor * y

    class Loudest(Louder):
        factor = 1e30

    done = fill(picture(), Louder(SmoothConfig()))
    assert done.stopped == ("diverged",)
    (told,) = Ascending(QUICK).notes(Louder(SmoothConfig()), picture(), done)
    assert "the noise grew instead of falling" in told
    with pytest.raises(ValueError, match="values overflowed: the denoiser makes noise larger"):
        fill(picture(), Loudest(SmoothConfig()))


def test_holes_that_do_not_fit_are_refused() -> None:
    for hole in (~HOLE | HOLE, HOLE & ~HOLE, HOLE[:-1]):
        with pytest.raises(ValueError, match="true here and there"):
            ascend_into(Smooth(SmoothConfig()), picture(), hole, QUICK)


# -- the posterior of a Gaussian prior


def halves() -> Gaussian:
    r"""A prior that knows of the lower half what the upper half tells of it, and no more.

    Its patterns are :math:`(u, \pm v) / \sqrt 2`, u above and v below; two pairs of them.
    """
    prior = Gaussian((1, 16, 16), torch.tensor([1, 0.15, 0.15, 0.7], dtype=torch.float64))
    white = torch.randn(2, 128, 2, generator=seeded(1), dtype=torch.float64)
    u, v = torch.linalg.qr(white).Q
    patterns = torch.cat([torch.cat([u, u], 1), torch.cat([v, -v], 1)]) / 2**0.5
    object.__setattr__(prior, "patterns", patterns)
    return prior


class Wiener(Smooth):
    """The best denoiser of the images of that prior."""

    prior = halves()

    def denoise(self, y: Tensor) -> Tensor:
        return self.prior.denoise(y)


def test_mean_of_many_fillings_is_the_conditional_mean() -> None:
    prior, count = Wiener.prior, 24
    image = Image(to_int(prior.sample(1, generator=seeded(4))[0], 16), 16)
    hole = torch.zeros(16, 16, dtype=torch.bool)
    hole[8:] = True
    schedule = Schedule(h0=0.2, beta=0.2, steps="fixed", sigma_end=0.02)
    model = Wiener(SmoothConfig())
    draws = [ascend_into(model, image, hole, schedule, index=n) for n in range(count)]
    values = to_float(image.pixels, 16, torch.float64).flatten()
    C, above = prior.covariance, slice(128)
    gain = C[128:, above] @ torch.linalg.pinv(C[above, above])
    mean = gain @ (values[above] - MEAN)
    covariance = C[128:, 128:] - gain @ C[above, 128:]
    v = prior.patterns[128:, :2] * 2**0.5  # what the lower half consists of
    found = torch.stack([to_float(done.x, 16, torch.float64).flatten()[128:] for done in draws])
    coordinates, spread = (found - MEAN) @ v, (v.T @ covariance @ v).diagonal()
    error = (coordinates.mean(0) - v.T @ mean).abs()
    assert ((v.T @ mean).abs() > 0.2).all() and (spread > 0.15).all()
    assert (error < 4 * (spread / count).sqrt()).all() and (error < 0.3).all()
    ratio = coordinates.var(0) / spread
    assert 0.4 < ratio.mean() < 1.6


# -- files


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 16), (4, 8)])
def test_files_keep_known_pixels_depth_and_resolution(
    tmp_path: Path, channels: int, bits: int
) -> None:
    image = picture(channels, bits)
    result = run(image, tmp_path / "new", num=2)
    assert sorted(contents(tmp_path / "new")) == ["000.png", "001.png", "mean.png"]
    assert result.best is None and result.mean == tmp_path / "new" / "mean.png"
    written = [read(path) for path in (*result.files, result.mean)]
    for each in written:
        assert torch.equal(each.pixels[:, ~HOLE], image.pixels[:, ~HOLE])
        assert each.bits == bits and each.alpha == image.alpha
        assert each.metadata.resolution == pytest.approx((72.0, 72.0), rel=1e-3)
    exact = (written[0].pixels + written[1].pixels).double() / 2
    assert (written[2].pixels - exact).abs().max() <= 0.5
    assert run(image, tmp_path / "one").mean is None


def test_filling_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    run(picture(), tmp_path / "four", num=4)
    alone = filled(picture(), HOLE, fill(picture(), index=3).x)
    assert torch.equal(read(tmp_path / "four" / "003.png").pixels, alone.pixels)


def test_progress_is_told_after_each_step(tmp_path: Path) -> None:
    told: list[Progress] = []
    result = run(picture(), tmp_path, num=2, progress=told.append)
    steps = [done.steps[0] for done in result.fillings]
    assert [at.sample for at in told] == [0] * (steps[0] + 1) + [1] * (steps[1] + 1)
    first = [at.stage for at in told[: steps[0] + 1]]
    assert first[0].share < 0.2 and first[-1] == Stage(1.0, first[-1].text)
    assert all(0 <= stage.share <= 1 and not stage.notable for stage in first[:-1])
    assert first[1].text == f"step 2: noise {float(result.fillings[0].sigmas[1]):.3f}"
    assert first[-1].text.endswith(": converged")


def press_after(steps: int) -> Callable[[Progress], None]:
    """Ctrl-C after some calls."""
    left = iter(range(steps))

    def press(_: Progress) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return press


def test_interrupted_run_goes_on_after_the_last_filling_that_is_done(tmp_path: Path) -> None:
    whole: list[Progress] = []
    run(picture(), tmp_path / "whole", num=3, progress=whole.append)
    first = [at.sample for at in whole].index(1)
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        run(picture(), out, num=3, progress=press_after(2))
    assert not out.exists()
    with pytest.raises(KeyboardInterrupt, match="1 of 3 fillings are done"):
        run(picture(), out, num=3, progress=press_after(first + 3))
    assert sorted(contents(out)) == [".inpainting", "000.png"]
    told: list[Progress] = []
    run(picture(), out, num=3, progress=told.append)
    assert [at.stage for at in told] == [at.stage for at in whole[first:]]
    assert contents(out) == contents(tmp_path / "whole")


def test_other_schedule_or_seed_does_not_take_over(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(picture(), tmp_path, num=9, progress=press_after(60))
    model = Smooth(SmoothConfig())
    for filling, seed in ((Ascending(replace(QUICK, beta=0.4)), 0), (Ascending(QUICK), 1)):
        with pytest.raises(ValueError, match="an unfinished inpainting of another image or with"):
            inpaint_files(model, picture(), HOLE, tmp_path, filling, seed=seed)


def test_record_invents_no_probabilities(tmp_path: Path) -> None:
    record = run(picture(3), tmp_path, num=2).record()
    assert record["best"] is None and record["mean"] == str(tmp_path / "mean.png")
    assert record["filling"]["method"] == "ascent"
    assert record["filling"]["schedule"]["beta"] == QUICK.beta
    assert record["notes"] == ["a model of grey images: each channel was filled by itself"]
    for each in record["fillings"]:
        assert each.keys() == {"path", "steps", "stopped", "sigma", "seconds"}
        assert len(each["steps"]) == len(each["sigma"]) == 3
