"""Training of a preset: from image files to a model folder."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from imprior import checkpoint
from imprior.base import ImageModel, Part
from imprior.data import images
from imprior.data.datasets import checksum
from imprior.data.files import replace_file
from imprior.data.loading import match
from imprior.models import build
from imprior.models.ride.model import RIDE
from imprior.provenance import commit, versions
from imprior.train.progress import Progress
from imprior.train.recurrent import RecurrentTraining, fit_recurrent
from imprior.train.runs import Run
from imprior.train.samples import Source
from imprior.train.shallow import ShallowTraining, fit_model, planes_of, split

if TYPE_CHECKING:
    from imprior.presets import Preset


@dataclass(frozen=True)
class PartTrainings:
    """How a model is trained that is a RIDE and mixtures given what the RIDE models.

    Attributes:
        first: Of the first part: luma, or the low-pass.
        rest: Of all others.
    """

    first: RecurrentTraining
    rest: ShallowTraining


RECURRENT = "recurrent"  # where the stages of a RIDE are in the folder of a run
Training = ShallowTraining | RecurrentTraining | PartTrainings


def read(path: Path, preset: Preset) -> Tensor:
    """The integers that a preset's model sees of an image file, (C, H, W).

    Raises:
        ValueError: If the file cannot be read or does not fit.
    """
    config, data = preset.config, preset.data
    options = {"gray": data.gray, "reduce_bits": data.reduce_bits}
    return match(images.read(path), config.channels, config.bits, **options).pixels


def recurrent_part(part: Part) -> RIDE:
    """The RIDE of a part.

    Raises:
        ValueError: If it is another model.
    """
    if isinstance(part.model, RIDE):
        return part.model
    raise ValueError(f"this training is for RIDE, not {type(part.model).__name__}")


def recurrent_start(model: ImageModel, name: str | Path) -> RIDE:
    """The trained RIDE that the training of a model goes on from.

    Raises:
        ValueError: If one of them is no RIDE, or they differ in more than the number of layers.
    """
    start = checkpoint.load(name)
    if not isinstance(model, RIDE) or not isinstance(start, RIDE):
        kinds = f"{type(model).__name__} from {type(start).__name__}"
        raise ValueError(f"only a RIDE can go on from another RIDE, not {kinds}")
    deep = max(model.config.num_layers, start.config.num_layers)
    configs = (dataclasses.replace(m.config, num_layers=deep) for m in (model, start))
    if len(set(configs)) > 1 or model.config.num_layers < start.config.num_layers:
        raise ValueError(f"{name} has another config than the preset: {start.config}")
    return start


def check(model: ImageModel, training: Training) -> None:
    """Raises ValueError unless a model can be trained in this way."""
    first, *rest = model.parts()
    if isinstance(training, ShallowTraining):
        planes_of([first, *rest])
        return
    recurrent_part(first)
    if rest and isinstance(training, RecurrentTraining):
        raise ValueError(f"{type(model).__name__} has parts that this training does not reach")
    planes_of(rest)


def train(
    preset: Preset,
    files: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    resume: bool = True,
    device: str = "cpu",
    start: str | Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    data_name: str | None = None,
    licence: str | None = None,
) -> ImageModel:
    """Trains a preset's model on image files and saves it as a model folder.

    Beside the model lie the learning curves of a RIDE, `curve-1.csv` and so on, one a stage.

    Until it is complete, the run's state lies in the folder `OUT.training`. An interrupted run
    that is started again with the same arguments ends with the same weights.

    Arguments:
        preset: Model, training and data settings.
        files: Image files; some are kept for validation.
        out: The model folder to write.
        seed: Of the drawn pixels and the start of the mixtures.
        resume: Whether to go on from an interrupted run's state.
        device: Where networks are trained, such as "cuda"; mixtures are on the CPU.
        start: A trained model to go on from: a folder, a bundled name or a hub id.
        progress: Called after every few steps.
        data_name, licence: Of the images and of the weights, for the model card.

    Raises:
        ValueError: If there are no files, one cannot be used, or the state does not fit.
    """
    if not files:
        raise ValueError("no images to train on")
    model = build(preset.config)
    check(model, preset.training)
    started = time.monotonic()
    data_checksum = checksum(files)
    begun = None if start is None else recurrent_start(model, start)
    settings = {"preset": dataclasses.asdict(preset), "seed": seed, "data": data_checksum}
    if begun is not None:
        settings["start"] = checkpoint.digest(begun)
    run = Run(Path(f"{out}.training"), json.dumps(settings, sort_keys=True), resume=resume)
    sources = [Source.of(partial(read, path, preset)) for path in files]
    how = {"accelerator": "gpu" if device == "cuda" else device, "start": begun}
    bits = fit_parts(model, sources, preset.training, seed, run, progress, **how)
    provenance = {
        "data": data_name or f"{len(files)} images",
        "data_checksum": data_checksum,
        "licence": licence,
        "training": dataclasses.asdict(preset.training),
        "start": settings.get("start"),
        "seed": seed,
        "commit": commit(),
        "versions": versions(),
        "figures": {
            "validation_bits_per_value": bits,
            "seconds": round(time.monotonic() - started),
        },
    }
    checkpoint.save(model, out, provenance)
    curves = sorted((run.folder / RECURRENT).glob("stage-*/fit/curve.csv"))
    for number, path in enumerate(curves, 1):
        replace_file(Path(out) / f"curve-{number}.csv", path.read_bytes())
    run.remove()
    return model


def fit_parts(
    model: ImageModel,
    sources: Sequence[Source],
    training: Training,
    seed: int,
    run: Run,
    progress: Callable[[Progress], None],
    **options: Any,
) -> list[float]:
    """Fits all parts of a model, networks with the `options` of `imprior.train.fit.fit`.

    Returns:
        The validation bits per value of each plane of mixtures, and of each network.
    """
    if isinstance(training, ShallowTraining):
        return fit_model(model, sources, training, seed, run, progress)
    first, *rest = model.parts()
    recurrent = training if isinstance(training, RecurrentTraining) else training.first
    figure = _fit_first(first, sources, recurrent, seed, run, progress, options)
    if isinstance(training, RecurrentTraining):
        return [figure]
    return [figure, *fit_model(model, sources, training.rest, seed, run, progress, rest)]


def _fit_first(
    part: Part,
    sources: Sequence[Source],
    training: RecurrentTraining,
    seed: int,
    run: Run,
    progress: Callable[[Progress], None],
    options: dict[str, Any],
) -> float:
    target, parts = recurrent_part(part), split(sources, training.validation_share)
    pixels = [[source.seen_as(part.images).read() for source in some] for some in parts]
    options = {"seed": seed, "progress": progress, **options}
    model, bits = fit_recurrent(
        target.config, (pixels[0], pixels[1]), training, run.folder / RECURRENT, **options
    )
    target.load_state_dict(model.state_dict())
    return bits
