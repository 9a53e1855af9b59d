"""The page shows the same part of an image before and after, and the figures of the record."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from imprior.data.images import Image, write
from imprior.models.local.config import FlatDenoiserConfig, NetworkConfig
from imprior.models.local.denoiser import FlatDenoiser
from imprior.report import before_after
from imprior.report.denoise import curves, page, write_curves, write_report
from imprior.report.page import Gallery, Picture
from imprior.report.tables import Table
from imprior.tasks.denoise_files import Denoised, Wanted, denoise_files
from imprior.tasks.evaluate_denoiser import evaluate_denoiser, total
from imprior.tasks.files import Failure

MODEL = FlatDenoiser(FlatDenoiserConfig(1, NetworkConfig(3, 4, 5))).eval()


def denoised(
    folder: Path, wanted: Wanted, num: int = 1, channels: int = 1, size: tuple[int, int] = (20, 24)
) -> list[Denoised]:
    (folder / "in").mkdir()
    for index in range(num):
        write(folder / "in" / f"{index}.png", Image(torch.randint(256, (channels, *size)), 8))
    return denoise_files(MODEL, [folder / "in"], folder / "out", wanted).results


def opened(picture: Picture) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(picture.data)))


def gallery(result: Denoised, wanted: Wanted) -> Gallery:
    found = page([result], wanted).sections[1].blocks[1]
    assert isinstance(found, Gallery)
    return found


@pytest.mark.parametrize("sigma", [None, 25.0])
def test_page_tells_what_happened(tmp_path: Path, sigma: float | None) -> None:
    wanted = Wanted(sigma, seed=7)
    results = denoised(tmp_path, wanted, num=2, channels=3)
    path = write_report(results, wanted, tmp_path / "out")
    html = path.read_text()
    assert path == tmp_path / "out" / "index.html" and "2 images" in html
    assert "20 x 24 pixels. A model of grey images: each channel" in html
    assert html.count("<img") == html.count('alt="') == (6 if sigma is None else 8)
    assert ("noise 25/255, seed 7" in html) == ("PSNR" in html) == (sigma is not None)
    if (clean := results[0].clean) is not None:
        assert f"{clean.psnr:.2f}" in html and f"{clean.ssim:.4f}" in html
    assert "http://" not in html and "https://" not in html


def test_pictures_are_those_of_the_files(tmp_path: Path) -> None:
    wanted = Wanted(25)
    (result,) = denoised(tmp_path, wanted)
    clean, before, after, removed = map(opened, gallery(result, wanted).pictures)
    whole, written = (np.asarray(Pillow.open(path)) for path in (result.path, result.file))
    assert (clean[..., 0] == whole).all() and (after[..., 0] == written).all()
    assert (before != clean).mean() > 0.8 and removed.shape == (20, 24, 3)


def test_large_images_show_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_after, "MOST_PIXELS", 8)
    (result,) = denoised(tmp_path, Wanted())
    before = opened(gallery(result, Wanted()).pictures[0])
    assert (before[..., 0] == np.asarray(Pillow.open(result.path))[6:14, 8:16]).all()
    assert "the middle 8 of each side are shown" in page([result], Wanted()).html()


def test_many_images_do_not_make_a_page_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before_after, "MOST_IMAGES", 2)
    results = denoised(tmp_path, Wanted(), num=3)
    headings = [section.heading for section in page(results, Wanted()).sections]
    assert headings == ["In figures", "0.png", "1.png", "The others"]


def test_curves_have_the_means_of_all_methods(tmp_path: Path) -> None:
    write(tmp_path / "x.png", Image(torch.randint(256, (1, 20, 24)), 8))
    against = {"none": lambda y, sigma: y}
    found = evaluate_denoiser(MODEL, [tmp_path], [50, 5], against=against)
    means = total([each.record() for each in found if not isinstance(each, Failure)])
    psnr, ssim = (section.blocks[1] for section in curves(means, "mine", 1).sections)
    assert isinstance(psnr, Table) and isinstance(ssim, Table)
    assert psnr.header == ["σ × 255", "5", "50"]
    assert [row[0] for row in psnr.rows] == ["noisy", "none", "mine"]
    assert psnr.rows[0][1:] == psnr.rows[1][1:]
    assert psnr.rows[2][2] == f"{means['50']['psnr']:.2f}"
    assert ssim.rows[2][1] == f"{means['5']['ssim']:.4f}"
    path = write_curves(means, "mine", 1, tmp_path / "new")
    assert path == tmp_path / "new" / "index.html" and "<svg" not in path.read_text()


def test_curves_without_a_similarity_are_drawn(tmp_path: Path) -> None:
    write(tmp_path / "x.png", Image(torch.randint(256, (1, 5, 24)), 8))
    found = evaluate_denoiser(MODEL, [tmp_path], [25])
    means = total([each.record() for each in found if not isinstance(each, Failure)])
    assert "–" in curves(means, "mine", 1).html()
