"""A command to run, and a model and pictures to give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from imprior import checkpoint, cli
from imprior.data.images import Image, write
from tests.blocks import Blocks
from tests.cli.given import Run, noise, save_toy
from tests.toys import Toy


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command: its exit status and what it printed; errors are lines without a trace."""
    from imprior.models import MODELS

    monkeypatch.setattr(checkpoint, "MODELS", (*MODELS, Toy, Blocks))

    def run_command(*words: object) -> tuple[int, str, str]:
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        assert all(line.startswith("imprior: ") for line in err.splitlines()), err
        assert (status != 0) == bool(err), (status, err)
        return status, out, err

    return run_command


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_toy(tmp_path / "model")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two good grey pictures, one in a sub-folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(("a.png", "sub/b.png")):
        write(folder / name, Image(noise(1, 10, 12, seed=i), bits=8))
    return folder
