"""The BSDS300 protocol: grey values, splits, patches, and the DC component's Jacobian."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import bsds300
from experiments.bsds300 import dequantize, images, log_density_64, patches, remove_dc, rgb_to_grey
from imprior.models.baselines.gmm import GMM, GMMConfig


@pytest.fixture(autouse=True)
def _fresh_images() -> Iterator[None]:
    images.cache_clear()
    yield
    images.cache_clear()


def fake(folder: Path, count: int, shape: tuple[int, int]) -> None:
    """`count` pictures whose every pixel is the picture's index, saved as grey JPEG."""
    folder.mkdir(parents=True)
    for index in range(count):
        Image.fromarray(np.full(shape, index, np.uint8)).save(folder / f"{index:03d}.jpg")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake(tmp_path / "bsds500" / "train", 200, (9, 8))
    fake(tmp_path / "bsds500" / "val", 100, (8, 9))
    monkeypatch.setenv("IMPRIOR_DATA", str(tmp_path))
    return tmp_path


def test_grey_is_rounded_as_matlab_rounds() -> None:
    rgb = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 2, 3]]], np.uint8)
    assert rgb_to_grey(rgb).tolist() == [[255, 76, 150, 29, 2]]


def test_grey_pixels_stay_what_they_are() -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(rgb_to_grey(np.stack([grey] * 3, -1)), grey)


def test_splits_divide_the_training_images(pictures: Path) -> None:
    values = {
        split: [int(image[0, 0]) for image in images(split)]
        for split in ("train", "fit", "validation", "test")
    }
    assert len(values["fit"]) == 180 and len(values["validation"]) == 20
    assert not set(values["fit"]) & set(values["validation"])
    assert sorted(values["fit"] + values["validation"]) == values["train"]
    assert len(values["test"]) == 100 and images("test")[0].shape == (8, 9)


def test_incomplete_split_is_refused(pictures: Path) -> None:
    (pictures / "bsds500" / "val" / "000.jpg").unlink()
    with pytest.raises(ValueError, match="holds 99 JPEG files, BSDS300 has 100"):
        images("test")
    with pytest.raises(ValueError, match="splits are train, fit, validation, test; got 'val'"):
        images("val")


def test_noise_is_uniform_within_one_grey_level() -> None:
    grey = torch.tensor([0, 7, 255]).repeat(20_000)
    x = dequantize(grey, torch.Generator().manual_seed(0), torch.float64) * 256 - grey
    assert x.min() >= 0 and x.max() < 1
    assert x.mean().item() == pytest.approx(1 / 2, abs=0.01)
    assert x.var().item() == pytest.approx(1 / 12, abs=0.005)


def test_patches_come_from_every_place_and_image(pictures: Path) -> None:
    x = patches("train", 4000, seed=1, dtype=torch.float64)
    assert x.shape == (4000, 64) and x.dtype == torch.float64
    grey = (x * 256).floor()
    assert (grey == grey[:, :1]).all()  # no patch mixes two pictures
    assert grey[:, 0].unique().numel() == 200
    assert torch.equal(x, patches("train", 4000, seed=1, dtype=torch.float64))
    assert not torch.equal(x, patches("train", 4000, seed=2, dtype=torch.float64))
    single = patches("train", 4000, seed=1)
    assert single.dtype == torch.float32 and single.min() >= 0 and single.max() <= 1


def test_patches_are_windows_of_the_picture_in_row_major_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10)
    monkeypatch.setattr(bsds300, "images", lambda split: (picture,))
    grey = (patches("train", 500, seed=0, dtype=torch.float64) * 256).floor().long()
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    assert torch.equal(grey - grey[:, :1], (10 * rows + columns).view(1, 64).expand(500, 64))
    corners = {(row, column) for row in range(5) for column in range(3)}
    assert {divmod(int(corner), 10) for corner in grey[:, 0]} == corners


def test_jacobian_of_removing_the_dc() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        d, dc, _ = remove_dc(x[None])
        return torch.cat([d[0], dc])

    jacobian = torch.autograd.functional.jacobian(forward, torch.rand(64, dtype=torch.float64))
    expected = torch.linalg.slogdet(jacobian).logabsdet.item()
    assert remove_dc(torch.rand(1, 64))[2] == pytest.approx(expected, abs=1e-10)
    assert expected == pytest.approx(-math.log(64), abs=1e-10)


def test_whole_patch_has_the_density_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent standard normals for d and m are one Gaussian of the 64 pixels."""
    normal = GMM(GMMConfig(1, 1, 1, 1)).double().requires_grad_(False)
    monkeypatch.setattr(bsds300, "dc_model", lambda: normal)
    x = torch.rand(5, 64, dtype=torch.float64)
    d, dc, _ = remove_dc(x)
    of_d = GMM(GMMConfig(1, 1, 63, 1)).double().requires_grad_(False).log_density(d)
    rows = torch.cat([torch.eye(63, 64), torch.zeros(1, 64)]).double() - 1 / 64
    rows[63] = 1 / 64
    pixels = torch.distributions.MultivariateNormal(
        torch.zeros(64).double(), precision_matrix=rows.T @ rows
    )
    torch.testing.assert_close(log_density_64(of_d, dc), pixels.log_prob(x), rtol=0, atol=1e-9)


def test_real_images_are_complete(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPRIOR_DATA", str(data_root))
    assert {image.shape for image in images("test")} == {(321, 481), (481, 321)}
