"""The levels of a PixelPyramid: repeated, tiled, octave by octave, as published, and missing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from imprior import checkpoint
from imprior.inference.walk import score
from imprior.models.pyramids.config import PixelPyramidConfig
from imprior.models.pyramids.lattice import tiles
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS
from imprior.provenance import PROVENANCE
from tests.models.pyramids.small import FEW, assert_close, images, make

# -- levels and tiles


@torch.no_grad()
def test_networks_are_repeated_or_the_coarsest_image_is_larger() -> None:
    again = make(repeat=True)
    once = PixelPyramid(replace(again.config, repeat=False)).double().eval()
    once.load_state_dict(again.state_dict())
    assert len(again.axes(16, 16)) == 6 and len(once.axes(16, 16)) == 2
    x = images(again, 16, 16)
    assert again.coarse(x).shape == (2, 1, 2, 2) and once.coarse(x).shape == (2, 1, 8, 8)
    deep, shallow = again.level_log_probs(x), once.level_log_probs(x)
    for name in ("level-1", "level-2"):
        assert_close(deep[name], shallow[name])
    assert_close(shallow["coarsest"], once.coarsest.log_prob(x[:, :, 1::2, 1::2]))


@torch.no_grad()
def test_tiles_are_independent_images() -> None:
    model = make(tile=8)
    x = images(model, 21, 11)
    windows = tiles(x.shape, 8)
    assert len(windows) == 6
    assert not any(rows.start % 2 or columns.start % 2 for *_, rows, columns in windows)
    whole = make(tile=64)
    masses = model.log_prob_map(x)
    for window in windows:
        assert_close(masses[window], whole.log_prob_map(x[window]))
    assert_close(score(model, x), masses)
    assert not torch.allclose(whole.log_prob_map(x), masses)


@torch.no_grad()
def test_octaves_are_factors_of_the_whole() -> None:
    for fine in ("pixel", "difference"):
        model = make(FEW, fine=fine, channels=2)
        x = images(model, 16, 8)
        coarse, detail = model.split(x)
        coarser, coarse_detail = model.split(coarse)
        assert coarse.shape == (2, 2, 8, 4) and detail.shape == (2, 6, 8, 4)
        assert torch.equal(coarse, x[:, :, 1::2, 1::2])
        assert torch.equal(model.join(coarse, detail), x)
        finest, second = model.given(coarse), model.given(coarser, level=1)
        factors = finest.log_prob(detail) + second.log_prob(coarse_detail)
        assert_close(factors + model.coarsest.log_prob(coarser), model.log_prob(x))
        assert_close(score(finest, detail), finest.log_prob_map(detail))
        drawn = second.sample((2, 4, 2), generator=torch.Generator().manual_seed(3))
        assert torch.equal(model.split(model.join(coarser, drawn))[0], coarser)


@torch.no_grad()
def test_the_detail_of_a_tiled_image_is_tiled_alike() -> None:
    model = make(tile=8)
    x = images(model, 22, 12)
    coarse, detail = model.split(x)
    finest = model.given(coarse)
    assert len(finest.windows) == 6
    shares = model.level_log_probs(x)
    assert_close(finest.log_prob(detail), shares["level-1"] + shares["level-2"])
    assert_close(score(finest, detail), finest.log_prob_map(detail))


def test_octaves_that_are_not_there() -> None:
    model, again = make(FEW), make()
    coarse = images(model, 4, 4)
    for level in (2, -1):
        with pytest.raises(ValueError, match="has 4 levels, enough to double images 2 times"):
            model.given(coarse, level)
    assert again.given(coarse, 7).channels == 3
    with pytest.raises(ValueError, match=r"images of even sides can be split, got \(2, 1, 4, 3\)"):
        model.split(coarse[..., :3])
    for wrong in (coarse + 300, coarse.double(), coarse.repeat(1, 2, 1, 1)):
        with pytest.raises(ValueError, match="PixelPyramid takes"):
            model.given(wrong)


# -- published sizes

PUBLISHED_PRESETS = [
    name for name, preset in PRESETS.items()
    if isinstance(preset.config, PixelPyramidConfig) and preset.config.fine == "difference"
    and not name.endswith("-tiny")
]  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED_PRESETS)
def test_published_layouts_learn_at_reduced_channels(name: str) -> None:
    config = PRESETS[name].config
    small = {"width": 1, "features": 2, "hidden": 2, "num_components": 1}
    levels = tuple(replace(level, **small) for level in config.levels)
    narrow = {"coarse_filters": 2, "coarse_blocks": 1, "coarse_components": 1, "coarsest": 1}
    model = PixelPyramid(replace(config, levels=levels, **narrow))
    side = 2 ** (len(levels) // 2)  # of the smallest images with as many levels
    x = images(model, side, side, batch=1)
    assert len(model.axes(side, side)) == len(levels)
    masses = model.log_prob(x)
    masses.sum().backward()
    assert masses.isfinite().all()
    for parameter, tensor in model.named_parameters():
        assert tensor.grad is not None and tensor.grad.isfinite().all(), parameter


@pytest.mark.parametrize(("name", "most"), [("pyramid-gray", 1e6), ("pyramid-rgb", 5e6)])
def test_laptop_sizes(name: str, most: float) -> None:
    with torch.device("meta"):
        model = PixelPyramid(PRESETS[name].config)
    assert sum(parameter.numel() for parameter in model.parameters()) <= most


def test_published_number_of_parameters() -> None:
    """The authors' model has 167.0 M, of which 31.4 M are never used."""
    with torch.device("meta"):
        model = PixelPyramid(PRESETS["pyramid-celeba-256"].config)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert 135e6 < count < 137e6
    assert len(PUBLISHED_PRESETS) == 6


# -- bad input


def test_bad_images_are_refused() -> None:
    model = make(bits=5)
    x = torch.arange(32).view(2, 1, 4, 4)
    for wrong, message in (
        (x + 1, "takes 5-bit values 0 to 31, got values 1 to 32"),
        (x - 1, "takes 5-bit values 0 to 31, got values -1 to 30"),
        (x.float(), r"takes integers, got torch\.float32"),
        (x[0], r"takes images of shape \(B, 1, H, W\), got \(1, 4, 4\)"),
    ):
        for use in (model.log_prob_map, model.level_log_probs):
            with pytest.raises(ValueError, match=message):
                use(wrong)


def test_folder_without_a_level_is_refused(tmp_path: Path) -> None:
    """Whether a file was cut, or saved and signed by something else."""
    model = make(FEW)
    checkpoint.save(model, tmp_path, dict.fromkeys(PROVENANCE))
    path, config = tmp_path / checkpoint.WEIGHTS, tmp_path / checkpoint.CONFIG
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    kept = {name: t for name, t in tensors.items() if not name.startswith("levels.2.")}
    path.write_bytes(safetensors.torch.save(kept))
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: config\.json has anoth"):
        checkpoint.load(tmp_path)
    record = json.loads(config.read_text())
    record["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    record["digest"] = checkpoint._digest(record["model"], record["config"], kept)
    config.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"missing, extra or misshapen levels\.2\.") as caught:
        checkpoint.load(tmp_path)
    assert "levels.1." not in str(caught.value) and "\n" not in str(caught.value)


def test_saved_levels_are_the_same_levels(tmp_path: Path) -> None:
    model = make(FEW)
    checkpoint.save(model, tmp_path, dict.fromkeys(PROVENANCE))
    loaded = checkpoint.load(tmp_path)
    assert isinstance(loaded, PixelPyramid) and loaded.config == model.config
    x = images(model, 5, 4)
    with torch.no_grad():
        assert torch.equal(loaded.log_prob(x), model.log_prob(x))


@torch.no_grad()
def test_details_that_are_told_as_differences_come_back() -> None:
    model = make(fine="difference")
    x = torch.randint(2**model.config.bits, (2, model.channels, 8, 6))
    coarse, detail = model.split(x)
    given = model.given(coarse)
    told = given.to_canvas(detail)
    assert not torch.equal(told, detail)
    assert torch.equal(given.from_canvas(told), detail)
