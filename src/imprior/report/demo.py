"""The demonstration: learn from photographs, then show what was learnt on others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import ExactModel, LikelihoodModel, require
from imprior.data import images
from imprior.data.datasets import bundled
from imprior.data.files import replace_file
from imprior.data.images import Image
from imprior.inference.walk import draw
from imprior.presets import PRESETS
from imprior.provenance import versions
from imprior.report.restoring import restore
from imprior.report.story import RoundTrip, Story, page
from imprior.tasks import codecs
from imprior.tasks.compress import compress, decompress
from imprior.tasks.evaluate import Evaluation, evaluate
from imprior.tasks.files import Failure
from imprior.tasks.sample import sample, stream
from imprior.train.progress import Progress
from imprior.train.training import train

QUICK, FULL = "mcgsm-gray-tiny", "mcgsm-gray-demo"
SIDE = 256  # of the samples of pretrained models
AGAINST = ("png", "webp", "jpegls", "jxl")
CROP = 112  # side of the part of a photograph that is continued and restored


def demo(
    out: Path,
    *,
    quick: bool = False,
    seed: int = 0,
    progress: Callable[[str], object] = lambda _: None,
) -> Path:
    """Trains a small model on the bundled photographs and writes a report on how it does.

    Arguments:
        out: The folder to write: `index.html`, and the model and files that it speaks of.
        quick: A smaller model, and fewer photographs to show it on.
        seed: Of all that is random.
        progress: Called with a few words whenever something has been reached.

    Returns:
        The page.
    """
    out.mkdir(parents=True, exist_ok=True)
    preset = QUICK if quick else FULL
    spent = Stopwatch(progress)
    photographs = [photograph.path for photograph in bundled("train")]
    held_out = [photograph.path for photograph in bundled("test")][: 2 if quick else None]
    with spent("training"):
        model, curve = _learn(preset, photographs, out / "model", seed, progress)
    with spent("evaluating, codecs included"):
        results = _evaluate(model, held_out, AGAINST)
    with spent("evaluating and sampling with the pretrained models"):
        pretrained, imagined = _by_pretrained(held_out, CROP if quick else SIDE, seed)
    part = _middle(results[0].pixels)
    with spent("sampling"):
        samples = list(sample(model, (96, 96), 4, seed=seed))
        continued = _continue(model, part, 3, seed)
    with spent("compressing and restoring"):
        trip = _round_trip(model, results[0], out)
    with spent("denoising and enlarging"):
        restored = restore(part, seed)
    story = Story(
        preset=preset,
        seed=seed,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        num_photographs=len(photographs),
        curve=curve,
        results=results,
        pretrained=pretrained,
        samples=samples,
        imagined=imagined,
        continued=continued,
        restored=restored,
        trip=trip,
        seconds=spent.seconds,
        versions=versions(),
    )
    replace_file(out / "index.html", page(story).html().encode())
    return out / "index.html"


def _learn(
    preset: str,
    photographs: Sequence[Path],
    folder: Path,
    seed: int,
    progress: Callable[[str], object],
) -> tuple[ExactModel, list[float]]:
    """A model trained from scratch, and bits per pixel while it learned."""
    curve: list[float] = []

    def note(reached: Progress) -> None:
        if math.isfinite(reached.figure):  # nothing has been measured before the first steps
            progress(f"training: {reached.stage}, {reached.figure:.3f} bits per pixel")
            curve.append(reached.figure)

    how: dict[str, Any] = {"seed": seed, "resume": False, "progress": note}
    trained = train(PRESETS[preset], photographs, folder, **how)
    return require(trained, ExactModel, "the demo"), curve


class Stopwatch:
    """Says what begins and notes how long it took."""

    def __init__(self, progress: Callable[[str], object]) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self.progress(what)
        started = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - started


def _evaluate(
    model: LikelihoodModel, files: Sequence[Path], against: Sequence[str] = ()
) -> list[Evaluation]:
    results = []
    for result in evaluate(model, files, gray=True, against=against):
        if isinstance(result, Failure):
            raise ValueError(result.reason)
        results.append(result)
    return results


def _pretrained() -> dict[str, ExactModel]:
    """The bundled models of 8-bit images, grey or in colour."""
    models = ((name, checkpoint.load(name)) for name in checkpoint.bundled())
    return {
        name: model
        for name, model in models
        if isinstance(model, ExactModel) and model.channels in (1, 3) and model.bits == 8
    }


def _by_pretrained(
    held_out: Sequence[Path], side: int, seed: int
) -> tuple[dict[str, list[Evaluation]], dict[str, Tensor]]:
    """Name of a bundled model -> photographs under it, if it is of grey ones; an image by it."""
    models = _pretrained()
    gray = {name: model for name, model in models.items() if model.channels == 1}
    results = {name: _evaluate(model, held_out) for name, model in gray.items()}
    drawn = {
        name: next(iter(sample(model, (side, side), seed=seed))) for name, model in models.items()
    }
    return results, drawn


def _middle(pixels: Tensor) -> Tensor:
    top, left = ((side - CROP) // 2 for side in pixels.shape[1:])
    return pixels[:, top : top + CROP, left : left + CROP]


def _continue(model: ExactModel, part: Tensor, num: int, seed: int) -> list[Tensor]:
    """A part of a photograph; then its upper half, continued by the model `num` times."""
    known = torch.zeros(1, *part.shape[1:], dtype=torch.bool)
    known[:, : CROP // 2] = True
    streams = [stream(seed, index) for index in range(num)]
    return [part, *(draw(model, part[None], known, generator=one)[0] for one in streams)]


def _round_trip(model: ExactModel, result: Evaluation, out: Path) -> RoundTrip:
    image = Image(result.pixels, result.bits)
    name = Path(result.path).stem
    started = time.perf_counter()
    data = compress(model, image)
    compressed = time.perf_counter()
    restored = decompress(model, data)
    finished = time.perf_counter()
    replace_file(out / f"{name}.imp", data)
    images.write(out / f"{name}.png", restored)
    files = {codec: codecs.encode(codec, result.pixels, result.bits) for codec in AGAINST}
    return RoundTrip(
        name=Path(result.path).name,
        values=result.pixels.numel(),
        sizes={codec: len(file) for codec, file in files.items() if file is not None},
        compressed=len(data),
        identical=torch.equal(restored.pixels, result.pixels),
        compress_s=compressed - started,
        decompress_s=finished - compressed,
    )
