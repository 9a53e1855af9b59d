"""What the demonstration found, told as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from imprior.report import figures
from imprior.report.page import Block, Fact, Facts, Gallery, Page, Picture, Section
from imprior.report.restoring import Restored, restored_blocks
from imprior.report.tables import Table, comparison, number, seconds, size
from imprior.tasks.evaluate import Evaluation, total

OURS = "this model"
NAMES = {"png": "PNG", "webp": "WebP", "jpegls": "JPEG-LS", "jxl": "JPEG XL"}
SHOWN = 3  # photographs whose surprise maps are shown


@dataclass(frozen=True)
class RoundTrip:
    """One photograph, compressed and restored.

    Attributes:
        name: Of the photograph.
        values: Number of its pixels; a byte each, uncompressed.
        sizes: Bytes under each codec.
        compressed: Bytes of the model's file.
        identical: Whether every pixel came back as it was.
        compress_s, decompress_s: How long it took.
    """

    name: str
    values: int
    sizes: dict[str, int]
    compressed: int
    identical: bool
    compress_s: float
    decompress_s: float


@dataclass(frozen=True)
class Story:
    """What happened.

    Attributes:
        preset: The preset that was trained.
        seed: Of all that was random.
        num_parameters: Of the model.
        num_photographs: That it learned from.
        curve: Bits per pixel on validation pixels while it learned.
        results: The held-out photographs.
        pretrained: Name of a bundled model -> the same photographs under it; may be empty.
        samples: Images drawn from the model, (C, H, W).
        imagined: Name of a bundled model -> an image drawn from it.
        continued: Part of a photograph, then what the model makes of its lower half.
        restored: What denoisers make of the same part.
        trip: One photograph, compressed and restored.
        seconds: What was done -> how long it took.
        versions: What it was done with.
    """

    preset: str
    seed: int
    num_parameters: int
    num_photographs: int
    curve: Sequence[float]
    results: Sequence[Evaluation]
    pretrained: Mapping[str, Sequence[Evaluation]]
    samples: Sequence[Tensor]
    imagined: Mapping[str, Tensor]
    continued: Sequence[Tensor]
    restored: Restored
    trip: RoundTrip
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def page(story: Story) -> Page:
    """The report."""
    everything = _totals(story)
    ours = everything[OURS]
    beaten = [name for name in NAMES.values() if everything.get(name, 0) > ours]
    better = f", less than {_listed(beaten)}" if beaten else ""
    return Page(
        title="A probability model learns from photographs",
        lead=f"In {seconds(story.seconds['training'])} a small model learned from "
        f"{story.num_photographs} photographs how pixels follow from their neighbours. "
        f"Pictures that it never saw take {ours:.2f} bits per pixel with it{better}.",
        sections=[
            Section("Held-out photographs", _held_out(story, everything)),
            Section("Where the bits go", _surprise(story)),
            Section("What the model imagines", _imagined(story)),
            Section("A photograph, compressed and restored", _round_trip(story)),
            Section("Without noise, and larger", restored_blocks(story.restored)),
            Section("How it was made", _making(story)),
        ],
        colophon="imprior demo, preset "
        f"{story.preset}, seed {story.seed}; "
        + ", ".join(f"{name} {version}" for name, version in story.versions.items()),
    )


def _totals(story: Story) -> dict[str, float]:
    """Name of a model or codec -> bits per pixel over all held-out photographs."""
    summary = total([result.record() for result in story.results])
    models = {
        name: total([result.record() for result in results])["bits_per_dim"]
        for name, results in story.pretrained.items()
    }
    codecs = {NAMES[name]: value for name, value in summary["codecs"].items()}
    return {OURS: summary["bits_per_dim"], **models, **codecs}


def _held_out(story: Story, everything: dict[str, float]) -> list[Block]:
    images = {}
    for i, result in enumerate(story.results):
        models = {name: results[i].bits_per_dim for name, results in story.pretrained.items()}
        codecs = {NAMES[name]: value for name, value in result.codecs.items()}
        images[Path(result.path).name] = {OURS: result.bits_per_dim, **models, **codecs}
    order = ", ".join(f"{name} {number(value)}" for name, value in everything.items())
    chart = figures.bars(everything, [OURS, *story.pretrained], label="bits per pixel")
    alt = f"Bars, shortest first, of bits per pixel: {order}."
    caption = "Bits per pixel of grey photographs; the fewest in colour. Codecs are at their "
    caption += "strongest lossless settings and were measured on the same pixels in this run."
    return [
        "The better a model knows photographs, the fewer bits it needs to tell one exactly. An "
        "image of pure noise takes 8 bits per pixel.",
        Picture(chart, alt, "svg+xml"),
        comparison(images, everything, caption),
    ]


def _surprise(story: Story) -> list[Block]:
    shown = story.results[:SHOWN]
    maps = [result.surprise for result in shown if result.surprise is not None]
    limit = max(figures.upper_limit(surprise) for surprise in maps)
    pictures = []
    for result, surprise in zip(shown, maps, strict=True):
        name = Path(result.path).stem
        original = figures.png(figures.to_rgb(result.pixels, result.bits))
        heat = figures.png(figures.heat(surprise, limit))
        words = f"{name}, {number(result.bits_per_dim)} bits per pixel"
        pictures += [
            Picture(original, f"The photograph {name}, in grey.", caption=name),
            Picture(heat, f"Surprise map of {name}: bright where bits are spent.", caption=words),
        ]
    scale = figures.png(figures.heat(torch.linspace(0, limit, 512).expand(14, -1), limit))
    alt = f"Colour scale from black, 0 bits, to light yellow, {limit:.0f} bits and more."
    return [
        "Each pixel is as bright as it was surprising, given the pixels above and to the left. "
        "Edges and texture cost, smooth areas are almost free.",
        Gallery(pictures, columns=2),
        Picture(scale, alt, caption=f"0 bits (dark) to {limit:.0f} bits or more (bright)"),
    ]


def _imagined(story: Story) -> list[Block]:
    bits = story.results[0].bits

    def picture(x: Tensor, alt: str, caption: str = "") -> Picture:
        return Picture(figures.png(figures.to_rgb(x, bits)), alt, caption=caption, pixelated=True)

    drawn = [
        picture(x, f"Sample {i}: an image drawn from the model.")
        for i, x in enumerate(story.samples, 1)
    ]
    original, *others = story.continued
    continued = [picture(original, "Part of a held-out photograph.", "the photograph")]
    for i, x in enumerate(others, 1):
        alt = f"The same part, its lower half drawn by the model: continuation {i}."
        continued.append(picture(x, alt, f"lower half drawn, {i}"))
    pretrained = [
        picture(x, f"An image drawn from {name}.", f"{name}, {x.shape[2]} × {x.shape[1]}")
        for name, x in story.imagined.items()
    ]
    return [
        "Drawn pixel by pixel, each from its distribution given those before. A model that sees "
        "few neighbours knows edges and textures, but no objects.",
        Gallery(drawn, columns=4),
        *_by_pretrained(pretrained),
        "The same with the upper half given: the model goes on from a photograph.",
        Gallery(continued, columns=4),
    ]


def _by_pretrained(pictures: list[Picture]) -> list[Block]:
    if not pictures:
        return []
    return ["The same by models that learned longer, from more.", Gallery(pictures, columns=2)]


def _round_trip(story: Story) -> list[Block]:
    trip = story.trip
    sizes = {"as it is": trip.values, **{NAMES[name]: n for name, n in trip.sizes.items()}}
    sizes["imprior"] = trip.compressed
    rows = [
        [name, size(n), number(8 * n / trip.values), f"{100 * n / trip.values:.1f} %"]
        for name, n in sorted(sizes.items(), key=lambda item: -item[1])
    ]
    header = ["file", "size", "bits per pixel", "of the original"]
    same = "bit for bit" if trip.identical else "NOT the same"
    return [
        Facts(
            [
                Fact(size(trip.compressed), f"{trip.name} as .imp, from {size(trip.values)}"),
                Fact(same, "after restoring, every pixel compared"),
                Fact(seconds(trip.compress_s), "to compress"),
                Fact(seconds(trip.decompress_s), "to restore"),
            ]
        ),
        Table(header, rows, caption=f"{trip.name}, grey, with headers and checksums."),
    ]


def _making(story: Story) -> list[Block]:
    curve = story.curve
    chart = figures.curve(range(len(curve)), curve, x_label="progress", y_label="bits per pixel")
    alt = f"Learning curve: from {curve[0]:.2f} to {curve[-1]:.2f} bits per pixel."
    rows = [[what, seconds(spent)] for what, spent in story.seconds.items()]
    return [
        f"The model has {story.num_parameters:,} parameters and learned from pixels of "
        f"{story.num_photographs} photographs that come with scikit-image. The pictures above "
        "are others.",
        Picture(chart, alt, "svg+xml", caption="Bits per pixel on validation pixels."),
        Table(["what", "time"], [*rows, ["total", seconds(sum(story.seconds.values()))]]),
    ]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
