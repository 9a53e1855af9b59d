"""`imprior train`: settings, levels, interruptions."""

from __future__ import annotations

from pathlib import Path

import pytest

from imprior import checkpoint
from imprior.cli import terminal
from tests.cli.given import SMALL, Run, interrupted_after


def test_train_overrides_resumes_and_refuses(run: Run, photos: Path, tmp_path: Path) -> None:
    words = ("train", *SMALL, "--data", photos, "--out", tmp_path / "m")
    status, out, _ = run(*words)
    assert status == 0 and " bits/value" in out
    trained = checkpoint.load(tmp_path / "m")
    assert trained.config.num_components == 2
    status, _, err = run(*words)
    assert status == 2 and "holds a model already" in err
    assert run("evaluate", photos, "--model", tmp_path / "m")[0] == 0


def test_one_level_alone_does_not_complete_a_model(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imprior.train import training

    asked = []
    monkeypatch.setattr(training, "train", lambda *_, **options: asked.append(options["level"]))
    words = ("train", *SMALL, "--data", photos, "--out", tmp_path / "m")
    status, out, _ = run(*words, "--level", "level 1")
    assert status == 0 and "level 1 is trained; without --level the same command" in out
    assert "is ready" in run(*words)[1] and asked == ["level 1", None]


def test_level_of_a_model_without_levels_is_status_2(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    words = ("train", *SMALL, "--data", photos, "--out", tmp_path / "m", "--level", "nonsense")
    status, _, err = run(*words)
    assert status == 2 and "MCGSM" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "m").exists() and not list(tmp_path.glob("*.training"))


def test_printed_config_trains_the_same_model(run: Run, photos: Path, tmp_path: Path) -> None:
    words = ("train", *SMALL, "--data", photos, "--out")
    status, out, _ = run(*words, tmp_path / "two", "--print_config")
    assert status == 0 and "num_components: 2" in out
    (tmp_path / "settings.yaml").write_text(out)
    assert run(*words, tmp_path / "one")[0] == 0
    assert run("train", "--settings", tmp_path / "settings.yaml")[0] == 0
    digests = {checkpoint.digest(checkpoint.load(tmp_path / name)) for name in ("one", "two")}
    assert len(digests) == 1


def test_interrupted_training_goes_on_to_the_same_weights(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imprior.train import shallow

    monkeypatch.setattr(shallow, "SECONDS_BETWEEN_SAVES", 0.0)
    words = ("train", *SMALL, "--data", photos, "--out")
    assert run(*words, tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "bar", interrupted_after(3))
        status, _, err = run(*words, tmp_path / "m")
    assert status == 130
    assert err == "imprior: interrupted; the same command goes on from there\n"
    assert not (tmp_path / "m").exists()
    assert run(*words, tmp_path / "m")[0] == 0
    digests = {checkpoint.digest(checkpoint.load(tmp_path / name)) for name in ("whole", "m")}
    assert len(digests) == 1
    assert not list(tmp_path.glob("*.training"))
