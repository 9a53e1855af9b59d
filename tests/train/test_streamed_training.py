"""Training on streams: the same weights wherever they are interrupted, from Python and shell."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from imprior import checkpoint, cli
from imprior.data import named, streams
from imprior.presets import PRESETS
from imprior.train import streamed
from imprior.train.training import train
from tests.data.shards import parquet, png, row
from tests.train import halves
from tests.train.fitting import assert_same, weights
from tests.train.halves import FIT, PRESET, TRAINING, pictures
from tests.train.sharded import COUNT, SIZES, collection, shards
from tests.train.test_fit_resume import Stopped, stop_at

datasets = pytest.importorskip("datasets", reason="needs the extra [hub]")

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture(autouse=True)
def _offered() -> Iterator[None]:
    with halves.offered():
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("shards")
    images = [png(folder, x) for x in pictures(sum(SIZES), bits=8)]
    return {k: [str(p) for p in shards(folder, images, k)] for k in ("parquet", "tar")}


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
