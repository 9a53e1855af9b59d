"""What denoisers make of a part of a photograph: without noise, and from a quarter of its sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from imprior import checkpoint
from imprior.base import require
from imprior.data.images import to_float, to_int
from imprior.denoisers import Denoiser, MultiscaleDenoiser
from imprior.report import figures
from imprior.report.page import Block, Gallery, Picture
from imprior.tasks import shrink
from imprior.tasks.denoise import Quality, add_noise, denoise, quality
from imprior.tasks.interpolation import bicubic, nearest
from imprior.tasks.upscale import expected, upscale

DENOISER, ENLARGER = "flat-gray", "local-gray"
SIGMA = 25.0  # of the noise, in grey levels of 8 bits
FACTOR = 4
BITS = 8


@dataclass(frozen=True)
class Restored:
    """A part of a photograph, what was left of it, and what models made of that.

    Attributes:
        clean: The part, int64 (1, H, W).
        denoised: "with noise" and what the denoiser leaves of that.
        enlarged: The part made smaller, shown as large, and enlarged in several ways.
        quality: Name of one of these -> how close it is to the part.
    """

    clean: Tensor
    denoised: Mapping[str, Tensor]
    enlarged: Mapping[str, Tensor]
    quality: Mapping[str, Quality]


def restore(clean: Tensor, seed: int) -> Restored:
    """Takes noise from a part of a photograph, and enlarges what is left of it when made smaller.

    Arguments:
        clean: Grey, int64 (1, H, W), 8 bits, sides multiples of 8.
        seed: Of the noise, and of the detail that is drawn.
    """
    denoised, enlarged = _denoised(clean, seed), _enlarged(clean, seed)
    reference = to_float(clean, BITS)
    everything = {**denoised, **enlarged}
    qualities = {name: quality(reference, to_float(x, BITS)) for name, x in everything.items()}
    return Restored(clean, denoised, enlarged, qualities)


def _denoised(clean: Tensor, seed: int) -> dict[str, Tensor]:
    model = require(checkpoint.load(DENOISER), Denoiser, "denoise")
    noisy = add_noise(to_float(clean, BITS), SIGMA, seed)
    without = denoise(model, noisy)
    return {"with noise": to_int(noisy, BITS), f"by {DENOISER}": to_int(without, BITS)}


def _enlarged(clean: Tensor, seed: int) -> dict[str, Tensor]:
    model = require(checkpoint.load(ENLARGER), MultiscaleDenoiser, "upscale")
    small, at = shrink.shrink(model, clean, BITS, FACTOR), shrink.phase(model, FACTOR)
    [drawn] = upscale(model, small, FACTOR, bits=BITS, seed=seed)
    return {
        "a quarter as high and wide": nearest(small, FACTOR, at),
        "bicubic": to_int(bicubic(to_float(small, BITS), FACTOR, at), BITS),
        f"the mean by {ENLARGER}": expected(model, small, FACTOR, bits=BITS, seed=seed),
        f"drawn by {ENLARGER}": drawn,
    }


def restored_blocks(restored: Restored) -> list[Block]:
    """What a page tells of it."""

    def picture(name: str, x: Tensor, caption: str) -> Picture:
        shown = figures.png(figures.to_rgb(x, BITS))
        return Picture(shown, f"Part of a photograph, {name}.", caption=caption, pixelated=True)

    def all_of(images: Mapping[str, Tensor]) -> list[Picture]:
        captions = {name: f"{name}, {restored.quality[name].psnr:.1f} dB" for name in images}
        return [picture(name, x, captions[name]) for name, x in images.items()]

    original = picture("as it is", restored.clean, "the photograph")
    return [
        "Other models know photographs by what noise does to them. They take it away, of any "
        f"strength, here of {SIGMA:g} grey levels; the more decibel (peak signal-to-noise ratio), "
        "the closer to the photograph.",
        Gallery([original, *all_of(restored.denoised)], columns=3),
        "And they know what a small picture could show if it were larger: what can be expected, "
        "which is smooth where nobody can know, and a sharp one that is drawn, one of many.",
        Gallery(all_of(restored.enlarged), columns=4),
    ]
