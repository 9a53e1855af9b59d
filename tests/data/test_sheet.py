"""Sheets of images."""

from __future__ import annotations

import math

import pytest
import torch

from imprior.data.sheet import contact_sheet


@pytest.mark.parametrize("num", [1, 2, 5, 16])
def test_sheet_holds_every_image_once(num: int) -> None:
    images = [torch.full((1, 3, 4), i + 1) for i in range(num)]
    sheet = contact_sheet(images, gap=1)
    assert torch.bincount(sheet.flatten(), minlength=num + 1)[1:].tolist() == [12] * num
    rows, columns = ((side + 1) // size for side, size in zip(sheet.shape[1:], (4, 5), strict=True))
    assert rows * columns < num + columns and math.isclose(3 * rows, 4 * columns, abs_tol=8)
