"""A model comes back as it was saved, or one line says why not; a failed save harms nothing."""

from __future__ import annotations

import builtins
import dataclasses
import errno
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from imprior import checkpoint
from imprior.provenance import PROVENANCE
from tests.toys import Toy, ToyConfig

TOLD: Mapping[str, Any] = dict.fromkeys(PROVENANCE) | {
    "data": "two pictures | of nothing",
    "seed": 3,
    "versions": {"torch": "2.8"},
}


@pytest.fixture(autouse=True)
def _toys_are_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MODELS", (Toy,))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return checkpoint.save(make(), tmp_path / "toy", TOLD)


def make(seed: int = 0) -> Toy:
    model = Toy(ToyConfig(channels=2, bits=5))
    with torch.no_grad():
        model.scales.mul_(1 + torch.rand(2, generator=torch.Generator().manual_seed(seed)))
    return model


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes `config.json` and signs it again, as another version of imprior would have."""
    path = folder / "config.json"
    record = json.loads(path.read_text())
    change(record)
    tensors = dict(make().state_dict())
    record["digest"] = checkpoint._digest(record["model"], record["config"], tensors)
    path.write_text(json.dumps(record))


def refused(folder: Path | str) -> str:
    """The one line that loading fails with."""
    with pytest.raises(ValueError) as caught:
        checkpoint.load(folder)
    line = str(caught.value)
    assert line and "\n" not in line
    return line


def test_load_gives_back_what_was_saved(saved: Path) -> None:
    model, loaded = make(), checkpoint.load(saved)
    assert isinstance(loaded, Toy) and loaded.config == model.config
    assert loaded.config.shares == (0.8, 0.2)  # a tuple again, not a list
    assert torch.equal(loaded.scales, model.scales) and loaded.scales.dtype == torch.float64
    assert not loaded.training
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip


def test_precision_of_the_file_is_kept(tmp_path: Path) -> None:
    model = make().half()
    loaded = checkpoint.load(checkpoint.save(model, tmp_path / "half", TOLD))
    assert isinstance(loaded, Toy) and loaded.scales.dtype == torch.float16
    loaded.requires_grad_().scales.sum().backward()  # trainable, and not tied to the file


def test_folder_tells_its_story(saved: Path) -> None:
    record = json.loads((saved / "config.json").read_text())
    weights = (saved / "model.safetensors").read_bytes()
    assert record["format"] == 1 and record["model"] == "Toy"
    assert record["config"] == {"channels": 2, "bits": 5, "shares": [0.8, 0.2]}
    assert record["provenance"] == TOLD
    assert record["sha256"] == hashlib.sha256(weights).hexdigest()
    card = (saved / "README.md").read_text()
    assert "two pictures \\| of nothing" in card and "torch: 2.8" in card
    assert record["sha256"] in card and record["digest"] in card


def test_digest_is_of_config_and_weights_alone(saved: Path) -> None:
    model = make()
    digest = checkpoint.digest(model)
    assert json.loads((saved / "config.json").read_text())["digest"] == digest
    assert digest == checkpoint.digest(make()) and len(bytes.fromhex(digest)) == 32
    edit(saved, lambda record: record["provenance"].update(data="elsewhere"))
    assert checkpoint.digest(checkpoint.load(saved)) == digest
    other = Toy(dataclasses.replace(model.config, bits=6))
    other.load_state_dict(model.state_dict())
    assert len({digest, checkpoint.digest(make(1)), checkpoint.digest(other)}) == 3


def test_provenance_must_be_complete(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="provenance must say licence, seed"):
        incomplete = {name: 1 for name in PROVENANCE if name not in ("seed", "licence")}
        checkpoint.save(make(), tmp_path / "toy", incomplete)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    assert refused(saved) == (
        f"{saved / name} is missing: a model needs config.json and model.safetensors"
    )


def test_changed_weights_are_noticed(saved: Path) -> None:
    path = saved / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "model.safetensors is damaged" in refused(saved)
    path.write_bytes(content[:-5])
    assert "model.safetensors is damaged" in refused(saved)


def test_changed_config_is_noticed(saved: Path) -> None:
    path = saved / "config.json"
    path.write_text(path.read_text().replace('"bits": 5', '"bits": 6'))
    assert refused(saved) == f"{path} was changed since the model was saved"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "1"}', "\xff", '{"format": 1}'])
def test_config_that_is_none(saved: Path, text: str) -> None:
    (saved / "config.json").write_bytes(text.encode("latin-1"))
    assert str(saved / "config.json") in refused(saved)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(format=2), "has format 2; this imprior reads up to 1: update"),
        (lambda r: r.update(model="Ride"), "unknown model 'Ride', known are Toy"),
        (lambda r: r["config"].update(depth=1), "unknown field depth"),
        (lambda r: r["config"].pop("bits"), "missing field bits"),
        (lambda r: r.pop("sha256"), "has no 'sha256'"),
    ],
)
def test_model_of_another_version(
    saved: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    edit(saved, change)
    assert reason in refused(saved)


def test_weights_that_do_not_fit(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Grown(Toy):
        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            self.extra = torch.nn.Parameter(torch.zeros(3))

    Grown.__name__ = "Toy"
    monkeypatch.setattr(checkpoint, "MODELS", (Grown,))
    assert "missing, extra or misshapen extra" in refused(saved)


def test_unknown_name_says_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    assert "no model 'nonsense'" in refused("nonsense") and "none is installed" in refused("no")
    checkpoint.save(make(), tmp_path / "toy-gray", TOLD)
    assert "toy-gray" in refused("nonsense")
    assert checkpoint.digest(checkpoint.load("toy-gray")) == checkpoint.digest(make())
    assert str(tmp_path / "..") not in refused("../toy-gray")


def test_hub_gives_a_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, sorted(allow_patterns)))
        return str(saved)

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert checkpoint.digest(checkpoint.load("someone/toy")) == checkpoint.digest(make())
    assert asked == [("someone/toy", ["README.md", "config.json", "model.safetensors"])]


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        raise ConnectionError("no route\nto the hub")

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert refused("someone/toy") == (
        "no model 'someone/toy': there is no such folder, and the hub did not give it: no route"
    )


def test_hub_library_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'imprior[hub]'" in refused("someone/toy")


def test_real_hub_library_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub.constants", reason="needs the extra [hub]")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    assert "the hub did not give it" in refused("someone/toy")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A disk that is full when the second new file is written."""
    opened: list[str] = []
    really_open = builtins.open

    def open_until_full(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "x" in mode or "w" in mode:
            opened.append(str(file))
            if len(opened) == 2:
                raise OSError(errno.ENOSPC, "No space left on device", str(file))
        return really_open(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", open_until_full)
    yield opened


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_full_disk_harms_nothing(saved: Path, full_disk: list[str]) -> None:
    (saved / "training.state").write_bytes(b"someone else's")
    before = contents(saved)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(make(1), saved, TOLD)
    assert full_disk and contents(saved) == before


def test_full_disk_leaves_no_folder(tmp_path: Path, full_disk: list[str]) -> None:
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(make(), tmp_path / "new", TOLD)
    assert full_disk and not list(tmp_path.iterdir())


def test_saving_again_replaces_the_model_and_nothing_else(saved: Path) -> None:
    (saved / "training.state").write_bytes(b"someone else's")
    checkpoint.save(make(1), saved, TOLD)
    assert checkpoint.digest(checkpoint.load(saved)) == checkpoint.digest(make(1))
    assert contents(saved)["training.state"] == b"someone else's"
    assert len(contents(saved)) == 4


def test_pickles_are_never_opened(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("unpickled")

    import pickle

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, explode)
    monkeypatch.setattr(torch, "load", explode)
    checkpoint.load(saved)
