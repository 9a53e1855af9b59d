"""What the training of a denoiser makes small, and what tells how good it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from imprior.models.local.config import NoiseConfig

LEVELS = 4  # of noise, that metrics are a mean over
LEAST = 1e-3  # of the largest level: errors of lower ones weigh no more than its own
FLOOR = 1e-12  # under the logarithm of a squared error

Predict = Callable[[Tensor], Tensor]


def loss(predict: Predict, clean: Tensor, fixed: Tensor | None, config: NoiseConfig) -> Tensor:
    """Mean squared error, weighted, of the noise that is predicted for noise that is drawn.

    Arguments:
        predict: From noisy images to their noise; it sees `fixed` in front of them, if given.
        clean: Images or details, floats (B, C, H, W).
        fixed: What has no noise, or less, (B, ., H, W).
        config: How noise is drawn, from torch's global generator.
    """
    each = (len(clean), 1, 1, 1)
    if config.rescale:
        brightness = torch.rand(each, device=clean.device)
        clean, fixed = clean * brightness, None if fixed is None else fixed * brightness
    sigma = config.sigma * torch.rand(each, device=clean.device) ** config.power
    noise = sigma * torch.randn_like(clean)
    if fixed is not None and config.given:
        level = config.given * sigma * torch.rand(each, device=clean.device)
        fixed = fixed + level * torch.randn_like(fixed)
    errors = (predict(_behind(fixed, clean + noise)) - noise).square()
    return (errors * sigma.clamp(min=LEAST * config.sigma) ** -config.weight).mean()


def metrics(
    predict: Predict, clean: Tensor, fixed: Tensor | None, config: NoiseConfig
) -> dict[str, Tensor]:
    """Errors at equally probable levels of noise, the same noise whenever it is called.

    Arguments:
        predict, clean, fixed, config: As in `loss`; images are not darkened.

    Returns:
        `mse`, and `error_db`, which is the mean of 10 log10 of each image's squared error at each
        level: the peak signal-to-noise ratio with the other sign.
    """
    generator = torch.Generator().manual_seed(0)
    unit = torch.randn(clean.shape, generator=generator).to(clean)
    levels = [config.sigma * ((k + 0.5) / LEVELS) ** config.power for k in range(LEVELS)]
    errors = torch.stack(
        [
            (predict(_behind(fixed, clean + sigma * unit)) - sigma * unit).square().mean((1, 2, 3))
            for sigma in levels
        ]
    )
    decibel = 10 * errors.clamp(min=FLOOR).log10()
    return {"mse": errors.mean(), "error_db": decibel.mean()}


def _behind(fixed: Tensor | None, noisy: Tensor) -> Tensor:
    return noisy if fixed is None else torch.cat([fixed, noisy], 1)
