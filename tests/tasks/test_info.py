"""`info` tells what images, compressed files and models are, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile
import torch

from imprior import checkpoint
from imprior.data.images import Image, Metadata, write
from imprior.provenance import PROVENANCE
from imprior.report.tables import description
from imprior.tasks.compress import compress
from imprior.tasks.files import Failure
from imprior.tasks.info import describe
from tests.data.pictures import SRGB
from tests.toys import Toy, ToyConfig


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoint, "MODELS", (Toy,))
    told = dict.fromkeys(PROVENANCE) | {"data": "nothing at all", "figures": {"kodak": 3.14159265}}
    return checkpoint.save(Toy(ToyConfig()), tmp_path / "toy", told)


def test_image(tmp_path: Path) -> None:
    pixels = torch.tensor([0, 900, 4, 5, 6, 7, 8, 9]).view(4, 1, 2)
    metadata = Metadata(icc=SRGB, resolution=(300.0, 150.0))
    write(tmp_path / "a.tiff", Image(pixels, 10, metadata, alpha=True))
    (record,) = describe([str(tmp_path / "a.tiff")])
    assert isinstance(record, dict)
    assert record["kind"] == "image" and record["shape"] == [4, 1, 2] and record["bits"] == 10
    assert record["alpha"] and (record["lowest"], record["highest"]) == (0, 900)
    assert record["resolution"] == [300.0, 150.0] and record["icc_bytes"] == len(SRGB)
    text = description(record)
    assert "10 bits" in text and "300 x 150 pixels per inch" in text and "\n" not in text


def test_every_page_and_every_file_of_a_folder(tmp_path: Path) -> None:
    pages = torch.randint(0, 256, (3, 6, 7)).numpy().astype("uint8")
    tifffile.imwrite(tmp_path / "pages.tif", pages, photometric="minisblack")
    write(tmp_path / "z.png", Image(torch.zeros(1, 2, 2).long(), 8))
    (tmp_path / "y.png").write_bytes(b"")
    found = list(describe([str(tmp_path)]))
    names = [Path(f.path).name if isinstance(f, Failure) else Path(f["path"]).name for f in found]
    assert names == ["pages.tif"] * 3 + ["y.png", "z.png"]
    assert isinstance(found[3], Failure) and "empty" in found[3].reason


def test_model_tells_its_story(model_folder: Path) -> None:
    (record,) = describe([str(model_folder)])
    assert isinstance(record, dict)
    assert record["kind"] == "model" and record["model"] == "Toy"
    assert record["commands"] == ["evaluate", "sample", "compress", "inpaint"]
    assert record["config"]["bits"] == 8 and record["digest"] == checkpoint.digest(Toy(ToyConfig()))
    text = description(record)
    for told in ("a mass on 8-bit images", "nothing at all", "kodak 3.14159", "not known"):
        assert told in text


def test_bundled_name_is_a_model(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "BUNDLED", model_folder.parent)
    (record,) = describe(["toy"])
    assert isinstance(record, dict) and record["kind"] == "model"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_incomplete_model_is_not_taken_for_images(model_folder: Path, name: str) -> None:
    (model_folder / name).unlink()
    (failure,) = describe([str(model_folder)])
    assert isinstance(failure, Failure) and f"{name} is missing" in failure.reason


def test_compressed_file(tmp_path: Path) -> None:
    model, pixels = Toy(ToyConfig(channels=3)), torch.zeros(3, 8, 9).long()
    data = compress(model, Image(pixels, 8))
    (tmp_path / "a.imp").write_bytes(data)
    (record,) = describe([str(tmp_path)])
    assert isinstance(record, dict)
    assert record["kind"] == "compressed" and record["shape"] == [3, 8, 9]
    assert checkpoint.digest(model).startswith(record["model_digest"])
    assert record["bits_per_dim"] == 8 * len(data) / pixels.numel()
    assert record["model_digest"][:12] in description(record)
    (tmp_path / "a.imp").write_bytes(data[:-1])
    (failure,) = describe([str(tmp_path)])
    assert isinstance(failure, Failure) and "cut off or damaged" in failure.reason


def test_missing_file_is_named() -> None:
    (failure,) = describe(["nowhere.png"])
    assert failure == Failure("nowhere.png", "there is no such file or folder")


def test_a_pyramid_can_be_asked_to_enlarge() -> None:
    (record,) = describe(["pyramid-rgb"])
    assert isinstance(record, dict)
    assert record["commands"] == ["evaluate", "sample", "compress", "inpaint", "upscale"]
