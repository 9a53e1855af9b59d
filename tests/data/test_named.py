"""Data sets by name: what words mean, and what becomes of the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from imprior.data import named, streams
from imprior.data.images import Image
from imprior.data.named import NAMED, UNAVAILABLE, Collection, find
from imprior.presets import PRESETS
from tests.data.shards import numbered, parquet, row

pytest.importorskip("datasets", reason="needs the extra [hub]")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the hub is asked for."""
    calls: list[Any] = []
    monkeypatch.setattr(streams, "hub", lambda *names, **options: calls.append((*names, options)))
    return calls


def collection(*words: str) -> Collection:
    found = find(words)
    assert isinstance(found, Collection)
    return found


def test_files_are_files_even_if_they_are_called_like_data_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lsun-church").mkdir()
    (tmp_path / "lsun-church" / "a.png").write_bytes(numbered(tmp_path, 1))
    monkeypatch.chdir(tmp_path)
    assert find(["lsun-church"]) == [Path("lsun-church/a.png")]


@pytest.mark.parametrize("name", NAMED)
def test_names_open_splits_of_the_hub(name: str, asked: list[Any]) -> None:
    row, found = NAMED[name], collection(name)
    found.open(seed=3)
    assert asked == [(row.hub, "train", {"column": row.column, "seed": 3})]
    assert found.licence and row.hub in found.name and name in found.name
    if found.validation is not None:
        found.validation()
        assert asked[1] == (row.hub, row.validation, {"column": row.column})


@pytest.mark.parametrize(
    ("word", "name", "split", "revision", "column"),
    [
        ("hub:a/b", "a/b", "train", None, None),
        ("hub:a/b-c.d:test", "a/b-c.d", "test", None, None),
        ("hub:a/b@refs/pr/1:test:img", "a/b", "test", "refs/pr/1", "img"),
    ],
)
def test_any_data_set_of_the_hub(
    word: str, name: str, split: str, revision: str | None, column: str | None, asked: list[Any]
) -> None:
    found = collection(word)
    found.open()
    assert asked == [(name, split, {"revision": revision, "column": column})]
    assert found.name == word and found.validation is None and not (found.side or found.small)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lsun-curch"], "^lsun-curch does not exist; data sets that have a name: celeba-hq-256, "),
        (["hub:nonsense"], "hub:nonsense is not hub:OWNER/NAME"),
        (["hub:a/b:train[:10%]"], "is not hub:OWNER/NAME"),
        (["lsun-tower"], "lsun-tower is on the hub in no copy that we could confirm: take github"),
        (["cifar-10", "photos"], "cifar-10 is one data set, to be given alone"),
        (["a/b.png"], r"^a/b\.png does not exist$"),
        (["*.png"], r"^\*\.png matches no images \([^;]*$"),
    ],
)
def test_what_means_nothing_is_told(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        find(words)
    assert "\n" not in str(caught.value)


def test_shards_are_small_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        parquet(tmp_path / f"{name}.parquet", [row(numbered(tmp_path, 1))])
    found = collection(f"{tmp_path}/*.parquet")
    assert found.small and found.name == "shards a.parquet, b.parquet"
    assert len(list(found.open())) == 2
    monkeypatch.setattr(named, "SMALL_BYTES", 100)
    assert not collection(f"{tmp_path}/*.parquet").small
    # Other data have another state, but not the same data elsewhere.
    assert collection(f"{tmp_path}/a.parquet").state != found.state
    (tmp_path / "c").mkdir()
    for name in "ab":
        (tmp_path / f"{name}.parquet").rename(tmp_path / "c" / f"{name}.parquet")
    assert collection(f"{tmp_path}/c/*.parquet").state == found.state


def test_images_become_squares_and_rgb() -> None:
    columns = torch.arange(12).view(1, 1, 12).expand(3, 8, 12) * 20
    made = Collection("x", streams.hub, side=4).prepared(Image(columns, 8)).pixels
    assert made.shape == (3, 4, 4) and made.dtype == torch.int64
    # The middle 8 columns, 2 to 9, of which each pair has its mean; ends weigh differently.
    assert made[0, 0, 1:3].tolist() == [90, 130]
    gray = Image(torch.arange(6).view(1, 2, 3), 8)
    made = Collection("x", streams.hub, colour=True).prepared(gray).pixels
    assert torch.equal(made, gray.pixels.expand(3, 2, 3))
    assert Collection("x", streams.hub).prepared(gray).pixels is gray.pixels


def test_extremes_stay_in_range() -> None:
    image = Image(torch.tensor([0, 31]).repeat(1, 9, 5)[..., :9], 5)
    made = Collection("x", streams.hub, side=13).prepared(image).pixels
    assert made.shape == (1, 13, 13) and made.min() >= 0 and made.max() <= 31


def test_published_presets_name_their_data() -> None:
    names = {name: preset.data_set for name, preset in PRESETS.items() if preset.data_set}
    assert names["pyramid-lsun-church"] == "lsun-church" and names["pixelcnn-cifar10"] == "cifar-10"
    assert names["pyramid-lsun-tower"] == "lsun-tower" and len(names) == 7
    assert set(names.values()) <= {*NAMED, *UNAVAILABLE}
    assert PRESETS["ride-bsds300-2-published"].data_set is None
