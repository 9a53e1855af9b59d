"""The BSDS300 density benchmark: the data every experiment on it shares.

README-bsds300.md, beside this file, writes the protocol out.
"""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from imprior.models.baselines.gmm import GMM, GMMConfig
from imprior.train.em import EMConfig, fit

Split = Literal["train", "fit", "validation", "test"]

SIDE = 8
NUM_VALIDATION_IMAGES = 20
LOG_JACOBIAN = -math.log(SIDE * SIDE)  # of `remove_dc`
FOLDERS = {"train": ("train", 200), "test": ("val", 100)}  # BSDS300's test set is BSDS500's val


def data_root() -> Path:
    """The folder of the data sets: `IMPRIOR_DATA`, else ../shared/data beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("IMPRIOR_DATA", default))


def rgb_to_grey(rgb: np.ndarray) -> np.ndarray:
    """Matlab's rgb2gray: round(0.2989 R + 0.5870 G + 0.1140 B), uint8 (H, W, 3) -> (H, W)."""
    grey = rgb.astype(np.float64) @ np.array([0.2989, 0.5870, 0.1140])
    return np.floor(grey + 0.5).astype(np.uint8)


@functools.cache
def images(split: Split) -> tuple[np.ndarray, ...]:
    """The grey images of a split in the order of their names, each uint8 (H, W).

    `fit` and `validation` divide the 200 training images: every tenth one validates.

    Raises:
        ValueError: If the split is unknown, or its folder does not hold the whole split.
    """
    if split not in get_args(Split):
        raise ValueError(f"the splits are {', '.join(get_args(Split))}; got {split!r}")
    if split in ("fit", "validation"):
        every = len(images("train")) // NUM_VALIDATION_IMAGES
        return tuple(
            image
            for index, image in enumerate(images("train"))
            if (index % every == every - 1) == (split == "validation")
        )
    name, count = FOLDERS[split]
    folder = data_root() / "bsds500" / name
    paths = sorted(folder.glob("*.jpg"))
    if len(paths) != count:
        raise ValueError(
            f"{folder} holds {len(paths)} JPEG files, BSDS300 has {count} in its {split} split; "
            "set IMPRIOR_DATA to the folder that contains bsds500"
        )
    return tuple(rgb_to_grey(np.asarray(Image.open(path).convert("RGB"))) for path in paths)


def dequantize(grey: Tensor, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Adds uniform noise of one grey level: integers 0 to 255 -> (g + u) / 256 in [0, 1)."""
    return torch.rand(grey.shape, generator=generator, dtype=dtype).add_(grey).div_(256)


def patches(split: Split, n: int, seed: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draws n noisy 8 x 8 patches, (n, 64), values in [0, 1].

    Each patch takes an image, then a position inside it, both uniformly and with replacement;
    its pixels are in row-major order. The same arguments give the same patches.
    """
    pictures = images(split)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(pictures), (n,), generator=generator)
    u = torch.rand(2, n, generator=generator, dtype=torch.float64)
    grey = torch.empty(n, SIDE, SIDE, dtype=torch.uint8)
    for index, picture in enumerate(pictures):
        mine = (chosen == index).nonzero().flatten()
        height, width = picture.shape
        rows = (u[0, mine] * (height - SIDE + 1)).long().numpy()
        columns = (u[1, mine] * (width - SIDE + 1)).long().numpy()
        windows = np.lib.stride_tricks.sliding_window_view(picture, (SIDE, SIDE))
        grey[mine] = torch.from_numpy(windows[rows, columns])
    return dequantize(grey.view(n, SIDE * SIDE), generator, dtype)


def remove_dc(x: Tensor) -> tuple[Tensor, Tensor, float]:
    r"""Splits patches into 63 differences from the mean, and the mean (the DC component).

    :math:`d_i = x_i - m` for all pixels but the last, :math:`m = \frac{1}{64} \sum_i x_i`. Add the
    row of m to the 63 others: they become unit vectors, so the determinant of the map
    :math:`x \mapsto (d, m)` is the last entry that m keeps, 1/64, and

    .. math:: \log p(x) = \log p(d, m) - \log 64

    Had the DC component been orthogonal, :math:`8 m`, its density and the Jacobian would both
    change by log 8 and the sum would stay.

    Arguments:
        x: Patches, (n, 64).

    Returns:
        The differences (n, 63), the means (n,), and the log-Jacobian -log 64 to add.
    """
    dc = x.mean(1)
    return x[:, :-1] - dc[:, None], dc, LOG_JACOBIAN


@functools.cache
def dc_model(num_patches: int = 500_000, num_components: int = 16) -> GMM:
    """The density of the DC component m of a patch: a 1-D mixture fitted to training patches.

    Its `log_density` takes (n, 1), in float64.
    """
    _, dc, _ = remove_dc(patches("fit", num_patches, seed=11, dtype=torch.float64))
    _, validation, _ = remove_dc(patches("validation", 50_000, seed=12, dtype=torch.float64))
    model = GMM(GMMConfig(1, 1, 1, num_components)).double()
    fit(model, dc[:, None], EMConfig(max_passes=20), validation=validation[:, None])
    return model.requires_grad_(False)


def log_density_64(log_density_63: Tensor, dc: Tensor) -> Tensor:
    """Log density of whole patches, nats: that of the 63 differences, of the DC, the Jacobian.

    Arguments:
        log_density_63: Log density of the differences, (n,).
        dc: The means of the same patches, (n,).
    """
    return log_density_63.double() + dc_model().log_density(dc.double()[:, None]) + LOG_JACOBIAN
