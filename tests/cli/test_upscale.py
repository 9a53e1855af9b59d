"""`imprior upscale`: samples, their mean and spread, and the pixels that were known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from imprior import checkpoint
from imprior.data.images import read
from imprior.provenance import PROVENANCE
from tests.blocks import Blocks, BlocksConfig
from tests.cli.given import Run, colourful, tree


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    return checkpoint.save(Blocks(BlocksConfig()), tmp_path / "blocks", dict.fromkeys(PROVENANCE))


def test_upscale_writes_samples_figures_and_a_page(
    run: Run, blocks: Path, photos: Path, tmp_path: Path
) -> None:
    colourful(photos / "colour.png")
    out, figures = tmp_path / "out", tmp_path / "f.json"
    words = ("upscale", photos, "--model", blocks, "--out", out, "--scale", 4, "--samples", 2)
    status, said, err = run(*words, "--json", figures, "--report")
    assert status == 1 and "colour.png has 3 channels" in err
    assert "40 x 48" in said and "index.html shows what was drawn" in said
    names = [f"{name}.png" for name in ("", "-001", "-mean", "-deviation")]
    expected = {*(f"a{name}" for name in names), *(f"sub/b{name}" for name in names)}
    assert tree(out).keys() == expected | {"index.html"}
    told = json.loads(figures.read_text())
    assert (told["scale"], told["samples"], told["seed"]) == (4, 2, 0)
    assert [Path(each["path"]).name for each in told["files"]] == ["a.png", "b.png"]
    assert [Path(each["path"]).name for each in told["failures"]] == ["colour.png"]
    (photos / "colour.png").unlink()
    status, said, _ = run(*words)
    assert status == 0 and "2 outputs were there already" in said
    first = tree(out)
    assert run(*words, "--overwrite", "--quiet") == (0, "", "") and tree(out) == first


def test_upscale_to_one_file_keeps_the_pixels(
    run: Run, blocks: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("upscale", photos / "a.png", "--model", blocks, "--out", tmp_path / "large.png")
    assert run(*words, "--report")[0] == 0
    large = read(tmp_path / "large.png").pixels
    assert torch.equal(large[:, 1::2, 1::2], read(photos / "a.png").pixels)
    assert (tmp_path / "large.html").exists()


def test_upscale_needs_a_multiscale_model(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    status, _, err = run("upscale", photos, "--model", model, "--out", tmp_path / "out")
    assert status == 2 and "upscale needs a model that is a Multiscale; Toy is not" in err
    assert not (tmp_path / "out").exists()
