"""What the demonstration shows of denoisers is what they make of a photograph."""

from __future__ import annotations

import pytest
import torch

from imprior.data.datasets import bundled
from imprior.data.images import read
from imprior.report.page import Gallery
from imprior.report.restoring import FACTOR, Restored, restore, restored_blocks


@pytest.fixture(scope="module")
def restored() -> Restored:
    photograph = read(bundled("test")[0].path).pixels.float().mean(0, keepdim=True)
    return restore(photograph.round().long()[:, 100:164, 100:164], seed=0)


def test_models_are_better_than_doing_nothing(restored: Restored) -> None:
    psnr = {name: quality.psnr for name, quality in restored.quality.items()}
    assert psnr["by flat-gray"] > psnr["with noise"] + 3
    assert psnr["the mean by local-gray"] > psnr["drawn by local-gray"]
    assert abs(psnr["with noise"] - 20.2) < 0.3  # 20 log10(255 / 25)


def test_what_is_drawn_has_the_given_means(restored: Restored) -> None:
    drawn = restored.enlarged["drawn by local-gray"]
    small = restored.enlarged["a quarter as high and wide"][:, ::FACTOR, ::FACTOR].float()
    blocks = torch.nn.functional.avg_pool2d(drawn.float(), FACTOR)
    assert (blocks - small).abs().max() < 4  # what is out of range is cut off
    assert (blocks - small).abs().mean() < 0.5


def test_every_image_is_told(restored: Restored) -> None:
    galleries = [block for block in restored_blocks(restored) if isinstance(block, Gallery)]
    captions = [picture.caption for gallery in galleries for picture in gallery.pictures]
    assert captions[0] == "the photograph"
    for name, quality in restored.quality.items():
        assert f"{name}, {quality.psnr:.1f} dB" in captions
