"""Images without their noise, and how close to the clean ones that comes."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from skimage.metrics import mean_squared_error, structural_similarity
from torch import Tensor

from imprior.data.loading import inverse, stream_of, symmetry
from imprior.denoisers import Denoiser
from imprior.inference import tiled
from imprior.inference.symmetry import SYMMETRIES
from imprior.inference.tiled import TILE

MAX_SIGMA = 255.0
"""Noise is given in grey levels of 8 bits, whatever the depth of an image: 255 is its range."""

BAND = 256  # rows that are compared at a time, so that memory does not grow with the image
REACH = 5  # pixels around one that its structural similarity depends on


def denoise(
    model: Denoiser,
    y: Tensor,
    *,
    tile: int = TILE,
    ensemble: bool = False,
    progress: Callable[[float], object] = lambda _: None,
) -> Tensor:
    """Removes noise of unknown level from an image, all channels at once if the model is for them.

    A model of one channel denoises each channel by itself.

    Arguments:
        model: On any device.
        y: Floats (C, H, W), black 0 and white 1; beyond is allowed.
        tile, progress: As in `inference.tiled.denoise`.
        ensemble: Whether to take the mean of what is made of all 8 mirrored, turned and transposed
            views of the image, each turned back: closer, in 8 times the time (Timofte, Rothe &
            Van Gool 2016).

    Returns:
        The same shape and type, not clipped.

    Raises:
        ValueError: If the model is for another number of channels, or `y` is not finite, or so
            large that values overflow.
        MemoryError: If there is no memory for the smallest tile.
    """
    if not ensemble:
        return _checked(_estimate(model, y, tile, progress), y)
    result = torch.zeros_like(y)
    for number in SYMMETRIES:

        def tell(share: float, done: int = number) -> None:
            progress((done + share) / len(SYMMETRIES))

        found = _estimate(model, symmetry(y, number), tile, tell)
        result += symmetry(found, inverse(number))
    return _checked(result.div_(len(SYMMETRIES)), y)


def _estimate(model: Denoiser, y: Tensor, tile: int, progress: Callable[[float], object]) -> Tensor:
    """What a model makes of one view of an image, all channels at once or each by itself."""
    if not takes_each_channel(model, len(y)):
        return tiled.denoise(model, y[None], tile, progress)[0]
    result = torch.empty_like(y)
    for number, channel in enumerate(y):

        def tell(share: float, done: int = number) -> None:
            progress((done + share) / len(y))

        result[number] = tiled.denoise(model, channel[None, None], tile, tell)[0, 0]
    return result


def _checked(x: Tensor, y: Tensor) -> Tensor:
    """What became of y, if it is finite; else raises ValueError."""
    if all(bool(band.isfinite().all()) for band in x.split(BAND, 1)):
        return x
    least, most = y.aminmax()
    raise ValueError(
        "values overflow in the model: black is 0 and white 1, the image goes from "
        f"{least:.3g} to {most:.3g}; are these marks of missing pixels?"
    )


def takes_each_channel(model: Denoiser, channels: int) -> bool:
    """Whether a model denoises an image's channels one by one, instead of all at once.

    Raises:
        ValueError: If it can do neither.
    """
    if model.channels not in (1, channels):
        raise ValueError(
            f"the image has {channels} colour channel{'s' * (channels > 1)}, the model is for "
            f"{model.channels}: choose a model of grey images, which takes channel by channel"
        )
    return model.channels != channels


def add_noise(x: Tensor, sigma: float, seed: int) -> Tensor:
    r"""White Gaussian noise added to an image, :math:`x + \sigma / 255 \, n`, not clipped.

    Arguments:
        x: Floats (C, H, W).
        sigma: Standard deviation in grey levels of 8 bits, above 0 and at most 255.
        seed: At least 0. With it, n depends on the values of the image alone, not on `sigma`.

    Raises:
        ValueError: If `sigma` or `seed` is out of range.
    """
    check_noise(sigma, seed)
    # Not the same n for all images, or a mean over many would not be over its chances.
    image = zlib.crc32(x.cpu().contiguous().numpy().data)
    noise = torch.randn(x.shape, generator=stream_of(seed, image), dtype=x.dtype)
    return noise.mul_(sigma / MAX_SIGMA).add_(x)


def check_noise(sigma: float, seed: int) -> None:
    """Raises ValueError unless these are a level of noise and a seed of it."""
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if not 0 < sigma <= MAX_SIGMA:
        raise ValueError(
            f"sigma is in grey levels of 8 bits, above 0 and at most 255; got {sigma:g}"
        )


@dataclass(frozen=True)
class Quality:
    """How close an image is to the clean one.

    Attributes:
        psnr: Peak signal-to-noise ratio in decibel for a range of 1, infinite for equal images.
        ssim: Structural similarity for a range of 1, the mean over channels; None for images with
            a side below 11 pixels, for which it is not defined.
    """

    psnr: float
    ssim: float | None


def mean_quality(found: Sequence[Quality]) -> Quality:
    """The means over images; of similarities over those that have one."""
    similarities = [each.ssim for each in found if each.ssim is not None]
    ssim = sum(similarities) / len(similarities) if similarities else None
    return Quality(sum(each.psnr for each in found) / len(found), ssim)


def quality(clean: Tensor, x: Tensor) -> Quality:
    r"""Compares an image with the clean one.

    .. math:: \mathrm{PSNR} = -10 \log_{10} \operatorname{mean} (x - \text{clean})^2

    scikit-image's functions with `data_range=1`, and for the structural similarity a Gaussian
    window of 1.5 pixels and population covariances, as in its paper; values are neither rounded
    nor clipped.

    Arguments:
        clean, x: Floats (C, H, W).

    Source: Wang, Bovik, Sheikh & Simoncelli (2004).
    """
    _, height, width = clean.shape
    has_windows = min(height, width) > 2 * REACH
    squared, similarity = 0.0, 0.0
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        error = mean_squared_error(_rows(clean, top, bottom), _rows(x, top, bottom))
        squared += float(error) * (bottom - top) / height
    inner = height - 2 * REACH  # rows whose windows lie in the image; of these is the mean
    for top in range(0, inner, BAND) if has_windows else ():
        bottom = min(top + BAND, inner)
        rows = (top, bottom + 2 * REACH)
        similarity += _ssim(_rows(clean, *rows), _rows(x, *rows)) * (bottom - top) / inner
    psnr = -10 * math.log10(squared) if squared > 0 else math.inf
    return Quality(psnr, similarity if has_windows else None)


def _rows(x: Tensor, top: int, bottom: int) -> np.ndarray:
    return x[:, top:bottom].double().cpu().numpy()


def _ssim(clean: np.ndarray, x: np.ndarray) -> float:
    return float(
        structural_similarity(
            clean, x, data_range=1.0, channel_axis=0,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
    )  # fmt: skip
