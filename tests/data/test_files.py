"""A failed write leaves nothing behind and harms nothing that was there."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from imprior.data import files
from imprior.data.images import SUFFIXES, Image, ImageError, write
from tests.data.pictures import example, noise


class FullDisk(io.FileIO):
    """A file on a disk with room for 100 bytes more."""

    def write(self, data: Any) -> int:
        super().write(bytes(data)[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: Any, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    example(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(files, "open", FullDisk, raising=False)
        with pytest.raises(ImageError, match=f"^{path}: cannot be written: No space left"):
            write(path, Image(noise(3, 30, 40), 8), lossy=True)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no modes here")
def test_a_read_only_folder(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom modes do not stop

        def refuse(path: Path, mode: str) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(ImageError, match=r"x\.png: cannot be written: Permission denied"):
        write(folder / "x.png", Image(noise(1, 2, 2), 8))
    assert not list(folder.iterdir())


def test_a_name_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    with pytest.raises(ImageError, match="cannot be written"):
        write(tmp_path / "x.png", Image(noise(1, 2, 2), 8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.png"]
