"""How close what was filled in comes to what is there, where the image is intact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from scipy.interpolate import griddata
from scipy.spatial import QhullError
from skimage.metrics import structural_similarity
from torch import Tensor

from imprior.data.images import to_float
from imprior.tasks.denoise import REACH, Quality
from imprior.tasks.filling import Attempt
from imprior.tasks.holes import around
from imprior.tasks.inpaint import MARGIN
from imprior.tasks.inpaint_files import Inpainted, average


@dataclass(frozen=True, eq=False)
class Comparison:
    """How close fillings come to the image, by the pixels of the hole.

    Attributes:
        fillings: In their order.
        mean: Of several, that of their mean.
        usual: Likewise "linear", interpolation between known pixels, and "nearest", the nearest
            known pixel: they know nothing of images.
        images: What these two make of the part around the hole, int64 (C, h, w).
    """

    fillings: Sequence[Quality]
    mean: Quality | None
    usual: Mapping[str, Quality]
    images: Mapping[str, Tensor]

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "fillings": [asdict(each) for each in self.fillings],
            "mean": None if self.mean is None else asdict(self.mean),
            **{name: asdict(each) for name, each in self.usual.items()},
        }


def compare(result: Inpainted[Any]) -> Comparison:
    """Compares fillings with what the image has in its hole; opacity does not count.

    All images are compared as files hold them, rounded.
    """
    region = around(result.hole, MARGIN)
    colours = len(result.image.pixels) - result.image.alpha
    clean, hole = result.image.pixels[:colours, *region], result.hole[region]
    fillings: Sequence[Attempt] = result.fillings

    def of(x: Tensor) -> Quality:
        return quality_within(hole, clean, x[:colours], result.image.bits)

    images = {name: interpolate(clean, hole, name) for name in ("linear", "nearest")}
    return Comparison(
        fillings=[of(done.x) for done in fillings],
        mean=of(average(fillings)) if len(fillings) > 1 else None,
        usual={name: of(x) for name, x in images.items()},
        images=images,
    )


def quality_within(hole: Tensor, clean: Tensor, x: Tensor, bits: int) -> Quality:
    """PSNR and structural similarity over the pixels of a hole; see `Quality`.

    The similarity of a pixel is that of the window around it, which may reach beyond the hole. The
    mean is over pixels whose windows lie in the image.

    Arguments:
        hole: bool (H, W).
        clean, x: Integers (C, H, W).
        bits: Their depth.
    """
    ours, theirs = (to_float(each, bits, torch.float64) for each in (x, clean))
    squared = float((ours - theirs)[:, hole].square().mean())
    psnr = -10 * math.log10(squared) if squared > 0 else math.inf
    counted = torch.zeros_like(hole)
    inner = slice(REACH, -REACH)
    counted[inner, inner] = hole[inner, inner]
    if min(hole.shape) <= 2 * REACH or not counted.any():
        return Quality(psnr, None)
    _, similarity = structural_similarity(
        theirs.numpy(), ours.numpy(), data_range=1.0, channel_axis=0, full=True,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    return Quality(psnr, float(torch.from_numpy(similarity)[:, counted].mean()))


def interpolate(x: Tensor, hole: Tensor, how: str) -> Tensor:
    """Fills a hole by interpolating between known pixels.

    Arguments:
        x: int64 (C, H, W); what is in the hole is not looked at.
        hole: bool (H, W).
        how: "linear", between the corners of triangles (Delaunay), beyond which there is only the
            nearest pixel; or "nearest".
    """
    at = (~hole).nonzero().numpy(), hole.nonzero().numpy()
    known = x[:, ~hole].T.double().numpy()
    values = torch.from_numpy(griddata(at[0], known, at[1], "nearest"))
    if how == "linear":
        try:
            between = torch.from_numpy(griddata(at[0], known, at[1], "linear"))
        except QhullError:  # all known pixels are on one line: there are no triangles
            between = values
        values = torch.where(between.isnan(), values, between)
    result = x.clone()
    result[:, hole] = values.T.round().long()
    return result
