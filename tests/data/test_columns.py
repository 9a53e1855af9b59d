"""Columns of patches: patches that are in the images, all of them equally often."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from imprior.data.columns import PatchColumns

IMAGES = [torch.arange(h * w).view(1, h, w) + n for n, h, w in ((0, 4, 3), (20, 2, 2), (40, 3, 7))]


def columns(images: list[Tensor] = IMAGES, **options: int) -> PatchColumns:
    defaults = {"count": 5, "length": 4}
    return PatchColumns(images, 2, 3, **defaults | options)


def test_patches_are_windows_of_the_images_and_equally_frequent() -> None:
    """The second image has no room; the others have 3 and 2 x 5 places."""
    windows = [image[0].unfold(0, 2, 1).unfold(1, 3, 1).reshape(-1, 6) for image in IMAGES[::2]]
    expected = torch.cat(windows)
    drawn = columns(count=3000)[0]
    assert drawn.shape == (1, 6000, 3) and drawn.dtype == torch.int64
    matches = (drawn.view(3000, 1, 6) == expected).all(2)
    assert bool((matches.sum(1) == 1).all())
    assert len(expected) == 13
    assert chisquare(matches.sum(0).numpy()).pvalue > 1e-3


def test_a_draw_depends_on_seed_and_number_alone() -> None:
    draws = columns()
    assert len(draws) == len(list(draws)) == 4
    assert torch.equal(draws[7], columns(length=1)[7])
    assert not torch.equal(draws[7], draws[8])
    assert not torch.equal(draws[7], columns(seed=1)[7])


def test_deep_images_keep_their_values() -> None:
    image = torch.tensor([[[0, 65535, 300], [1, 2, 256]]])
    assert torch.equal(columns([image], count=1)[0], image)


def test_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="none of the 1 images has room for a patch of 2 x 3"):
        columns([torch.zeros(1, 5, 2)])
    with pytest.raises(ValueError, match="of grey images"):
        columns([torch.zeros(3, 5, 5)])
