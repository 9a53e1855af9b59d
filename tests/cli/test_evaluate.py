"""`imprior evaluate`: the figures of exact models, alone and as ensembles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imprior.data.images import read
from imprior.inference.symmetry import Ensemble
from tests.cli.given import Run, tree
from tests.toys import Toy, ToyConfig


def test_evaluate_prints_and_writes_the_figures(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("evaluate", photos, "--model", model, "--against", "png,jxl")
    status, out, _ = run(*words, "--json", tmp_path / "f.json", "--map", tmp_path / "maps")
    assert status == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [Path(image["path"]).name for image in figures["images"]] == ["a.png", "b.png"]
    assert list(figures["total"]["codecs"]) == ["png", "jxl"] and figures["failures"] == []
    assert figures["likelihood"] == "mass" and figures["seconds"] > 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:3] == ["model", "png", "jxl"]
    assert lines[-1] == [
        f"{figures['total']['bits_per_dim']:.3f}",
        *(f"{value:.3f}" for value in figures["total"]["codecs"].values()),
        "all",
    ]
    assert sorted(tree(tmp_path / "maps")) == ["a.png.png", "sub/b.png.png"]


def test_evaluate_averages_over_symmetries(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("evaluate", photos, "--model", model, "--ensemble", "--json", tmp_path / "f.json")
    assert run(*words)[0] == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    ensemble = Ensemble(Toy(ToyConfig()))
    for image in figures["images"]:
        expected = ensemble.bits_per_dim(read(image["path"]).pixels[None]).item()
        assert image["bits_per_dim"] == pytest.approx(expected, abs=1e-9)
    assert figures["ensemble"] and figures["likelihood"] == "mass"
    status, _, err = run(*words, "--map", tmp_path / "maps")
    assert status == 2 and "only an exact model has surprise maps" in err
