"""Shards of pictures for the tests of streams beside this file."""

from __future__ import annotations

from pathlib import Path

from imprior.data.named import Collection, find
from tests.data.shards import parquet, row, split_up, tar

SIZES = (9, 8, 9)
COUNT = 5  # images held out


def shards(folder: Path, images: list[bytes], kind: str = "parquet") -> list[Path]:
    """Images in several shards, by number."""
    paths, number = [], 0
    for shard, part in enumerate(split_up(images, SIZES)):
        path = folder / f"{shard}.{kind}"
        if kind == "tar":
            tar(path, {f"{number + place:03}.png": data for place, data in enumerate(part)})
        else:
            parquet(path, [row(data) for data in part])
        number += len(part)
        paths.append(path)
    return paths


def collection(words: list[str]) -> Collection:
    found = find(words)
    assert isinstance(found, Collection)
    return found
