"""The demonstration: learn from photographs, then show what was learnt on others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
CROP = 112  # side of the part of a photograph that is continued


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
    curve: list[float] = []

    def note(reached: Progress) -> None:
        if math.isfinite(reached.figure):  # nothing has been measured before the first steps
            progress(f"training: {reached.stage}, {reached.figure:.3f} bits per pixel")
            curve.append(reached.figure)

    photographs = [photograph.path for photograph in bundled("train")]
    held_out = [photograph.path for photograph in bundled("test")][: 2 if quick else None]
    with spent("training"):
        chosen, folder = PRESETS[preset], out / "model"
        trained = train(chosen, photographs, folder, seed=seed, resume=False, progress=note)
        model = require(trained, ExactModel, "the demo")
    with spent("evaluating, codecs included"):
        results = _evaluate(model, held_out, AGAINST)
    with spent("evaluating and sampling with the pretrained models"):
        models = _pretrained()
        pretrained = {
            name: _evaluate(other, held_out)
            for name, other in models.items()
            if other.channels == 1
        }
        side = CROP if quick else SIDE
        imagined = {
            name: next(iter(sample(other, (side, side), seed=seed)))
            for name, other in models.items()
        }
    with spent("sampling"):
        samples = list(sample(model, (96, 96), 4, seed=seed))
        continued = _continue(model, results[0].pixels, 3, seed)
    with spent("compressing and restoring"):
        trip = _round_trip(model, results[0], out)
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
        trip=trip,
        seconds=spent.seconds,
        versions=versions(),
    )
    replace_file(out / "index.html", page(story).html().encode())
    return out / "index.html"


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


def _continue(model: ExactModel, pixels: Tensor, num: int, seed: int) -> list[Tensor]:
    """The middle of a photograph; then its upper half, continued by the model `num` times."""
    top, left = ((side - CROP) // 2 for side in pixels.shape[1:])
    x = pixels[:, top : top + CROP, left : left + CROP]
    known = torch.zeros(1, *x.shape[1:], dtype=torch.bool)
    known[:, : CROP // 2] = True
    streams = [stream(seed, index) for index in range(num)]
    return [x, *(draw(model, x[None], known, generator=stream)[0] for stream in streams)]


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
