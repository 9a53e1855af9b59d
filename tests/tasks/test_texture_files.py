"""Synthesis writes what it says, never mixes regions, and goes on after any interruption."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from imprior import checkpoint
from imprior.base import ExactModel
from imprior.data.images import Image, read, write
from imprior.tasks import codecs, course, texture_files
from imprior.tasks.sample import sample
from imprior.tasks.texture import PAGE, REGIONS, Texture, Wanted, regions_of
from imprior.tasks.texture_files import SIDE, TOP, synthesize
from imprior.train import shallow as shallow_training
from imprior.train.progress import Progress
from imprior.train.samples import Source
from tests.tasks.textures import recurrent, shallow, stripes

WANTED = Wanted((64, 80), num=2)


def make(out: Path, image: Image | None = None, **options: object) -> Texture:
    image = stripes() if image is None else image
    presets = {"small": shallow(len(image.pixels))}
    wanted = options.pop("wanted", WANTED)
    return synthesize(image, presets, out, wanted, **options)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those that tell times."""
    untimed = (path for path in folder.rglob("*") if path.suffix in (".png", ".safetensors"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in untimed}


def press_after(steps: int) -> Callable[[Progress], None]:
    """Ctrl-C after some calls."""
    left = iter(range(steps))

    def press(_: Progress) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return press


@pytest.fixture(autouse=True)
def _save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shallow_training, "SECONDS_BETWEEN_SAVES", -1.0)
    monkeypatch.setattr(course, "SECONDS_BETWEEN_SAVES", -1.0)


@pytest.mark.parametrize(("channels", "bits"), [(1, 12), (4, 8)])
def test_samples_have_size_depth_and_channels(tmp_path: Path, channels: int, bits: int) -> None:
    image = stripes(channels, bits)
    result = make(tmp_path / "new", image)
    (made,) = result.syntheses
    assert [path.name for path in made.files] == ["small-000.png", "small-001.png"]
    for path, x in zip(made.files, made.samples, strict=True):
        written = read(path)
        assert torch.equal(written.pixels, x) and x.shape == (channels, 64, 80)
        assert written.bits == bits and written.alpha == image.alpha
    assert not torch.equal(*made.samples)
    for name, region in regions_of(image).items():
        assert torch.equal(read(tmp_path / "new" / f"{name}.png").pixels, region.pixels)


def test_samples_are_those_of_the_model_without_where_it_starts(tmp_path: Path) -> None:
    (made,) = make(tmp_path).syntheses
    model = checkpoint.load(made.folder)
    assert isinstance(model, ExactModel)
    whole = list(sample(model, (64 + TOP, 80 + 2 * SIDE), 2))
    for x, drawn in zip(made.samples, whole, strict=True):
        assert torch.equal(x, drawn[:, TOP:, SIDE:-SIDE])


def test_figures_are_of_the_region_that_nothing_was_learned_from(tmp_path: Path) -> None:
    image = stripes()
    result = make(tmp_path, image)
    (made,) = result.syntheses
    held_out = image.pixels[:, -16:]
    model = checkpoint.load(made.folder)
    assert isinstance(model, ExactModel)
    assert made.bits_per_dim == pytest.approx(model.bits_per_dim(held_out[None]).item(), abs=1e-9)
    assert result.codecs == codecs.bits_per_dim(texture_files.AGAINST, held_out, 8)
    # Whatever is held out, the model is the same.
    other = replace(image, pixels=image.pixels.clone())
    other.pixels[:, -16:] = 7
    changed = make(tmp_path / "other", other).syntheses[0]
    assert checkpoint.digest(checkpoint.load(changed.folder)) == checkpoint.digest(model)
    record = json.loads(json.dumps(result.record()))
    assert record["models"][0]["bits_per_dim"] == made.bits_per_dim
    assert record["held_out"]["shape"] == [1, 16, 66]


def test_weights_are_chosen_by_the_second_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regions that are handed to the training, and how it splits them."""
    seen = []
    split = shallow_training.split

    def spy(sources: list[Source], share: float) -> tuple[list[Source], list[Source]]:
        sides = split(sources, share)
        seen.append([[source.read() for source in side] for side in sides])
        return sides

    monkeypatch.setattr(shallow_training, "split", spy)
    image = stripes()
    make(tmp_path, image)
    ((training,), (validation,)) = seen[0]
    assert torch.equal(training, image.pixels[:, :-32])
    assert torch.equal(validation, image.pixels[:, -32:-16])


@pytest.mark.parametrize("steps", [1, 3])
def test_an_interrupted_call_goes_on_to_the_same_files(tmp_path: Path, steps: int) -> None:
    make(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut", progress=press_after(steps))
    make(tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert not list(tmp_path.rglob("*.training"))


def test_a_complete_model_is_used_again(tmp_path: Path) -> None:
    first = make(tmp_path)
    (tmp_path / PAGE).write_text("page")
    told: list[Progress] = []
    larger = Wanted((70, 90), num=1)
    again = make(tmp_path, wanted=larger, overwrite=True, progress=told.append)
    assert {at.stage for at in told} == {"small: drawing"}
    assert again.syntheses[0].samples[0].shape == (1, 70, 90)
    assert again.syntheses[0].bits_per_dim == first.syntheses[0].bits_per_dim
    assert [bits for _, bits in again.syntheses[0].course.points] == [
        bits for _, bits in first.syntheses[0].course.points
    ]
    assert not (tmp_path / PAGE).exists()


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / PAGE).write_text("page")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"index.html is there already"):
        make(tmp_path)
    with pytest.raises(ValueError, match=r"config.json is there already"):
        make(tmp_path, stripes(width=70))
    assert contents(tmp_path) == before
    (tmp_path / "foreign").mkdir()
    write(tmp_path / "foreign" / "small-001.png", stripes())
    with pytest.raises(ValueError, match=r"small-001.png is there already"):
        make(tmp_path / "foreign")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        make(tmp_path / "file")


def test_another_texture_replaces_if_asked(tmp_path: Path) -> None:
    other = stripes(width=70)
    make(tmp_path / "expected", other)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "used", progress=press_after(3))
    make(tmp_path / "used", other, overwrite=True)
    assert contents(tmp_path / "used") == contents(tmp_path / "expected")


def test_a_recurrent_model_learns_too(tmp_path: Path) -> None:
    presets = {"shallow": shallow(), "recurrent": recurrent()}
    result = synthesize(stripes(), presets, tmp_path, Wanted((64, 64), num=1))
    assert [made.name for made in result.syntheses] == ["shallow", "recurrent"]
    for made in result.syntheses:
        assert math.isfinite(made.bits_per_dim) and made.course.points and made.course.done
        assert checkpoint.load(made.folder).config.bits == 8
    assert type(checkpoint.load(tmp_path / "recurrent")).__name__ == "RIDE"
    assert set(result.bits_per_dim()) == {"shallow", "recurrent", *texture_files.AGAINST}
    assert {path.stem for path in tmp_path.glob("*.png")} >= set(REGIONS)
