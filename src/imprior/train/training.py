"""Training of a preset: from image files to a model folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import ImageModel
from imprior.data import images
from imprior.data.batches import compact
from imprior.data.datasets import checksum
from imprior.data.files import replace_file
from imprior.data.images import Image
from imprior.data.loading import match
from imprior.data.named import Collection
from imprior.models import build
from imprior.provenance import commit, versions
from imprior.train.networks import NetworkTraining
from imprior.train.parts import begin, check, curves, fit_parts
from imprior.train.progress import Progress
from imprior.train.runs import Run, alone
from imprior.train.streamed import ALONE, StreamedImages

if TYPE_CHECKING:
    from imprior.presets import Preset


def read(path: Path, preset: Preset) -> Tensor:
    """The integers that a preset's model sees of an image file, (C, H, W).

    Raises:
        ValueError: If the file cannot be read or does not fit.
    """
    return _taken(images.read(path), preset)


def _taken(image: Image, preset: Preset) -> Tensor:
    config, data = preset.config, preset.data
    options = {"gray": data.gray, "reduce_bits": data.reduce_bits}
    return match(image, config.channels, config.bits, **options).pixels


def train(
    preset: Preset,
    data: Sequence[Path] | Collection,
    out: Path,
    *,
    seed: int = 0,
    resume: bool = True,
    device: str = "cpu",
    start: str | Path | None = None,
    level: str | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    data_name: str | None = None,
    licence: str | None = None,
) -> ImageModel:
    """Trains a preset's model on images and saves it as a model folder.

    Beside the model lie the learning curves of networks, `curve-NAME.csv` for each part, and of a
    RIDE, `curve-1.csv` and so on for each stage.

    Until it is complete, the run's state lies in the folder `OUT.training`. An interrupted run
    that is started again with the same arguments ends with the same weights. With `level`, that
    part alone is trained and no model folder is written; other levels may be trained by other
    processes at the same time. A call without `level` joins them, and trains what is missing.

    Data sets by name and shards, if they are not small, come in a stream, for networks only: what
    is in memory is bounded. The batch of a step is the same whenever it is read, so that their runs
    go on to the same weights too; up to where it was, the pass that was interrupted is read again,
    not decoded. That needs the same version of the `datasets` library, and on the hub the same
    revision. The data checksum of a stream is of what was asked for and of the images held out.

    Arguments:
        preset: Model, training and data settings.
        data: Image files, or what `imprior.data.named.find` makes of the name of a data set; some
            are kept for validation.
        out: The model folder to write.
        seed: Of the drawn pixels and of the start of networks and mixtures.
        resume: Whether to go on from an interrupted run's state; with `level`, from that part's.
        device: Where networks are trained, such as "cuda"; mixtures are on the CPU.
        start: A trained model to go on from: a folder, a bundled name or a hub id.
        level: The name of the part to train, if not all are.
        progress: Called after every few steps.
        data_name, licence: Of the images and of the weights, for the model card.

    Returns:
        The model; with `level` its other parts are untrained.

    Raises:
        ValueError: If there are no images, one cannot be used, a stream breaks off, the state does
            not fit, there is no such level, or another process is training it.
    """
    if not data:
        raise ValueError("no images to train on")
    model = _built(preset.config, seed)
    check(model, preset.training, level)
    started = time.monotonic()
    opened, data_checksum = _opened(data, preset, seed)
    begun = begin(model, preset.training, start)
    # Not the words and figures of the table, which may be mended while a training goes on.
    what = {
        name: dataclasses.asdict(getattr(preset, name)) for name in ("config", "training", "data")
    }
    settings = {"preset": what, "seed": seed, "data": data_checksum}
    if begun is not None:
        settings["start"] = checkpoint.digest(begun)
    run = _begun(out, settings, resume=resume or level is not None)
    how: dict[str, Any] = {"accelerator": "gpu" if device == "cuda" else device, "start": begun}
    how |= {"level": level, "resume": resume or level is None}
    figures = fit_parts(model, opened, preset.training, seed, run, progress, **how)
    if level is not None:
        return model
    provenance = {
        "data": data_name or (data.name if isinstance(data, Collection) else f"{len(data)} images"),
        "data_checksum": data_checksum,
        "licence": licence or getattr(data, "licence", None),
        "training": dataclasses.asdict(preset.training),
        "start": settings.get("start"),
        "seed": seed,
        "commit": commit(),
        "versions": versions(),
        "figures": {"seconds": round(time.monotonic() - started), **figures},
    }
    _finish(model, out, provenance, run)
    return model


def _begun(out: Path, settings: Mapping[str, Any], *, resume: bool) -> Run:
    """The run of these settings, whose state is beside the model folder."""
    folder = Path(f"{out}.training")
    with alone(folder, wait=True):
        return Run(folder, json.dumps(settings, sort_keys=True), resume=resume)


def _opened(
    data: Sequence[Path] | Collection, preset: Preset, seed: int
) -> tuple[Sequence[Callable[[], Tensor]] | StreamedImages, str]:
    """What reads the images that the model sees, and their checksum."""
    if not isinstance(data, Collection):
        return [partial(read, path, preset) for path in data], checksum(data)

    def take(image: Image) -> Tensor:
        return _taken(data.prepared(image), preset)

    if data.small:
        return _read_all(data, take)
    if not isinstance(preset.training, NetworkTraining):
        raise ValueError(
            f"{data.name}: too large for a training that needs all images in memory; give files"
        )
    streamed = StreamedImages(data, take, preset.training.validation_patches, seed=seed)
    return streamed, streamed.checksum


def _read_all(
    data: Collection, take: Callable[[Image], Tensor]
) -> tuple[Sequence[Callable[[], Tensor]], str]:
    """All images of a small collection, and the checksum of their bytes."""
    pixels, total = [], hashlib.sha256()
    for entry in data.open(**ALONE).entries():
        pixels.append(compact(take(entry.read())))
        total.update(entry.digest)
    if not pixels:
        raise ValueError(f"{data.name}: no images to train on")
    return [x.long for x in pixels], total.hexdigest()


def _built(config: Any, seed: int) -> ImageModel:
    """The model of a config; it starts with the same weights in every process."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return build(config)


def _finish(model: ImageModel, out: Path, provenance: Mapping[str, Any], run: Run) -> None:
    """Saves the model, keeps the learning curves beside it and removes the run's folder."""
    checkpoint.save(model, out, provenance)
    for name, path in curves(run.folder).items():
        replace_file(Path(out) / f"curve-{name}.csv", path.read_bytes())
    run.remove()
