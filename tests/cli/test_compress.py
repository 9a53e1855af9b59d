"""`imprior compress` and `decompress`: the same pixels come back, of any shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from imprior.data.images import Image, read, write
from tests.cli.given import Run, noise, save_toy, tree


def test_compress_and_decompress(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    options = ("--model", model, "--json", tmp_path / "f.json")
    status, out, _ = run("compress", photos, *options, "--out", packed)
    assert status == 0 and len(out.splitlines()) >= 2
    assert sorted(tree(packed)) == ["a.imp", "sub/b.imp"]
    total = json.loads((tmp_path / "f.json").read_text())["total"]
    assert total["files"] == 2 and total["bytes"] == sum(map(len, tree(packed).values()))
    assert run("decompress", packed, *options, "--out", unpacked)[0] == 0
    for name in ("a.png", "sub/b.png"):
        assert torch.equal(read(unpacked / name).pixels, read(photos / name).pixels)
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*.imp")}
    status, out, _ = run("compress", photos, *options, "--out", packed)
    assert status == 0 and "2 outputs were there already" in out
    assert before == {path: path.stat().st_mtime_ns for path in packed.rglob("*.imp")}


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 20000), (20000, 3)])
def test_extreme_shapes_are_fine(
    run: Run, model: Path, tmp_path: Path, height: int, width: int
) -> None:
    x = noise(1, height, width)
    write(tmp_path / "x.png", Image(x, bits=8))
    words = ("evaluate", tmp_path / "x.png", "--model", model, "--map", tmp_path / "maps")
    assert run(*words, "--against", "png,webp,jpegls,jpeg2000,jxl")[0] == 0
    if width == 20000:  # a toy walks column by column, in Python
        return
    assert run("compress", tmp_path / "x.png", "--model", model, "--out", tmp_path / "c")[0] == 0
    assert run("decompress", tmp_path / "c", "--model", model, "--out", tmp_path / "r")[0] == 0
    assert torch.equal(read(tmp_path / "r" / "x.png").pixels, x)


def test_damaged_and_foreign_compressed_files(
    run: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    packed, other = tmp_path / "packed", save_toy(tmp_path / "other", bits=9)
    assert run("compress", photos, "--model", model, "--out", packed)[0] == 0
    (packed / "a.imp").write_bytes((packed / "a.imp").read_bytes()[:-3])
    status, _, err = run("decompress", packed, "--model", model, "--out", tmp_path / "r")
    assert status == 1 and "a.imp" in err and "damaged" in err
    assert sorted(tree(tmp_path / "r")) == ["sub/b.png"]
    words = ("decompress", packed / "sub/b.imp", "--model", other, "--out", tmp_path / "f")
    status, _, err = run(*words)
    assert status == 1 and "was compressed with the model" in err
    assert not (tmp_path / "f").exists()
