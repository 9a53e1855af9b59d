"""The page shows what was filled in, and where fillings differ."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from imprior.data.images import Image
from imprior.report import figures
from imprior.report.inpainting import HOLE, deviation, page, write_report
from imprior.tasks.holes import hole_of_box
from imprior.tasks.inpaint import Filling, Inpainting
from imprior.tasks.inpaint_files import Inpainted, inpaint_files
from tests.toys import Toy, ToyConfig


def inpainted(out: Path, num: int, filling: Filling, channels: int = 1) -> Inpainted[Inpainting]:
    generator = torch.Generator().manual_seed(0)
    image = Image(torch.randint(256, (channels, 90, 80), generator=generator), 8, path="a/x.png")
    hole = hole_of_box("33,40,5,6", (90, 80))
    return inpaint_files(Toy(ToyConfig(channels)), image, hole, out, filling, num=num)


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(data)))


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("filling", [Filling(epochs=2), Filling("draw")], ids=str)
def test_page_tells_what_happened(tmp_path: Path, num: int, filling: Filling) -> None:
    result = inpainted(tmp_path, num, filling)
    html = write_report(result, tmp_path).read_text()
    assert "30 pixels of x.png were missing" in html
    assert html.count("<img") == html.count('alt="')
    assert ("accepted patches" in html.lower()) == (filling.method == "gibbs")
    assert ("Where fillings differ" in html) == (num > 1) == (tmp_path / "deviation.png").exists()
    for path, done in zip(result.files, result.fillings, strict=True):
        assert path.name in html and f"{done.log_probs[-1]:.1f}" in html
    assert "http://" not in html and "https://" not in html


def test_deviation_is_that_of_the_fillings_and_nothing_elsewhere(tmp_path: Path) -> None:
    result = inpainted(tmp_path, 4, Filling("draw"), channels=3)
    spread = deviation(result.fillings)
    assert spread is not None
    values = np.stack([done.x.numpy() for done in result.fillings])
    np.testing.assert_allclose(spread.numpy(), values.std(0, ddof=1).mean(0), atol=1e-12)
    write_report(result, tmp_path)
    picture = opened((tmp_path / "deviation.png").read_bytes())
    assert picture.shape == (90, 80, 3)
    dark = figures.heat(torch.zeros(1, 1), 1.0)[0, 0]
    bright = (picture != dark).any(-1)
    assert not bright[~result.hole.numpy()].any() and bright[result.hole.numpy()].mean() > 0.9
    assert deviation(result.fillings[:1]) is None


def test_before_shows_nothing_of_what_is_in_the_hole(tmp_path: Path) -> None:
    result = inpainted(tmp_path, 1, Filling("draw"))
    before, mask, _ = page(result, None).sections[0].blocks[1].pictures  # type: ignore[union-attr]
    region = (slice(32, 38), slice(32, 37))  # the hole within the part around it
    assert (opened(before.data)[region] == HOLE).all()
    assert (opened(mask.data)[region] == 255).all() and opened(mask.data).sum() == 30 * 3 * 255
