"""The figures of the paired pyramid are those of the values, and of neighbours among them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from experiments import pair_statistics
from experiments.pair_statistics import Statistics, measure
from imprior.data.images import Image, write
from imprior.transforms import pairs


def test_entropy_is_that_of_known_shares() -> None:
    uniform, constant = Statistics(3), Statistics(3)
    uniform.add(torch.arange(8).view(1, 2, 4))
    constant.add(torch.full((1, 2, 4), 5))
    assert uniform.entropy == pytest.approx(3, abs=1e-12) and constant.entropy == 0


def test_correlation_is_that_of_all_neighbours_in_both_directions() -> None:
    statistics, images = Statistics(8), torch.randint(256, (3, 2, 5, 7))
    for image in images:
        statistics.add(image)
    expected = []
    for x, y in (
        (images[..., :-1, :], images[..., 1:, :]),
        (images[..., :-1], images[..., 1:]),
    ):
        both = torch.stack([x.flatten(), y.flatten()]).double()
        expected.append(torch.corrcoef(both)[0, 1].item())
    assert statistics.correlation == pytest.approx(sum(expected) / 2, abs=1e-12)


def test_every_value_is_counted_at_its_split() -> None:
    photographs = [torch.randint(256, (3, 9, 14)), torch.randint(256, (3, 8, 4))]
    found = measure(photographs, 5)
    counts = {key: int(each.histogram.sum()) for key, each in found.items()}
    assert counts[0, "I"] + counts[0, "F"] == 3 * (9 * 14 + 8 * 4)
    assert counts[1, "I"] + counts[1, "F"] == counts[0, "I"]
    coarse, fine = pairs.split(photographs[1][None] >> 3, 2)
    one = measure(photographs[1:], 5)[0, "F"].histogram
    assert torch.equal(one, torch.bincount((fine - coarse + 16).flatten() % 32, minlength=32))


def test_a_run_leaves_figures_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On smooth images the paper's claim holds: F has less entropy and less correlation."""
    smooth = torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0))[None]
    for name in pair_statistics.SETS:
        large = torch.nn.functional.interpolate(smooth, (24, 40), mode="bicubic")[0]
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        write(folder / "x.png", Image((large.clamp(0, 1) * 255).long(), 8))
    monkeypatch.setenv("IMPRIOR_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pair_statistics, "RESULTS", tmp_path / "results" / "pairs.json")
    pair_statistics.main()
    rows = json.loads((tmp_path / "results" / "pairs.json").read_text())
    values = {row["name"]: row["value"] for row in rows}
    for what in ("entropy", "correlation"):
        name = f"bsds500-test/8bit-split-0/{what}"
        assert values[f"{name}-F"] < values[f"{name}-I"]
    picture = Pillow.open(io.BytesIO((tmp_path / "results" / "pairs.png").read_bytes()))
    assert picture.size[0] > 1000
