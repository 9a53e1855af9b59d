"""The demonstration tells what happened, and what it tells is true."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from imprior import checkpoint
from imprior.data.images import Image, read, write
from imprior.models.ride.mcgsm import MCGSM
from imprior.presets import PRESETS
from imprior.report import demo as module
from imprior.report.demo import demo
from imprior.tasks.compress import decompress
from imprior.tasks.evaluate import Evaluation, evaluate, total
from imprior.train.samples import Drawing
from imprior.train.stages import Stage


def wavy(seed: int) -> Image:
    """A colour picture with something to learn, a little larger than what is continued."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(124.0), indexing="ij")
    waves = 128 + 90 * torch.sin(x / 9 + seed) * torch.cos(y / 7)
    noise = 4 * torch.randn(3, 120, 124, generator=generator)
    return Image((waves + noise).round().clamp(0, 255).long(), bits=8)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demonstration on small pictures with the least of training."""
    for seed in range(4):
        write(tmp_path / f"{seed}.png", wavy(seed))
    files = {"train": (0, 1), "test": (2, 3)}
    monkeypatch.setattr(
        module,
        "bundled",
        lambda split: [SimpleNamespace(path=tmp_path / f"{n}.png") for n in files[split]],
    )
    preset = PRESETS[module.QUICK]
    training = dataclasses.replace(
        preset.training,
        drawing=Drawing(4000),
        validation_pixels=500,
        stages=(Stage("adam", "mass", 60, 512, check_every=20),),
    )
    small = dataclasses.replace(preset, training=training)
    monkeypatch.setitem(PRESETS, module.QUICK, small)
    return demo(tmp_path / "demo", quick=True)


def test_report_is_true(page: Path, tmp_path: Path) -> None:
    html, model = page.read_text(), checkpoint.load(page.parent / "model")
    assert isinstance(model, MCGSM)
    held_out = [tmp_path / "2.png", tmp_path / "3.png"]
    results = [r for r in evaluate(model, held_out, gray=True) if isinstance(r, Evaluation)]
    figure = total([result.record() for result in results])["bits_per_dim"]
    assert f"{figure:.3f}" in html and f"take {figure:.2f} bits per pixel" in html
    for told in (
        "PNG",
        "WebP",
        "JPEG-LS",
        "JPEG XL",
        "2.png",
        "3.png",
        "bit for bit",
        "by flat-gray",
    ):
        assert told in html
    compressed = (page.parent / "2.imp").read_bytes()
    restored = decompress(model, compressed)
    assert torch.equal(restored.pixels, read(page.parent / "2.png").pixels)
    assert torch.equal(restored.pixels, results[0].pixels)
    assert f"{len(compressed) / 1000:.1f} kB" in html
    assert html.count("<img") == html.count('alt="') >= 13
    assert "http://" not in html and "https://" not in html
