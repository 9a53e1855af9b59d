"""How an ascent goes: sizes of its steps, noise that is put back, and when it stops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Stop = Literal["converged", "max_steps", "diverged", "not_finite"]
"""Why an image stopped: the rule was met; steps ran out; the noise grew; a value overflowed."""

TROUBLE: dict[Stop, str] = {
    "max_steps": "steps ran out before the noise was gone",
    "diverged": "the noise grew instead of falling, as with a denoiser that is not trained",
}
"""What is wrong with an image that stopped so, though it is one."""

OVERFLOW = "the denoiser makes noise larger, as one does that is not trained"
"""Why there is no image at all where a state is not finite."""

DIVERGED = 1.5
"""An image whose noise exceeds this multiple of what it began with is given up, as published."""

CHANCE = 4.0  # standard deviations of a measured noise level, which few values do not tell well


@dataclass(frozen=True)
class Schedule:
    r"""How fast the noise falls, how much is put back, and when to stop.

    Step t goes a share :math:`h_t` of the way to the denoised image and shrinks the noise by
    :math:`1 - \beta h_t`. Large steps forget some of the spread of images: if a Gaussian prior has
    the variance :math:`\lambda` in some direction, draws have up to :math:`\lambda h / 2` less,
    with h the step size when the noise was of that order. Growing steps are fast and draw what is
    likelier than it should be; small fixed ones are faithful.

    Attributes:
        h0: First step size, in (0, 1].
        beta: Share of the removed noise that is not put back, in (0, 1]; with 1 none is, and the
            ascent is deterministic after its start.
        sigma0: Standard deviation of the noise to begin with, in units of the images.
        sigma_end: Noise to stop at, :math:`\sigma_L` of the papers, less than `sigma0`.
        max_steps: Images that are not done by then stop where they are.
        steps: "growing", :math:`h_t = h_0 t / (1 + h_0 (t - 1))`, as published, or "fixed".
        rule: "noise" stops when the noise is `sigma_end`. "snr" is the rule of the ICLR 2023 code:
            it stops when the standard deviation of the values of the iterate is 1 / `sigma_end`
            times the noise, so later for images, or wavelet details, of less contrast.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> [round(Schedule(h0=0.5).step_size(t), 3) for t in (1, 2, 3)]
        [0.5, 0.667, 0.75]
    """

    h0: float = 0.01
    beta: float = 0.1
    sigma0: float = 1.0
    sigma_end: float = 0.01
    max_steps: int = 1000
    steps: Literal["growing", "fixed"] = "growing"
    rule: Literal["noise", "snr"] = "noise"

    def __post_init__(self) -> None:
        for name in ("h0", "beta"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], got {getattr(self, name)}")
        if not 0 < self.sigma_end < self.sigma0 < math.inf:
            raise ValueError(
                "the noise falls from sigma0 to sigma_end, so 0 < sigma_end < sigma0, "
                f"got {self.sigma_end} and {self.sigma0}"
            )
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {self.max_steps}")
        if self.steps not in ("growing", "fixed") or self.rule not in ("noise", "snr"):
            raise ValueError(
                "steps are 'growing' or 'fixed' and the rule 'noise' or 'snr', "
                f"got {self.steps!r} and {self.rule!r}"
            )

    def step_size(self, t: int) -> float:
        """:math:`h_t`, t = 1, 2, ..."""
        return self.h0 * t / (1 + self.h0 * (t - 1)) if self.steps == "growing" else self.h0

    def noise_gain(self, t: int) -> float:
        r""":math:`\gamma_t / \sigma_t = \sqrt{(1 - \beta h_t)^2 - (1 - h_t)^2}`."""
        h = self.step_size(t)
        return math.sqrt((1 - self.beta * h) ** 2 - (1 - h) ** 2)

    def stop(self, y: Tensor, sigma: Tensor) -> list[Stop | None]:
        """Why each image (B, ...) whose noise was `sigma` (B,) stops here; None if it goes on."""
        finite = y.flatten(1).isfinite().all(1) & sigma.isfinite()
        noise = sigma if self.rule == "noise" else sigma / y.flatten(1).std(1)
        most = DIVERGED * self.sigma0 * (1 + CHANCE / math.sqrt(2 * y[0].numel()))
        flags = torch.stack([~finite, sigma > most, noise <= self.sigma_end], 1)
        reasons: tuple[Stop, ...] = ("not_finite", "diverged", "converged")
        return [
            next((why for why, flag in zip(reasons, row, strict=True) if flag), None)
            for row in flags.tolist()
        ]
