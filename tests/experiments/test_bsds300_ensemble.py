"""What the ensemble experiment counts: the same pixels in every view, and only those."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments import bsds300, bsds300_ensemble
from experiments.bsds300_ensemble import log_probs, noisy_images, score, tiles
from imprior import checkpoint
from imprior.data.loading import symmetry
from tests.models.mcgsms import assert_close, toy


class Position:
    """Says of a pixel its own value, so that a sum tells which pixels it is of."""

    reach = 2

    def log_density_map(self, x: Tensor) -> Tensor:
        return x.double()


def test_tiles_are_squares_side_by_side() -> None:
    image = torch.arange(7 * 9).view(1, 7, 9)
    squares = tiles(image, 3)
    assert squares.shape == (6, 1, 3, 3)
    assert squares[:, 0, 0, 0].tolist() == [0, 3, 6, 27, 30, 33]
    assert torch.equal(squares[4, 0], image[0, 3:6, 3:6])


def test_all_views_count_the_same_pixels() -> None:
    x = torch.rand(2, 1, 9, 12).double()
    same = [log_probs(Position(), symmetry(x, k), 2)[0] for k in range(8)]
    assert_close(torch.stack(same), x[..., 2:7, 2:10].sum((1, 2, 3)).expand(8, 2))
    own = [log_probs(Position(), symmetry(x, k), 2)[1] for k in (0, 1, 2, 4)]
    rows = x[..., 2:, 2:10].sum((1, 2, 3))
    columns = x[..., 2:7, 2:].sum((1, 2, 3))
    turned = x[..., :7, 2:10].sum((1, 2, 3))
    assert_close(torch.stack(own), torch.stack([rows, rows, turned, columns]))


@pytest.mark.parametrize("side", [10, None])
def test_scores_are_those_of_the_formula(side: int | None) -> None:
    model = toy(rows=1, columns=1)
    images = [torch.rand(1, 12, 23).double(), torch.rand(1, 21, 11).double()]
    parts = [image[None] for image in images]
    if side == 10:
        parts = [parts[0][..., :10, :10], parts[0][..., :10, 10:20]]
        parts += [images[1][None, :, :10, :10], images[1][None, :, 10:20, :10]]
    single, together, count = 0.0, 0.0, 0
    with torch.no_grad():
        for x in parts:
            maps = [model.log_density_map(symmetry(x, k))[..., 1:-1, 1:-1] for k in range(8)]
            values = [m.sum().item() for m in maps]
            largest = max(values)
            single, count = single + values[0], count + maps[0].numel()
            mean = math.fsum(math.exp(value - largest) for value in values) / 8
            together += largest + math.log(mean)
    scores = score(model, iter(images), 1, side)
    assert scores.single == pytest.approx(single / count / math.log(2), abs=1e-9)
    assert scores.ensemble == pytest.approx(together / count / math.log(2), abs=1e-9)


def test_noise_does_not_depend_on_the_choice_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tuple(np.full((4, 5), value, np.uint8) for value in range(6))
    monkeypatch.setattr(bsds300, "images", lambda split: pictures)
    everything, some = list(noisy_images(1)), list(noisy_images(3))
    assert len(everything) == 6 and len(some) == 2
    assert torch.equal(some[1], everything[3])
    assert bool(((everything[3] * 256).floor() == 3).all())


def test_rows_tell_how_they_were_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "load", lambda folder: Position())
    monkeypatch.setattr(bsds300, "images", lambda split: (np.ones((130, 70), np.uint8),))
    rows = bsds300_ensemble.run(Path("mcgsm-128"), None, 1, 64)
    assert [row.name.rpartition("/")[2] for row in rows] == [
        "mcgsm-128-patches",
        "mcgsm-128-ensemble",
        "mcgsm-128-ensemble-own-pixels",
    ]
    assert rows[1].published == 3.748 and "at least 2 from all borders" in rows[1].protocol
