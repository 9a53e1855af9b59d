"""Experiments with local models, on synthetic images and by models that learnt next to nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from experiments import local_faces, local_fields, local_inverse, local_start
from imprior import checkpoint
from imprior.models.local.config import FlatDenoiserConfig, LocalModelConfig, NetworkConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.provenance import PROVENANCE
from tests.models.local.small import randomized
from tests.train.fitting import assert_same

SMALL = NetworkConfig(depth=3, width=4, receptive_field=5)


def images(count: int, side: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, side, side, generator=generator) for _ in range(count)]


@pytest.fixture
def flat(tmp_path: Path) -> str:
    model = randomized(FlatDenoiser(FlatDenoiserConfig(1, SMALL, blocks=2)))
    return str(checkpoint.save(model, tmp_path / "flat", dict.fromkeys(PROVENANCE)))


@pytest.fixture
def local(tmp_path: Path) -> str:
    model = randomized(LocalModel(LocalModelConfig(1, (SMALL,) * 3, SMALL)))
    return str(checkpoint.save(model, tmp_path / "local", dict.fromkeys(PROVENANCE)))


def test_fields_are_drawn_and_recorded(
    flat: str, local: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_fields, "RESULTS", tmp_path)
    monkeypatch.setattr(local_fields, "photographs", lambda: images(2, 20))
    local_fields.main({"flat": flat, "multi-scale": local})
    rows = json.loads((tmp_path / "local_fields.json").read_text())
    assert len(rows) == 2 * len(local_fields.SIGMAS)
    assert rows[0]["name"] == "photographs/sigma-10/flat"
    for name in ("local_fields_photographs.svg", "local_fields_photographs_gain.svg"):
        assert "multi-scale" in (tmp_path / name).read_text()


def test_start_has_the_networks_of_others(flat: str, local: str, tmp_path: Path) -> None:
    local_start.main(tmp_path / "start")
    start, finest = checkpoint.load(tmp_path / "start"), checkpoint.load("local-gray")
    assert isinstance(start, LocalModel) and isinstance(finest, LocalModel)
    assert_same(start.low.state_dict(), checkpoint.load("flat-gray").state_dict())
    for number in range(start.num_scales):
        assert_same(start.scale(number).state_dict(), finest.scale(0).state_dict())
    told = checkpoint.read(tmp_path / "start")["provenance"]["start"]
    assert checkpoint.digest(finest) in told
    with pytest.raises(ValueError, match="weights do not fit local-gray: "):
        local_start.main(tmp_path / "x", finest=local)
    with pytest.raises(ValueError, match="flat-gray is for FlatDenoiser, which has no scales"):
        local_start.main(tmp_path / "x", preset="flat-gray")
    with pytest.raises(ValueError, match="local-rgb a flat denoiser"):
        local_start.main(tmp_path / "x", low="local-rgb")


def test_figure_is_the_mean_psnr() -> None:
    model, x = randomized(FlatDenoiser(FlatDenoiserConfig(1, SMALL))), images(3, 12)
    with torch.no_grad():
        for layer in model.network.convolutions:
            layer.weight.zero_()  # type: ignore[operator]
    # What is not denoised keeps its noise.
    assert abs(local_fields.psnr(model, x, 25.5, seed=0) - 20) < 0.5


def test_all_answers_have_the_measured_means() -> None:
    flat = randomized(FlatDenoiser(FlatDenoiserConfig(1, SMALL)))
    local = randomized(LocalModel(LocalModelConfig(1, (SMALL,) * 2, SMALL)))
    (x,) = images(1, 16)
    problem = local_inverse.super_resolution(flat, local, 2)
    answers = problem.answers(x, 0)
    for name in ("nearest", "flat, sample", "flat, mean of 2", "multi-scale, mean of 2"):
        means = functional.avg_pool2d(answers[name], 4)
        assert torch.allclose(means, problem.given(x, 0), atol=1e-4), name


def test_known_pixels_stay() -> None:
    flat = randomized(FlatDenoiser(FlatDenoiserConfig(1, SMALL)))
    (x,) = images(1, 16)
    problem = local_inverse.missing_pixels(flat, 2)
    known = problem.given(x, 0) != 0
    assert int(known.sum()) == round(0.1 * 256)
    for name, answer in problem.answers(x, 0).items():
        assert torch.allclose(answer[known], x[known], atol=1e-6), name


def test_inverse_page_has_tables_and_pictures(
    flat: str, local: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_inverse, "RESULTS", tmp_path)
    monkeypatch.setattr(local_inverse, "images", lambda side: images(1, side))
    monkeypatch.setattr(local_inverse, "SHOWN", (0,))
    local_inverse.main(flat, local, count=2, side=16, out=tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert html.count("<img") == (2 + 6) + (2 + 4)
    rows = json.loads((tmp_path / "inverse.json").read_text())
    assert {"set12/super-resolution-4/bicubic", "set12/random-pixels-10%/linear"} < {
        row["name"] for row in rows
    }


def test_faces_are_drawn_by_each_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomized(LocalModel(LocalModelConfig(1, (SMALL,) * 3, SMALL)))
    monkeypatch.setattr(local_faces, "RESULTS", tmp_path)
    monkeypatch.setattr(local_faces, "published_local", lambda side: model)
    monkeypatch.setattr(local_faces, "faces", lambda side: torch.stack(images(1, 16)))
    local_faces.main(tmp_path / "faces.html")
    html = (tmp_path / "faces.html").read_text()
    assert html.count("<img") == 3 * len(local_faces.RULES)
    assert "Stopping rule: default" in html
    rows = json.loads((tmp_path / "faces.json").read_text())
    assert [row.get("anchor") for row in rows] == [None, 95.0]
