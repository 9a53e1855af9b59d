"""`imprior sample`, and `info` of what it is given."""

from __future__ import annotations

from pathlib import Path

from imprior.data.images import read
from tests.cli.given import Run, tree


def test_sample_does_not_replace_unasked(run: Run, model: Path, tmp_path: Path) -> None:
    words = ("sample", "--model", model, "--out", tmp_path / "s", "--size", "5x7", "--num", 3)
    assert run(*words)[0] == 0
    first = tree(tmp_path / "s")
    assert sorted(first) == ["000.png", "001.png", "002.png", "sheet.png"]
    assert read(tmp_path / "s" / "000.png").pixels.shape == (1, 5, 7)
    assert run(*words)[0] == 2
    assert run(*words, "--overwrite")[0] == 0
    assert tree(tmp_path / "s") == first


def test_info_of_images_and_models(run: Run, model: Path, photos: Path) -> None:
    status, out, _ = run("info", photos / "a.png", model)
    assert status == 0
    assert "12 x 10 pixels, 1 channels, 8 bits" in out and "a mass on 8-bit images" in out


def test_exact_models_draw_on_the_cpu(run: Run, model: Path, tmp_path: Path) -> None:
    words = ("sample", "--model", model, "--out", tmp_path / "s", "--size", "5x7", "--num", 1)
    assert run(*words, "--device", "cpu")[0] == 0
    status, _, err = run(*words, "--overwrite", "--device", "meta")
    assert status == 2 and "draws on the CPU, not on meta" in err
