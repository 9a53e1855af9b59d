"""A sample depends on its seed and number alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.base import ImageModel
from imprior.data.images import read, to_int
from imprior.inference.synthesis import Moment, synthesize
from imprior.tasks.sample import DEPTH, sample, sample_files, stream
from tests.scales import Near, NearConfig, Scales
from tests.toys import Toy, ToyConfig


def test_image_does_not_depend_on_how_many_are_drawn() -> None:
    model = Toy(ToyConfig(channels=2))
    five, two = list(sample(model, (4, 6), 5, seed=3)), list(sample(model, (4, 6), 2, seed=3))
    assert all(torch.equal(x, y) for x, y in zip(five, two, strict=False))
    assert len({tuple(x.flatten().tolist()) for x in five}) == 5
    assert five[0].shape == (2, 4, 6)
    model.check(torch.stack(five))


def test_streams_of_neighbouring_seeds_differ() -> None:
    first = {stream(seed, index).initial_seed() for seed in range(5) for index in range(5)}
    assert len(first) == 25
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        stream(-1, 0)


def test_temperature_one_is_the_model_and_less_is_likelier() -> None:
    model = Toy(ToyConfig())
    (plain,) = sample(model, (9, 9), seed=1)
    (cold,) = sample(model, (9, 9), seed=1, temperature=0.2)
    assert torch.equal(plain, model.sample((1, 9, 9), generator=stream(1, 0))[0])
    assert model.log_prob(cold[None]) > model.log_prob(plain[None])


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_empty_images_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="size and num must be at least 1"):
        list(sample(Toy(ToyConfig()), size))


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("bits", [8, 12])
def test_files_hold_the_samples(tmp_path: Path, channels: int, bits: int) -> None:
    model = Toy(ToyConfig(channels=channels, bits=bits))
    files = list(sample_files(model, tmp_path / "new", (5, 7), 3, seed=2))
    suffix = "png" if channels < 5 else "tiff"
    assert [path.name for path in files] == [
        f"{n}.{suffix}" for n in ("000", "001", "002", "sheet")
    ]
    for path, x in zip(files, sample(model, (5, 7), 3, seed=2), strict=False):
        image = read(path)
        assert torch.equal(image.pixels, x) and image.bits == bits


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    model = Toy(ToyConfig())
    (tmp_path / "001.png").write_text("precious")
    with pytest.raises(ValueError, match=r"001\.png is there already"):
        list(sample_files(model, tmp_path, (2, 2), 3))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
    assert len(list(sample_files(model, tmp_path, (2, 2), 3, overwrite=True))) == 4
    assert read(tmp_path / "001.png").bits == 8


@pytest.mark.parametrize("model", [Near(NearConfig(3)), Scales(NearConfig(3))])
def test_denoisers_draw_images_of_any_size_in_8_bits(model: ImageModel, tmp_path: Path) -> None:
    *files, _sheet = sample_files(model, tmp_path, (13, 18), 2, seed=4)
    drawn = [read(path) for path in files]
    assert all(image.bits == DEPTH and image.pixels.shape == (3, 13, 18) for image in drawn)
    assert not torch.equal(drawn[0].pixels, drawn[1].pixels)
    alone = synthesize(model, (13, 18), generator=stream(4, 1))  # type: ignore[arg-type]
    assert torch.equal(to_int(alone[0], DEPTH), drawn[1].pixels)


def test_watcher_is_told_which_image_it_is() -> None:
    told: list[tuple[int, Moment]] = []
    list(sample(Near(NearConfig()), (9, 9), 2, watch=lambda n, at: told.append((n, at))))
    assert sorted({number for number, _ in told}) == [0, 1]


def test_temperature_is_not_for_denoisers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a denoiser draws at temperature 1 only, got 2"):
        list(sample_files(Near(NearConfig()), tmp_path / "o", (4, 4), 1, temperature=2.0))
    assert not (tmp_path / "o").exists()


def test_models_that_draw_nothing_are_refused() -> None:
    class Bare(ImageModel):
        config_class = ToyConfig

    with pytest.raises(ValueError, match="sample needs a model that is a Sampler; Bare is not"):
        list(sample(Bare(ToyConfig()), (4, 4)))
