"""The page of ascents tells steps, ends and figures, and no probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from imprior.data.images import Image
from imprior.inference.schedule import Schedule
from imprior.report.ascents import comparison_table
from imprior.report.inpainting import write_report
from imprior.tasks.holes import hole_of_box
from imprior.tasks.inpaint_ascent import Ascended, Ascending
from imprior.tasks.inpaint_files import Inpainted, inpaint_files
from imprior.tasks.inpaint_quality import compare
from tests.tasks.test_inpaint_ascent import Smooth, SmoothConfig


def inpainted(out: Path, num: int, channels: int = 1) -> Inpainted[Ascended]:
    pixels = torch.randint(256, (channels, 40, 36), generator=torch.Generator().manual_seed(0))
    image, hole = Image(pixels, 8, path="a/x.png"), hole_of_box("13,20,5,6", (40, 36))
    filling = Ascending(Schedule(h0=0.3, beta=0.5))
    return inpaint_files(Smooth(SmoothConfig()), image, hole, out, filling, num=num)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_page_tells_what_happened(tmp_path: Path, num: int, channels: int) -> None:
    result = inpainted(tmp_path, num, channels)
    html = write_report(result, tmp_path).read_text()
    assert "30 pixels of x.png were missing" in html and "Kadkhodaie" in html
    assert html.count("<img") == html.count('alt="')
    assert "nats" not in html and "most probable" not in html and "How close" not in html
    assert ("Where fillings differ" in html) == (num > 1) == (tmp_path / "deviation.png").exists()
    assert ("mean: mean.png" in html) == (num > 1)
    assert ("each channel was filled by itself" in html) == (channels > 1)
    assert "method ascent, h0 0.3, beta 0.5, growing steps, noise from 1 to 0.01" in html
    for done in result.fillings:
        assert ", ".join(map(str, done.steps)) in html


@pytest.mark.parametrize("num", [1, 2])
def test_comparison_is_a_table_of_all_figures(tmp_path: Path, num: int) -> None:
    result = inpainted(tmp_path, num)
    compared = compare(result)
    table = comparison_table(result, compared)
    names = [f"{index:03d}.png" for index in range(num)]
    names += [f"mean of {num}"] * (num > 1) + ["linear interpolation", "nearest interpolation"]
    assert [row[0] for row in table.rows] == names
    found = [*compared.fillings, *([compared.mean] if compared.mean else [])]
    found += compared.usual.values()
    assert [row[1] for row in table.rows] == [f"{each.psnr:.2f}" for each in found]
    html = write_report(result, tmp_path, compared).read_text()
    assert "How close they come" in html
    assert all(cell in html for row in table.rows for cell in row)
