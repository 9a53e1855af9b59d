"""Training on streams: the same weights wherever they are interrupted, nothing held out trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from imprior import checkpoint, cli
from imprior.data import named, streams
from imprior.data.encoded import Encoded
from imprior.data.feed import feed
from imprior.data.images import Image
from imprior.data.loading import match
from imprior.data.named import Collection, find
from imprior.data.passes import Passes
from imprior.presets import PRESETS
from imprior.train import streamed
from imprior.train.streamed import Stream, StreamedCrops, StreamedImages
from imprior.train.training import train
from tests.data.shards import numbered, parquet, png, row, split_up, tar
from tests.train import halves
from tests.train.fitting import assert_same, weights
from tests.train.halves import FIT, PRESET, TRAINING, pictures
from tests.train.test_fit_resume import Stopped, stop_at

datasets = pytest.importorskip("datasets", reason="needs the extra [hub]")

SIZES = (9, 8, 9)
COUNT = 5  # images held out


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits 5 seconds after shuffled Parquet files, for the threads of large ones."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with halves.offered():
        yield


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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("shards")
    images = [png(folder, x) for x in pictures(sum(SIZES), bits=8)]
    return {k: [str(p) for p in shards(folder, images, k)] for k in ("parquet", "tar")}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shards are small enough to be kept in memory."""
    monkeypatch.setattr(named, "SMALL_BYTES", 0)


def collection(words: list[str]) -> Collection:
    found = find(words)
    assert isinstance(found, Collection)
    return found


def take(image: Image) -> Tensor:
    return match(image, 1, 8).pixels


def first_values(images: list[Tensor]) -> list[int]:
    return [int(x[0, 0, 0]) for x in images]


@pytest.fixture
def numbers(tmp_path: Path, large: None) -> Collection:
    """Images whose first values are their numbers; number 3 comes once more, as number 20."""
    images = [numbered(tmp_path, number) for number in range(sum(SIZES))]
    images[20] = images[3]
    return collection([str(path) for path in shards(tmp_path, images)])


# -- what is held out


def test_images_held_out_never_train(numbers: Collection, tmp_path: Path) -> None:
    images = StreamedImages(numbers, take, COUNT)
    assert first_values(images.held_out) == [0, 1, 2, 3, 4]
    entries = images.training(tmp_path / "note").entries
    left = sum(SIZES) - COUNT - 1  # those held out, and the copy of one of them
    passes = [entries.read(n * left, left) for n in range(3)]
    orders = [first_values([entry.read().pixels for entry in some]) for some in passes]
    assert all(sorted(order) == [*range(5, 20), *range(21, 26)] for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert (tmp_path / "note").read_text() == str(left)


def test_a_validation_stream_is_held_out_instead(numbers: Collection, tmp_path: Path) -> None:
    other = [numbered(tmp_path, 100), numbered(tmp_path, 101)]
    path = parquet(tmp_path / "other.parquet", [row(data) for data in other])
    both = replace(numbers, validation=partial(streams.shards, path))
    images = StreamedImages(both, take, COUNT)
    assert first_values(images.held_out) == [100, 101]
    entries = images.training(tmp_path / "note").entries
    read = [entry.read().pixels for entry in entries.read(0, sum(SIZES))]
    assert sorted(first_values(read)) == sorted([3, *range(20), *range(21, 26)])
    assert images.checksum != StreamedImages(numbers, take, COUNT).checksum


def test_too_few_images_are_told(numbers: Collection) -> None:
    with pytest.raises(ValueError, match=r"has 26 images that fit where 99 are to be held out: lo"):
        StreamedImages(numbers, take, 99)

    def nothing(image: Image) -> Tensor:
        raise ValueError("too green")

    with pytest.raises(ValueError, match=r"0\.parquet.* has no images that the model takes: too g"):
        StreamedImages(numbers, nothing, COUNT)


# -- crops


def stream(images: list[bytes], folder: Path) -> Stream:
    """Images in memory, in the same order in every pass; `folder` is for this list of them."""
    entries = [Encoded(f"{number}.png", data) for number, data in enumerate(images)]
    return Stream(Passes(lambda _: iter(entries), folder / "note"), take)


def crops(images: list[bytes], folder: Path, side: int = 6, **options: Any) -> StreamedCrops:
    options = {"batch_size": 4} | options
    return StreamedCrops(stream(images, folder), side, lambda x: x, **options)


def test_draws_are_the_same_whenever_they_are_drawn(tmp_path: Path) -> None:
    images = [numbered(tmp_path, number) for number in range(10)]
    drawn = [crops(images, tmp_path, seed=1)[n] for n in range(24)]
    again = crops(images, tmp_path, seed=1)
    for n in (5, 4, 20, 0, 23, 11):
        assert torch.equal(again[n], drawn[n])
    assert any(not torch.equal(crops(images, tmp_path, seed=2)[n], drawn[n]) for n in range(8))
    # A crop is of the stream's next image, whose columns come whole here.
    for n, crop in enumerate(drawn):
        whole = Encoded("", images[n % 10]).read().pixels
        assert any(torch.equal(crop, whole[..., left : left + 6]) for left in (0, 1))


def test_processes_share_each_batch(tmp_path: Path) -> None:
    images = [numbered(tmp_path, number) for number in range(10)]

    def batches(rank: int, world_size: int) -> list[Tensor]:
        loader = feed(
            crops(images, tmp_path), 4, start=3, seed=0, rank=rank, world_size=world_size
        )  # fmt: skip
        return [batch for batch, _ in zip(loader, range(5), strict=False)]

    whole, parts = batches(0, 1), [batches(rank, 2) for rank in range(2)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert {tuple(x.flatten().tolist()) for x in batch} == {
            tuple(x.flatten().tolist()) for share in shares for x in share
        }


def test_what_does_not_fit_is_passed_over(tmp_path: Path) -> None:
    small, colour = torch.zeros(1, 3, 9).long(), torch.zeros(3, 9, 9).long()
    bad = [b"text", png(tmp_path, small), png(tmp_path, colour)]
    good = numbered(tmp_path, 7)
    images = crops([*bad, good], tmp_path)
    with pytest.warns(UserWarning, match=r"^0\.png: is not a PNG.*; it is passed over, as others"):
        assert all(images[n].shape == (1, 6, 6) for n in range(8))
    with pytest.raises(ValueError, match=r"none of 4 images in a row can be trained on; 0\.png: "):
        crops([*bad, b""], tmp_path)[0]
    with pytest.raises(ValueError, match="an image of 3 x 9 pixels has no crop of 6 x 6"):
        crops([bad[1]], tmp_path / "one")[0]


def test_images_are_made_smaller_as_often_as_their_area_is_worth(tmp_path: Path) -> None:
    plain = torch.full((1, 12, 12), 90)
    plain[0, ::2] = 110  # stripes that shrinking blurs
    images = crops([png(tmp_path, plain)], tmp_path, side=4, batch_size=1, scales=(0.5, 0.3))
    blurred = [bool((images[n] - 100).abs().max() < 10) for n in range(400)]
    assert sum(blurred) / 400 == pytest.approx(0.25 / (1 + 0.25), abs=0.06)  # 0.09 has no crop


def test_symmetries_are_drawn(tmp_path: Path) -> None:
    x = torch.arange(36).view(1, 6, 6)
    images = crops([png(tmp_path, x)], tmp_path, symmetries=(0, 1, 6))
    corners = {int(images[n][0, 0, 0]) for n in range(40)}
    assert corners == {0, 5, 30}


def test_parts_that_see_nothing_are_told(tmp_path: Path) -> None:
    images = StreamedCrops(
        stream([numbered(tmp_path, 1)], tmp_path), 1, lambda x: x[..., 1:], batch_size=1
    )
    with pytest.raises(ValueError, match="crops of 1 pixels are too small for all parts"):
        images[0]


# -- from shards to a model folder


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_streams_train_and_interrupted_they_end_with_the_same_weights(
    kind: str,
    files: dict[str, list[str]],
    large: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streamed, "ROOM", 3_000 if kind == "tar" else streamed.ROOM)
    data = collection(files[kind])
    whole = train(PRESET, data, tmp_path / "whole")
    provenance = checkpoint.read(tmp_path / "whole")["provenance"]
    assert provenance["data"].startswith("shards 0.") and len(provenance["data_checksum"]) == 64
    assert not (tmp_path / "whole.training").exists()
    # 12 steps of 4 images are more than two passes over 21.
    for step in (2, 8):
        with pytest.raises(Stopped):
            train(PRESET, data, tmp_path / "m", level="coarse", progress=stop_at(step))
    assert (tmp_path / "m.training" / "records").read_text() == str(sum(SIZES) - COUNT)
    train(PRESET, data, tmp_path / "m", level="coarse")
    assert_same(weights(train(PRESET, data, tmp_path / "m")), weights(whole))
    other = train(PRESET, data, tmp_path / "other", seed=1)
    pairs = zip(weights(other).values(), weights(whole).values(), strict=True)
    assert not any(torch.equal(one, two) for one, two in pairs)


def test_a_stream_that_breaks_off_loses_nothing(
    files: dict[str, list[str]], large: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, left = collection(files["tar"]), [40]
    records = streams.ImageStream._records

    def failing(stream: streams.ImageStream) -> Iterator[dict[str, Any]]:
        for record in records(stream):
            left[0] -= 1
            if not left[0]:
                raise ValueError("the stream of images broke off: no network")
            yield record

    with monkeypatch.context() as patched:
        patched.setattr(streams.ImageStream, "_records", failing)
        with pytest.raises(ValueError, match=r"^the stream of images broke off: no network$"):
            train(PRESET, data, tmp_path / "m")
    state = tmp_path / "m.training" / "networks" / "detail 1" / "state.pt"
    assert torch.load(state, weights_only=True)["global_step"] >= 2
    model = train(PRESET, data, tmp_path / "m")
    assert_same(weights(model), weights(train(PRESET, data, tmp_path / "whole")))


def test_a_run_does_not_go_on_with_other_data(
    files: dict[str, list[str]], large: None, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        train(PRESET, collection(files["tar"]), tmp_path / "m", progress=stop_at(2))
    for kind, some in (("parquet", 3), ("tar", 2)):
        with pytest.raises(ValueError, match="an unfinished training with other settings or imag"):
            train(PRESET, collection(files[kind][:some]), tmp_path / "m")


def test_training_on_a_stream_helps(
    files: dict[str, list[str]], large: None, tmp_path: Path
) -> None:
    training = replace(TRAINING, fit=replace(FIT, steps=80))
    train(replace(PRESET, training=training), collection(files["parquet"]), tmp_path / "m")
    figures = checkpoint.read(tmp_path / "m")["provenance"]["figures"]
    assert all(bits < 3 for bits in figures["validation_bits_per_value"].values())
    lines = (tmp_path / "m" / "curve-coarse.csv").read_text().splitlines()
    first, last = (float(lines[n].split(",")[2]) for n in (1, -1))
    assert last < first - 0.1


def test_small_shards_are_trained_on_like_files(
    files: dict[str, list[str]], tmp_path: Path
) -> None:
    images = halves.write_pictures(tmp_path)
    path = parquet(tmp_path / "x.parquet", [row(image.read_bytes()) for image in images])
    from_files = train(PRESET, images, tmp_path / "files")
    assert_same(
        weights(train(PRESET, collection([str(path)]), tmp_path / "m")), weights(from_files)
    )


def test_large_shards_are_for_networks(
    files: dict[str, list[str]], large: None, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="too large for a training that needs all images in memo"):
        train(PRESETS["mcgsm-gray-tiny"], collection(files["tar"]), tmp_path / "m")
    assert not list(tmp_path.iterdir())


# -- the command line


def complaint(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What `imprior train` says, in one line, when it ends with status 2."""
    assert cli.main(["train", "--quiet", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("imprior: ") and err.count("\n") == 1
    return err


def test_command_trains_a_pyramid_on_shards(
    files: dict[str, list[str]], large: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = ("--training.fit.steps=3", "--training.crop=8", "--training.validation_patches=4")
    words = ["train", "--preset=pyramid-gray-tiny", "--data", *files["parquet"], *fields]
    assert cli.main([*words, "--quiet", f"--out={tmp_path / 'm'}"]) == 0
    assert capsys.readouterr().err == ""
    assert checkpoint.load(tmp_path / "m").config.channels == 1


def test_data_is_asked_for_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--preset=pyramid-lsun-church", "--out", tmp_path / "m")
    assert "published for lsun-church" in complaint(capsys, *words)
    assert "lsun-church, " not in complaint(capsys, *words, "--data=lsun-tower")
    told = complaint(capsys, *words, "--data=lsun-curch")
    assert all(name in told for name in named.NAMED)


def test_missing_library_and_missing_hub_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: str | None, **__: Any) -> Any:
        raise ConnectionError("Couldn't reach the hub\nhere is why")

    words = ("--preset=pixelcnn-tiny", "--data=cifar-10", "--out", tmp_path / "m")
    monkeypatch.setattr(datasets, "load_dataset", load)
    told = complaint(capsys, *words)
    assert "uoft-cs/cifar10 cannot be streamed: Couldn't reach the hub" in told
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install 'imprior[hub]'" in complaint(capsys, *words)
    assert not list(tmp_path.iterdir())
