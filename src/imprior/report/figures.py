"""Pictures: surprise maps, contact sheets, curves and bars; all as bytes of a PNG or SVG file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from imprior.data.files import replace_file
from imprior.tasks.evaluate import Evaluation

RGB = NDArray[np.uint8]

COLOURS = "magma"
# Legible on a white page and on a dark one: a picture cannot know which it will be shown on.
INK, ACCENT, MUTED = "#7a7f87", "#d9643a", "#9aa0a8"
SERIES = (ACCENT, "#3f88b5", "#5f9e57", "#9d74b8", "#c79a2e")


def to_rgb(x: Tensor, bits: int) -> RGB:
    """What an image looks like: its channels as colours where they are, else their mean as grey.

    Arguments:
        x: Integers (C, H, W) in [0, 2^bits).
        bits: Bit depth.

    Returns:
        uint8 (H, W, 3); for 4 channels the first three, for 2 the first.
    """
    channels = x.shape[0]
    shown = {2: x[:1], 3: x, 4: x[:3]}.get(channels, x.double().mean(0, keepdim=True))
    scaled = (shown.double() * (255 / (2**bits - 1))).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy())


def upper_limit(surprise: Tensor) -> float:
    """Where the colours of a surprise map end: what 1 pixel in 200 exceeds, at least 1 bit."""
    values = np.asarray(surprise.cpu(), dtype=np.float64)
    return max(1.0, float(np.ceil(np.quantile(values, 0.995))))


def heat(surprise: Tensor, limit: float) -> RGB:
    """A surprise map in colours: bits per pixel (H, W), 0 to `limit`, to uint8 (H, W, 3)."""
    colours = mpl.colormaps[COLOURS](np.asarray(surprise.cpu(), dtype=np.float64) / limit)
    return np.ascontiguousarray((255 * colours[..., :3]).round().astype(np.uint8))


def signed(values: Tensor, limit: float) -> RGB:
    """Values (H, W) in colours, -`limit` blue and `limit` red, to uint8 (H, W, 3)."""
    scaled = np.asarray(values.cpu(), dtype=np.float64) / (2 * limit) + 0.5
    colours = mpl.colormaps["RdBu_r"](scaled)
    return np.ascontiguousarray((255 * colours[..., :3]).round().astype(np.uint8))


def png(pixels: RGB) -> bytes:
    """The bytes of a PNG file of 8-bit pixels (H, W, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def surprise_map(x: Tensor, bits: int, surprise: Tensor, title: str) -> bytes:
    """A PNG of an image and, with a colour bar, of how many bits each of its pixels takes.

    Arguments:
        x: The image, integers (C, H, W).
        bits: Its bit depth.
        surprise: Bits per pixel, summed over channels, (H, W).
        title: Written above.
    """
    height, width = surprise.shape
    wide = width > 1.6 * height
    figure = Figure(figsize=(11.0, 5.6) if not wide else (9.0, 9.0), dpi=130, layout="constrained")
    left, right = figure.subplots(*((2, 1) if wide else (1, 2)))
    left.imshow(to_rgb(x, bits))
    left.set_title("image", fontsize=10)
    limit = upper_limit(surprise)
    drawn = right.imshow(surprise.cpu().numpy(), cmap=COLOURS, vmin=0, vmax=limit)
    right.set_title(f"surprise, {surprise.double().mean():.3f} bits per pixel", fontsize=10)
    for axes in (left, right):
        axes.set_axis_off()
    figure.colorbar(drawn, ax=right, label="bits per pixel", extend="max", shrink=0.85)
    figure.suptitle(title)
    return _save(figure, "png")


def write_surprise_map(folder: Path, result: Evaluation) -> Path:
    """Writes the surprise map of an evaluated image; sub-folders are as those of the inputs.

    Raises:
        ValueError: If the model does not say where bits are spent.
        OSError: If the file cannot be written.
    """
    if result.surprise is None:
        raise ValueError("only an exact model has surprise maps: others give one figure an image")
    target = folder / f"{result.name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    title = f"{result.name}: {result.bits_per_dim:.3f} bits per value"
    replace_file(target, surprise_map(result.pixels, result.bits, result.surprise, title))
    return target


def curve(steps: Sequence[float], bits: Sequence[float], *, x_label: str, y_label: str) -> bytes:
    """An SVG of a learning curve."""
    figure, axes = _axes(2.7)
    axes.plot(steps, bits, color=ACCENT, linewidth=2)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    return _save(figure, "svg")


def traces(series: Sequence[Sequence[float]], *, x_label: str, y_label: str) -> bytes:
    """An SVG of several runs of one thing, over the number of the value from 0 on."""
    figure, axes = _axes(2.7)
    for values in series:
        marker = "o" if len(values) == 1 else ""
        axes.plot(values, color=ACCENT, linewidth=1.4, alpha=0.75, marker=marker)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    return _save(figure, "svg")


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    reference: str = "",
) -> bytes:
    """An SVG of curves with a legend: name -> abscissas and ordinates.

    Arguments:
        reference: The name of the curve that the others are to be compared with, if there is one.
    """
    figure, axes = _axes(3.2)
    style: dict[str, Any]
    colours = cycle(SERIES)
    for name, (x, y) in series.items():
        style = {"color": INK, "linewidth": 3.0, "alpha": 0.6}
        if name != reference:
            style = {"color": next(colours), "linewidth": 1.6}
        axes.plot(x, y, label=name, marker="o" if len(x) == 1 else "", **style)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    if series:
        axes.legend(frameon=False, labelcolor=INK)
    return _save(figure, "svg")


def bars(values: Mapping[str, float], highlight: Sequence[str], *, label: str) -> bytes:
    """An SVG of horizontal bars, the shortest on top; those named in `highlight` stand out."""
    ordered = sorted(values.items(), key=lambda item: item[1], reverse=True)
    names = [name for name, _ in ordered]
    figure, axes = _axes(0.6 + 0.36 * len(names))
    colours = [ACCENT if name in highlight else MUTED for name in names]
    drawn = axes.barh(names, [value for _, value in ordered], color=colours, height=0.66)
    axes.bar_label(drawn, fmt="%.3f", padding=4, color=INK)
    axes.set_xlabel(label)
    axes.margins(x=0.1)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    return _save(figure, "svg")


def _axes(height: float) -> tuple[Figure, Axes]:
    """An empty diagram without a background, in `INK`."""
    figure = Figure(figsize=(5.8, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
    return figure, axes


def _save(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {}
    figure.savefig(file, format=kind, transparent=kind == "svg", metadata=metadata)
    return file.getvalue()
