"""The page of a pyramid: pictures of all that it shows, by any pyramid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments import pyramid_page
from imprior import checkpoint
from imprior.models.pyramids.model import PixelPyramid
from imprior.presets import PRESETS
from imprior.provenance import PROVENANCE
from imprior.report.page import Gallery


@pytest.mark.parametrize("preset", ["pyramid-rgb-tiny", "pyramid-gray-tiny"])
def test_page_shows_every_section(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = PixelPyramid(PRESETS[preset].config)
    told = dict.fromkeys(PROVENANCE) | {"data": "nothing", "figures": {"seconds": 7}}
    checkpoint.save(model, tmp_path / "tiny", told)
    crops = [x[:, 80:177, 60:190] for x in pyramid_page.photographs(model)]
    monkeypatch.setattr(pyramid_page, "photographs", lambda _: crops)
    monkeypatch.setattr(pyramid_page, "CROP", 16)
    pyramid_page.main(str(tmp_path / "tiny"), tmp_path / "new" / "page.html", num=2)
    html = (tmp_path / "new" / "page.html").read_text()
    for text in ("taken apart", "Where the bits go", "imagines", "drawn larger"):
        assert text in html
    photos = len(crops)
    assert photos == (2 if model.channels == 3 else 3)
    assert html.count("<img") == 2 * pyramid_page.SPLITS + 1 + (2 + 1) + 4 * photos
    assert "tiny, trained on nothing for 7 s" in html


def test_what_is_shown_of_a_photograph_is_the_photograph() -> None:
    photograph = torch.randint(32, (3, 10, 7))
    _, gallery = pyramid_page.taken_apart(photograph, 5)
    assert isinstance(gallery, Gallery)
    assert len(gallery.pictures) == 2 * 6
    assert gallery.pictures[0].alt == "level 1, rows: coarse image, 7 × 5"


def test_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is for a PixelPyramid, not MCGSM"):
        pyramid_page.main("mcgsm-gray", tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
