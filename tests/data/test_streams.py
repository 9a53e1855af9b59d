"""Images out of Parquet and tar shards: all of them, each once, in their full depth."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from imprior.data import streams
from imprior.data.images import Image, ImageError
from imprior.data.streams import ImageStream, shards
from tests.data.shards import numbered as picture
from tests.data.shards import parquet, tar

datasets = pytest.importorskip("datasets", reason="needs the extra [hub]")

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits 5 seconds after shuffled Parquet files, for the threads of large ones."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


SIZES = (4, 3, 5)  # of the shards
TOTAL = sum(SIZES)


@pytest.fixture
def parquets(tmp_path: Path) -> list[Path]:
    numbers = iter(range(TOTAL))
    return [
        parquet(
            tmp_path / f"{shard}.parquet",
            [
                {"label": 7, "image": {"bytes": picture(tmp_path, next(numbers)), "path": None}}
                for _ in range(size)
            ],
        )
        for shard, size in enumerate(SIZES)
    ]


@pytest.fixture
def tars(tmp_path: Path) -> list[Path]:
    paths, numbers = [], iter(range(TOTAL))
    for shard, size in enumerate(SIZES):
        files = {}
        for number in itertools.islice(numbers, size):
            files[f"{number:03}.png"] = picture(tmp_path, number)
            files[f"{number:03}.json"] = json.dumps({"label": 7}).encode()
        paths.append(tar(tmp_path / f"{shard}.tar", files))
    return paths


def numbers(images: Iterable[Image]) -> list[int]:
    return [int(image.pixels[0, 0, 0]) for image in images]


@pytest.mark.parametrize("kind", ["parquets", "tars"])
def test_shards_come_whole_and_in_order(kind: str, request: pytest.FixtureRequest) -> None:
    stream = shards(request.getfixturevalue(kind))
    assert numbers(stream) == list(range(TOTAL))
    assert numbers(stream) == list(range(TOTAL))  # again


@pytest.mark.parametrize("kind", ["parquets", "tars"])
@pytest.mark.parametrize(("world_size", "shuffle_buffer"), [(2, 0), (3, 0), (1, 4), (3, 4), (4, 4)])
def test_ranks_see_every_image_once(
    kind: str, world_size: int, shuffle_buffer: int, request: pytest.FixtureRequest
) -> None:
    files = request.getfixturevalue(kind)
    seen = []
    for rank in range(world_size):
        stream = shards(files, rank=rank, world_size=world_size, shuffle_buffer=shuffle_buffer)
        stream.set_epoch(1)
        seen += numbers(stream)
    assert sorted(seen) == list(range(TOTAL))
    with pytest.raises(ValueError, match=f"no rank {world_size} among {world_size}"):
        shards(files, rank=world_size, world_size=world_size)


@pytest.mark.parametrize(("world_size", "num_workers"), [(1, 4), (2, 2), (3, 1)])
def test_workers_see_every_image_once(
    parquets: list[Path], world_size: int, num_workers: int
) -> None:
    seen = []
    for rank in range(world_size):
        stream = shards(parquets, rank=rank, world_size=world_size, shuffle_buffer=3)
        seen += numbers(DataLoader(stream, batch_size=None, num_workers=num_workers))
    assert sorted(seen) == list(range(TOTAL))


def test_globs_are_shards_too(parquets: list[Path], tmp_path: Path) -> None:
    assert numbers(shards(tmp_path / "*.parquet")) == list(range(TOTAL))
    assert numbers(shards([parquets[2], f"{tmp_path}/[01].parquet"])) == [*range(7, 12), *range(7)]


def test_shuffling_depends_on_seed_and_epoch_alone(parquets: list[Path]) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        stream = shards(parquets, shuffle_buffer=100, seed=seed)
        stream.set_epoch(epoch)
        assert stream.epoch == epoch
        return numbers(stream)

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(*key)) for key in ((0, 0), (0, 1), (1, 0))}) == 3


def test_no_depth_is_lost(tmp_path: Path) -> None:
    data = picture(tmp_path, 40_000, bits=16, channels=3)
    rows = [{"image": {"bytes": data, "path": "a/b.png"}}]
    (image,) = shards([parquet(tmp_path / "x.parquet", rows)])
    assert image.bits == 16 and image.pixels.shape == (3, 6, 7)
    assert image.pixels[0, 0, 0] == 40_000 and image.path == "a/b.png"


def test_images_may_be_declared_plain_bytes_or_paths(tmp_path: Path) -> None:
    data = picture(tmp_path, 5)
    path = str(tmp_path / "picture.png")
    plain = parquet(tmp_path / "plain.parquet", [{"photo": data}])
    assert numbers(shards([plain], column="photo")) == [5]
    paths = parquet(tmp_path / "paths.parquet", [{"photo": {"bytes": None, "path": path}}])
    assert numbers(shards([paths])) == [5]
    features = datasets.Features({"photo": datasets.Image()})
    table = datasets.Dataset.from_dict({"photo": [{"bytes": data, "path": None}]}, features)
    assert numbers(ImageStream(table.to_iterable_dataset())) == [5]


def test_the_column_is_named_where_it_is_not_clear(tmp_path: Path) -> None:
    entry = {"bytes": picture(tmp_path, 1), "path": None}
    other = {"bytes": picture(tmp_path, 2), "path": None}
    two = [parquet(tmp_path / "two.parquet", [{"a": entry, "b": other}])]
    assert numbers(shards(two, column="b")) == [2]
    with pytest.raises(ValueError, match=r"there are 2 columns of images among \['a', 'b'\]"):
        shards(two)
    with pytest.raises(ValueError, match="no column 'c', only a, b"):
        shards(two, column="c")
    with pytest.raises(ValueError, match="there are 0 columns of images"):
        shards([parquet(tmp_path / "none.parquet", [{"label": 3}])])


def test_a_bad_image_is_named(tmp_path: Path) -> None:
    good = picture(tmp_path, 1)
    files = {"a/good.png": good, "a/short.png": good[:50]}
    with pytest.raises(ImageError, match=r"^a/short\.png: is truncated"):
        list(shards([tar(tmp_path / "x.tar", files)]))
    entries = [{"bytes": good, "path": None}, {"bytes": b"text", "path": None}]
    rows: list[dict[str, Any]] = [{"image": entry} for entry in entries]
    with pytest.raises(ImageError, match=r"^record 1 of this stream: is not a PNG, TIFF"):
        list(shards([parquet(tmp_path / "x.parquet", rows)]))
    rows = [{"image": entries[0]}, {"image": None}]
    with pytest.raises(ImageError, match="record 1 of this stream: has no image in its column"):
        list(shards([parquet(tmp_path / "y.parquet", rows)]))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "got none"),
        (["a.zip"], "shards are .parquet or .tar files, all of the same kind, got a.zip"),
        (["a.tar", "b.parquet"], "all of the same kind"),
        (["none.tar"], "none.tar does not exist"),
    ],
)
def test_what_is_no_shard_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        shards(names)


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_a_damaged_shard_is_told_in_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"x" * 1000)
    with pytest.raises(ValueError, match=rf"^{path} cannot be streamed: .+\Z"):
        shards(path)


def test_a_hub_that_is_out_of_reach_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*names: str | None, **options: Any) -> Any:
        raise ConnectionError("Couldn't reach the hub\nhere is why")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(ValueError, match=r"^a/b cannot be streamed: Couldn't reach the hub\Z"):
        streams.hub("a/b")


def test_a_stream_that_breaks_off_is_told_in_one_line(tmp_path: Path) -> None:
    files = {f"{number}.png": picture(tmp_path, number) for number in range(20)}
    path = tar(tmp_path / "x.tar", files)
    stream = shards(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(ValueError, match=r"^the stream of images broke off: .+\Z"):
        list(stream)


def test_hub_datasets_are_streamed(parquets: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(*names: str | None, **options: Any) -> Any:
        asked.append((*names, options))
        return original("parquet", data_files=[str(p) for p in parquets], split="train",
                        streaming=True)  # fmt: skip

    original = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", load)
    stream = streams.hub("owner/name", "test", subset="small", revision="abc", rank=1, world_size=3)
    assert numbers(stream) == [4, 5, 6]
    wanted = {"split": "test", "revision": "abc", "streaming": True}
    assert asked == [("owner/name", "small", wanted)]


def test_the_library_is_asked_for_if_it_is_missing(
    parquets: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"pip install 'imprior\[hub\]'"):
        shards(parquets)
