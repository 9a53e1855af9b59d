"""Parquet and tar shards, written for tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior.data.images import Image, write


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    from pyarrow import Table
    from pyarrow.parquet import write_table

    write_table(Table.from_pylist(rows), path)
    return path


def tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def png(folder: Path, pixels: Tensor, bits: int = 8) -> bytes:
    """The bytes of a PNG of these pixels, (C, H, W)."""
    write(folder / "picture.png", Image(pixels, bits))
    return (folder / "picture.png").read_bytes()


def numbered(folder: Path, number: int, bits: int = 8, channels: int = 1) -> bytes:
    """The bytes of a PNG whose first value is `number`."""
    pixels = torch.randint(0, 2**bits, (channels, 6, 7))
    pixels[0, 0, 0] = number
    return png(folder, pixels, bits)


def row(data: bytes, name: str | None = None) -> dict[str, Any]:
    return {"image": {"bytes": data, "path": name}}


def split_up(items: Sequence[Any], sizes: Sequence[int]) -> list[list[Any]]:
    """Consecutive parts of these sizes."""
    rest = list(items)
    return [[rest.pop(0) for _ in range(size)] for size in sizes]
