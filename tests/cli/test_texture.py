"""`imprior texture`: models, samples, figures and a page of one picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imprior.cli import terminal
from imprior.data.images import read, write
from tests.cli.given import Run, interrupted_after, tree


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets of grey textures, made small."""
    from imprior.presets import PRESETS
    from imprior.train import shallow
    from tests.tasks import textures

    monkeypatch.setattr(shallow, "SECONDS_BETWEEN_SAVES", -1.0)
    for name in ("mcgsm-texture", "ride-texture"):
        monkeypatch.setitem(PRESETS, name, textures.shallow())


@pytest.mark.usefixtures("tiny")
def test_texture_writes_models_samples_figures_and_a_page(run: Run, tmp_path: Path) -> None:
    from tests.tasks.textures import stripes

    write(tmp_path / "x.png", stripes())
    sized = ("--size", "64x72", "--samples", 1, "--json", tmp_path / "f.json")
    words = ("texture", tmp_path / "x.png", "--out", tmp_path / "out", *sized)
    status, out, _ = run(*words, "--preset", "ride-texture")
    assert status == 0 and "bits per held-out value with ride-texture" in out
    assert {"index.html", "held-out.png", "ride-texture-000.png"} <= tree(tmp_path / "out").keys()
    assert read(tmp_path / "out" / "ride-texture-000.png").pixels.shape == (1, 64, 72)
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [model["name"] for model in figures["models"]] == ["ride-texture"]
    assert figures["failures"] == [] and figures["size"] == [64, 72]
    assert run(*words)[0] == 2
    assert run(*words, "--overwrite", "--quiet") == (0, "", "")
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [model["name"] for model in figures["models"]] == ["mcgsm-texture", "ride-texture"]


@pytest.mark.usefixtures("tiny")
def test_interrupted_texture_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.tasks.textures import stripes

    write(tmp_path / "x.png", stripes())
    words = ("texture", tmp_path / "x.png", "--out", tmp_path / "out", "--size", "64x64")
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "bar", interrupted_after(3))
        status, _, err = run(*words)
    assert status == 130
    assert err == "imprior: interrupted; the same command goes on from there\n"
    assert run(*words)[0] == 0 and (tmp_path / "out" / "index.html").exists()


@pytest.mark.usefixtures("tiny")
def test_colour_textures_are_made_grey_only_if_asked(run: Run, tmp_path: Path) -> None:
    from tests.tasks.textures import stripes

    write(tmp_path / "x.png", stripes(4))
    words = ("texture", tmp_path / "x.png", "--out", tmp_path / "out", "--size", "64x64")
    status, _, err = run(*words, "--preset", "mcgsm-texture")
    assert status == 2 and "--gray converts colour" in err and not (tmp_path / "out").exists()
    assert run(*words, "--preset", "mcgsm-texture", "--gray")[0] == 0
