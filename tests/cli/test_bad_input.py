"""One bad file, model or disk costs one clear line, and nothing that was there."""

from __future__ import annotations

import builtins
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from imprior.data.images import Image, write
from tests.cli.given import Run, colourful, noise, tree


def broken_png(path: Path) -> None:
    write(path, Image(noise(1, 20, 20), bits=8))
    path.write_bytes(path.read_bytes()[:60])


def cmyk(path: Path) -> None:
    PIL.Image.new("CMYK", (5, 4)).save(path, "JPEG")


def palette(path: Path) -> None:
    PIL.Image.fromarray(noise(5, 6).byte().numpy(), "L").convert("P").save(path, "PNG")


def animated(path: Path) -> None:
    frames = [PIL.Image.fromarray(noise(5, 6, seed=i).byte().numpy()) for i in range(2)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def not_a_number(path: Path) -> None:
    tifffile.imwrite(path, np.full((4, 5), np.nan, np.float32))


def deep(path: Path) -> None:
    write(path, Image(noise(1, 4, 5, bits=12), bits=12))


BAD = [
    ("zero.png", lambda path: path.write_bytes(b""), "empty"),
    ("text.png", lambda path: path.write_text("hello"), "is not a PNG"),
    ("cut.png", broken_png, "cut.png"),
    ("cmyk.jpg", cmyk, "CMYK"),
    ("palette.png", palette, "channels"),
    ("animated.png", animated, "animation"),
    ("nan.tif", not_a_number, "float"),
    ("deep.png", deep, "12 bits"),
    ("colour.png", colourful, "3 channels"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BAD, ids=[name for name, *_ in BAD])
@pytest.mark.parametrize("command", ["evaluate", "compress"])
def test_one_bad_file_among_good_ones(
    run: Run, model: Path, photos: Path, tmp_path: Path,
    command: str, name: str, make: Callable[[Path], object], reason: str,
) -> None:  # fmt: skip
    make(photos / name)
    words = [command, photos, "--model", model, "--json", tmp_path / "f.json"]
    words += ["--out", tmp_path / "out"] if command == "compress" else []
    status, _, err = run(*words)
    assert status == 1
    assert len(err.splitlines()) == 1 and name in err and reason in err
    figures = json.loads((tmp_path / "f.json").read_text())
    assert len(figures["images" if command == "evaluate" else "files"]) == 2
    assert [Path(failure["path"]).name for failure in figures["failures"]] == [name]
    if command == "compress":
        assert sorted(tree(tmp_path / "out")) == ["a.imp", "sub/b.imp"]


@pytest.mark.parametrize("command", ["evaluate", "compress", "decompress", "info"])
def test_missing_and_empty_inputs_are_named(
    run: Run, model: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "empty").mkdir()
    words = [command, tmp_path / "nowhere.png", tmp_path / "empty"]
    words += [] if command == "info" else ["--model", model]
    words += ["--out", tmp_path / "out"] if "compress" in command else []
    status, _, err = run(*words)
    assert status == 1
    first, second = err.splitlines()
    assert "nowhere.png: there is no such file" in first and "empty: the folder has no" in second


def remove(path: Path) -> None:
    path.unlink()


def tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("harm", [remove, tamper])
def test_harmed_model_folder(
    run: Run, model: Path, photos: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(model / name)
    for words in (
        ("evaluate", photos, "--model", model),
        ("compress", photos, "--model", model, "--out", tmp_path / "c"),
        ("sample", "--model", model, "--out", tmp_path / "s"),
    ):
        status, _, err = run(*words)
        assert status == 2 and name in err and len(err.splitlines()) == 1
    assert run("info", model)[0] == 1
    assert not (tmp_path / "c").exists() and not (tmp_path / "s").exists()


def no_new_files(number: int) -> Callable[..., Any]:
    """`open` on a disk that answers with an error to whoever wants to write."""
    really_open = builtins.open

    def refuse(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if set(mode) & set("wxa"):
            raise OSError(number, os.strerror(number), str(file))
        return really_open(file, mode, *rest, **options)

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
@pytest.mark.parametrize("command", ["evaluate", "sample", "compress", "decompress"])
def test_unwritable_output_loses_nothing(
    run: Run, model: Path, photos: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, command: str, number: int,
) -> None:  # fmt: skip
    out, packed = tmp_path / "out", tmp_path / "packed"
    out.mkdir()
    (out / "precious").write_text("data")
    assert run("compress", photos, "--model", model, "--out", packed)[0] == 0
    before = tree(tmp_path)
    words = {
        "evaluate": ("evaluate", photos, "--model", model, "--map", out),
        "sample": ("sample", "--model", model, "--out", out),
        "compress": ("compress", photos, "--model", model, "--out", out),
        "decompress": ("decompress", packed, "--model", model, "--out", out),
    }[command]
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", no_new_files(number))
        status, _, err = run(*words)
    assert status in (1, 2) and os.strerror(number) in err
    assert tree(tmp_path) == before


def test_out_that_is_a_file(run: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for words in (
        ("sample", "--model", model, "--out", tmp_path / "file"),
        ("compress", photos, "--model", model, "--out", tmp_path / "file"),
        ("evaluate", photos, "--model", model, "--map", tmp_path / "file"),
        ("evaluate", photos, "--model", model, "--json", tmp_path / "file" / "f.json"),
    ):
        status, _, err = run(*words)
        assert status in (1, 2) and "file" in err, words
    assert (tmp_path / "file").read_text() == "precious"
