"""Images of hub datasets and of shards, one after another, through the `datasets` library.

The library comes with the extra `hub`. It finds, downloads and splits records; the images in them
are read by `imprior.data.images`, not by it, so that no depth is lost.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset

from imprior.data.batches import place
from imprior.data.encoded import Encoded
from imprior.data.images import Image
from imprior.data.records import library, load, reason, shuffled

SHARDS = {".parquet": "parquet", ".tar": "webdataset"}


class ImageStream(IterableDataset[Image]):
    """The images of a stream of records, each read once by one of all ranks and workers.

    Whole shards go to ranks if their number is a multiple of the number of ranks; otherwise every
    rank reads all shards and keeps its share of the records. Workers of a rank share shards, so
    that more workers than shards are of no use. All ranks need the same number of workers.

    Arguments:
        records: A stream of the `datasets` library; see also `hub` and `shards`.
        column: Which column holds the images; needed if there are several.
        rank, world_size: Which part of how many to read; by default as `torch.distributed` says,
            if it is initialized, else all.
        shuffle_buffer: From how many records the next one is drawn at random; with 0 they come in
            order, with 1 or more so do the shards at random.
        seed: Of the shuffling.

    Raises:
        ValueError: If there is no such column or rank; while iterating, if an image is not fit.
    """

    def __init__(
        self,
        records: Any,
        column: str | None = None,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle_buffer: int = 0,
        seed: int = 0,
    ) -> None:
        datasets = library()
        rank, world_size = place(rank, world_size)
        self.column = _column(records.features, column)
        records = records.cast_column(self.column, datasets.Image(decode=False))
        records = records.select_columns([self.column])
        if shuffle_buffer:
            records = shuffled(records, seed, shuffle_buffer)
        split = datasets.distributed.split_dataset_by_node
        self.records = split(records, rank=rank, world_size=world_size)

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next iteration is, for another order of what is shuffled."""
        self.records.set_epoch(epoch)

    @property
    def epoch(self) -> int:
        """The epoch that was last set; 0 at first."""
        return int(self.records.epoch)

    def __iter__(self) -> Iterator[Image]:
        return (entry.read() for entry in self.entries())

    def entries(self) -> Iterator[Encoded]:
        """The images as they are stored, not yet read.

        Raises:
            ValueError: While iterating, if the stream breaks off.
        """
        for number, record in enumerate(self._records()):
            entry = record[self.column] or {}
            path = entry.get("path") or ""
            yield Encoded(path or f"record {number} of this stream", entry.get("bytes"), path)

    def _records(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self.records
        except Exception as error:  # as in `load`
            raise ValueError(f"the stream of images broke off: {reason(error)}") from error


def hub(
    name: str,
    split: str = "train",
    *,
    subset: str | None = None,
    revision: str | None = None,
    column: str | None = None,
    **options: Any,
) -> ImageStream:
    """The images of a dataset on the Hugging Face hub, streamed: nothing is stored.

    Arguments:
        name: `owner/name`.
        split: As the dataset calls it.
        subset: Which of its configurations, if it has several.
        revision: A branch, tag or commit; name a commit to make a run repeatable.
        column: Which column holds the images; needed if there are several.
        options: Further arguments of `ImageStream`.
    """
    records = load(name, name, subset, split=split, revision=revision)
    return ImageStream(records, column, **options)


def shards(
    files: str | Path | Sequence[str | Path], *, column: str | None = None, **options: Any
) -> ImageStream:
    """The images in Parquet files, or in tar files as WebDataset writes them.

    Arguments:
        files: Paths, globs or URLs, all of them .parquet or all .tar.
        column: Which column holds the images, in a tar file the suffix without its dot, "png" for
            example; needed if there are several.
        options: Further arguments of `ImageStream`.

    Raises:
        ValueError: If there are no files, one cannot be read, or they are of other kinds.
    """
    given = [files] if isinstance(files, (str, Path)) else files
    names = [name for file in given for name in expanded(str(file))]
    kinds = {Path(name).suffix.lower() for name in names}
    if len(kinds) != 1 or not kinds <= set(SHARDS):
        raise ValueError(
            f"shards are {' or '.join(SHARDS)} files, all of the same kind, "
            f"got {', '.join(names) or 'none'}"
        )
    for name in names:
        if "://" not in name and not Path(name).is_file():
            raise ValueError(f"{name} does not exist, or is no file")
    records = load(", ".join(names[:3]), SHARDS[kinds.pop()], data_files=names, split="train")
    return ImageStream(records, column, **options)


def expanded(name: str) -> list[str]:
    """What a glob matches; a file or URL, or what is neither, is itself."""
    if "://" in name or Path(name).is_file():
        return [name]
    return sorted(glob.glob(name, recursive=True)) or [name]


def _column(features: Any, column: str | None) -> str:
    """The column that is asked for, or the only one that holds images."""
    names = list(features or ())
    if column is None:
        holds = [name for name in names if _holds_images(features[name])]
        if len(holds) == 1:
            return holds[0]
        found = f"{len(holds)} columns of images" if names else "columns that are not declared"
        raise ValueError(f"name the column to read: there are {found} among {names}")
    if names and column not in names:
        raise ValueError(f"there is no column {column!r}, only {', '.join(names)}")
    return column


def _holds_images(feature: Any) -> bool:
    """Whether a column is declared as images, or laid out like one without being declared."""
    undeclared = isinstance(feature, dict) and set(feature) == {"bytes", "path"}
    return undeclared or isinstance(feature, library().Image)
