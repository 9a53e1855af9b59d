"""The least-squares answer: what is lost in a coarse image, as its mean and not as a draw."""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.denoisers import Denoiser, MultiscaleDenoiser
from imprior.inference import tiled
from imprior.inference.memory import enough_memory
from imprior.inference.synthesis import check_scales

# One pair of draws is within 0.06 dB of many, four are within 0.02 dB (published faces, x4).
PAIRS, ROUNDS = 4, 2


@torch.no_grad()
def expect_enlarged(
    model: MultiscaleDenoiser, low: Tensor, count: int, *, generator: torch.Generator
) -> Tensor:
    """Makes an image larger with the expected details of each scale, given the one before.

    Arguments:
        low: Floats (B, C, h, w), in the range of images.
        count: How many scales, at least 1 and at most all.
        generator: Of noise that hardly matters.

    Returns:
        Images of (2^count h, 2^count w), whose low-pass images are `low`.

    Raises:
        ValueError: If the model has fewer scales, or shapes do not fit.
    """
    check_scales(model, count)
    x = low
    for level in reversed(range(count)):
        denoiser = model.given(x, level)
        like = x.new_zeros(len(x), denoiser.channels, *x.shape[2:])
        x = model.join(x, expect(denoiser, like, denoiser.largest_noise, generator=generator))
    return x


def expect(
    denoiser: Denoiser,
    start: Tensor,
    sigma: float,
    *,
    generator: torch.Generator,
    pairs: int = PAIRS,
    rounds: int = ROUNDS,
) -> Tensor:
    r"""The mean of a prior, from denoising what is next to nothing but noise.

    .. math:: m_{i+1} = \frac{1}{2n} \sum_{k=1}^{n}
        \left( \hat x(m_i + \sigma z_k) + \hat x(m_i - \sigma z_k) \right)

    The mean of :math:`\hat x(x + \sigma z)` over images x and noise z is that of the images. Here
    a guess takes the place of x. For a Gaussian prior with the variance :math:`\lambda` in some
    direction a round leaves the share :math:`\lambda / (\lambda + \sigma^2)` of the guess's error
    there, whatever the draws: what is odd in z cancels in each pair.

    Arguments:
        denoiser: Blind to the noise level.
        start: First guess, floats (B, C, H, W).
        sigma: Large beside the spread of images, but known to the denoiser.
        generator: On the CPU; its draws are the same for every device.
        pairs: n, at least 1.
        rounds: How often, at least 1.
    """
    mean = start
    for _ in range(rounds):
        total = torch.zeros_like(mean)
        for _ in range(pairs):
            noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
            noise = sigma * noise.to(mean.device)
            with enough_memory(f"draw images of {' x '.join(map(str, mean.shape[2:]))} at once"):
                total += tiled.denoise(denoiser, mean + noise)
                total += tiled.denoise(denoiser, mean - noise)
        mean = total / (2 * pairs)
    return mean
