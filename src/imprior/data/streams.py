"""Images of hub datasets and of shards, one after another, through the `datasets` library.

The library comes with the extra `hub`. It finds, downloads and splits records; the images in them
are read by `imprior.data.images`, not by it, so that no depth is lost.
"""

from __future__ import annotations

import glob
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import IterableDataset

from imprior.data.batches import place
from imprior.data.images import Image, ImageError, read
from imprior.data.loading import match, random_crop, random_symmetry, stream_of

_FORMATS = {".parquet": "parquet", ".tar": "webdataset"}


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
        datasets = _library()
        rank, world_size = place(rank, world_size)
        self.column = _column(records.features, column)
        records = records.cast_column(self.column, datasets.Image(decode=False))
        records = records.select_columns([self.column])
        if shuffle_buffer:
            records = records.shuffle(seed=seed, buffer_size=shuffle_buffer)
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
        for number, record in enumerate(self.records):
            entry = record[self.column] or {}
            name = entry.get("path") or f"record {number} of this stream"
            if entry.get("bytes") is not None:
                yield _decode(entry["bytes"], name)
            elif entry.get("path"):
                yield read(name)
            else:
                raise ImageError(f"{name}: has no image in its column {self.column!r}")


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
    records = _load(name, name, subset, split=split, revision=revision)
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
    names = [name for file in given for name in _expanded(str(file))]
    kinds = {Path(name).suffix.lower() for name in names}
    if len(kinds) != 1 or not kinds <= set(_FORMATS):
        raise ValueError(
            f"shards are {' or '.join(_FORMATS)} files, all of the same kind, "
            f"got {', '.join(names) or 'none'}"
        )
    for name in names:
        if "://" not in name and not Path(name).is_file():
            raise ValueError(f"{name} does not exist, or is no file")
    records = _load(", ".join(names[:3]), _FORMATS[kinds.pop()], data_files=names, split="train")
    return ImageStream(records, column, **options)


def _expanded(name: str) -> list[str]:
    """What a glob matches; a file or URL, or what is neither, is itself."""
    if "://" in name or Path(name).is_file():
        return [name]
    return sorted(glob.glob(name, recursive=True)) or [name]


def _load(what: str, *names: str | None, **options: Any) -> Any:
    load = _library().load_dataset
    try:
        return load(*names, streaming=True, **options)
    except Exception as error:  # the library lets through whatever those below it raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{what} cannot be streamed: {reason}") from error


class StreamCrops(IterableDataset[Tensor]):
    """Random square crops of the images of a stream, int64 (C, size, size).

    Which crops are made of an image depends on the seed, the epoch and the image alone.

    Arguments:
        stream: The images.
        size: Side of the crops.
        channels, bits, gray, reduce_bits: What the images have to be; see `match`.
        per_image: Number of crops of each image, which follow each other.
        seed: Of the draws.
        symmetric: Whether to mirror, turn over and transpose, each with probability 1/2.

    Raises:
        ValueError: While iterating, if an image does not fit or is smaller than the crop.
    """

    def __init__(
        self,
        stream: ImageStream,
        size: int,
        *,
        channels: int,
        bits: int,
        gray: bool = False,
        reduce_bits: bool = False,
        per_image: int = 1,
        seed: int = 0,
        symmetric: bool = False,
    ) -> None:
        self.stream, self.size, self.per_image = stream, size, per_image
        self.channels, self.bits = channels, bits
        self.options = {"gray": gray, "reduce_bits": reduce_bits}
        self.seed, self.symmetric = seed, symmetric

    def __iter__(self) -> Iterator[Tensor]:
        for image in self.stream:
            x = match(image, self.channels, self.bits, **self.options).pixels
            content = zlib.crc32(x.numpy().tobytes())
            generator = stream_of(self.seed, self.stream.epoch, content)
            for _ in range(self.per_image):
                try:
                    crop = random_crop(x, self.size, generator=generator)
                except ValueError as error:
                    raise ValueError(f"{image.path}: {error}") from None
                yield random_symmetry(crop, generator=generator) if self.symmetric else crop


def _library() -> Any:
    try:
        import datasets
        import datasets.distributed
    except ImportError:
        raise ValueError(
            "streams of images need the datasets library: pip install 'imprior[hub]'"
        ) from None
    return datasets


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
    return undeclared or isinstance(feature, _library().Image)


def _decode(data: bytes, name: str) -> Image:
    """Reads an image from bytes, through a file, since all readers of images take files."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image"
        file.write_bytes(data)
        try:
            return replace(read(file), path=name)
        except ImageError as error:
            raise ImageError(f"{name}: {str(error).removeprefix(f'{file}: ')}") from None
