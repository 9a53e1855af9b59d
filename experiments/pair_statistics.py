"""The paired pyramid's claim: the fine part is simpler than the image that it is told relative to.

    IMPRIOR_DATA=DIR python -m experiments.pair_statistics

Mahajan & Roth (2021), Sec. 3, expect of the fine parts F less entropy than of the coarse images I,
and less correlation between pixels, so that each split is easier to model than an image of its
size. Here both are measured, on photographs that nothing is trained on:

- bsds500/test (200 photographs, 481 x 321, JPEG) and imagenet128/test (88, reduced to 128 x 128),
  RGB; with 8 bits and with their highest 5 bits.
- `transforms.pairs`: rows and columns are split in turn, split 0 is that of the whole image. F and
  I of a split have the same height and width, but for an unpaired line of I. F is
  centred: a zero difference is 2^(bits - 1).
- Entropy: of the histogram of all values of a split, all images and channels in one; bits.
- Correlation: of all pairs of neighbours in a channel, all images in one; the mean of neighbours
  side by side and one above the other.
"""

from __future__ import annotations

import io
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jsonargparse import auto_cli
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from experiments.bsds300 import data_root
from experiments.records import Record, append
from imprior.data.datasets import find_images
from imprior.data.files import replace_file
from imprior.data.images import read
from imprior.report.figures import ACCENT, INK, to_rgb
from imprior.transforms import pairs

RESULTS = Path(__file__).parent / "results" / "pair_statistics.json"
SETS, BITS, SPLITS = ("bsds500/test", "imagenet128/test"), (8, 5), 8
KINDS = {"I": "coarse image I", "F": "fine part F"}
PROTOCOL = "docstring of experiments/pair_statistics.py; split {split}, {count} photographs"


@dataclass
class Statistics:
    """Sums over values and over pairs of neighbours, from which entropy and correlation follow.

    Attributes:
        bits: Depth of the values.
        histogram: How often each value occurs.
        moments: For neighbours (x, y) below and beside each other: number of pairs, and sums of
            x, y, x^2, y^2 and x y; float64 (2, 6), exact below 2^53.
    """

    bits: int
    histogram: Tensor = field(init=False)
    moments: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.histogram = torch.zeros(2**self.bits, dtype=torch.int64)
        self.moments = torch.zeros(2, 6, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Takes account of values, int64 (..., H, W)."""
        self.histogram += torch.bincount(values.flatten(), minlength=2**self.bits)
        floats = values.double()
        for row, axis in enumerate((-2, -1)):
            last = floats.shape[axis] - 1
            x, y = floats.narrow(axis, 0, last), floats.narrow(axis, 1, last)
            sums = [float((a * b).sum()) for a, b in ((x, x), (y, y), (x, y))]
            of_one = [float(x.numel()), float(x.sum()), float(y.sum())]
            self.moments[row] += torch.tensor([*of_one, *sums], dtype=torch.float64)

    @property
    def entropy(self) -> float:
        """Of the histogram, bits."""
        shares = self.histogram[self.histogram > 0].double() / self.histogram.sum()
        return float(-(shares * shares.log2()).sum())

    @property
    def correlation(self) -> float:
        """Of neighbours, the mean of both directions."""
        num, x, y, xx, yy, xy = self.moments.unbind(1)
        covariance = num * xy - x * y
        variances = (num * xx - x * x) * (num * yy - y * y)
        return float((covariance / variances.sqrt()).mean())


Key = tuple[int, str]
"""A split and a kind, "I" or "F"."""


def measure(photographs: list[Tensor], bits: int) -> dict[Key, Statistics]:
    """The statistics of all splits of photographs, int64 (3, H, W), 8 bits, that get `bits`."""
    found: dict[Key, Statistics] = defaultdict(lambda: Statistics(bits))
    for pixels in photographs:
        coarse = (pixels >> (8 - bits))[None]
        height, width = coarse.shape[2:]
        for split, axis in enumerate(pairs.axes(height, width, 1, SPLITS)):
            coarse, fine = pairs.split(coarse, axis)
            found[split, "I"].add(coarse)
            found[split, "F"].add(pairs.difference(fine, coarse, axis, bits))
    return dict(found)


def draw(photograph: Tensor, found: dict[str, dict[Key, Statistics]]) -> bytes:
    """A PNG: a coarse image and its fine part, and the curves of every set and depth."""
    figure = Figure(figsize=(12.0, 5.6), dpi=130, layout="constrained")
    axes = figure.subplots(2, 1 + len(found))
    coarse, fine = pairs.split(photograph[None], pairs.ROWS)
    shown = {"I": coarse, "F": pairs.difference(fine, coarse, pairs.ROWS, 8)}
    for axis, (kind, x) in zip(axes[:, 0], shown.items(), strict=True):
        axis.imshow(
            to_rgb(x[0], 8), aspect=2, interpolation="nearest"
        )  # half the rows, at their places
        axis.set_title(f"{KINDS[kind]}, split 0, 8 bits", fontsize=9)
        axis.set_axis_off()
    for column, (name, statistics) in enumerate(found.items(), 1):
        upper, lower = axes[:, column]
        _curves(upper, statistics, "entropy", "entropy, bits" if column == 1 else "")
        _curves(lower, statistics, "correlation", "correlation" if column == 1 else "")
        upper.set_title(name, fontsize=9)
        lower.set_xlabel("split (0: the finest)")
        upper.set_ylim(0, 1.05 * next(iter(statistics.values())).bits)
        lower.set_ylim(-0.1, 1.05)
    axes[0, 1].legend(frameon=False, fontsize=8, loc="lower left")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _curves(axes: Axes, found: dict[Key, Statistics], what: str, label: str) -> None:
    for kind, colour in (("I", INK), ("F", ACCENT)):
        splits = [split for split, each in found if each == kind]
        values = [getattr(found[split, kind], what) for split in splits]
        axes.plot(splits, values, color=colour, linewidth=2, marker="o", label=KINDS[kind])
    axes.set_ylabel(label)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def records(name: str, found: dict[Key, Statistics], count: int, seconds: float) -> list[Record]:
    """The figures of a set at one depth, two of each split and kind."""
    rows = []
    for (split, kind), each in found.items():
        protocol = PROTOCOL.format(split=split, count=count)
        for what, unit in (("entropy", "bit"), ("correlation", "1")):
            label = f"{name.replace('/', '-')}/{each.bits}bit-split-{split}/{what}-{kind}"
            value = round(getattr(each, what), 4)
            rows.append(Record(label, value, unit, protocol, round(seconds, 1)))
    return rows


def main(threads: int = 1) -> None:
    """Measures, records and draws all sets and depths.

    Arguments:
        threads: Threads of PyTorch.
    """
    torch.set_num_threads(threads)
    rows: list[Record] = []
    found: dict[str, dict[Key, Statistics]] = {}
    photographs: list[Tensor] = []
    for name in SETS:
        photographs = [read(path).pixels for path in find_images([data_root() / name])]
        for bits in BITS:
            began = time.perf_counter()
            statistics = measure(photographs, bits)
            found[f"{name}, {bits} bits"] = statistics
            spent = time.perf_counter() - began
            rows += records(name, statistics, len(photographs), spent)
    for row in rows:
        print(row)
    append(RESULTS, rows)
    replace_file(RESULTS.with_suffix(".png"), draw(photographs[0], found))


if __name__ == "__main__":
    auto_cli(main)
