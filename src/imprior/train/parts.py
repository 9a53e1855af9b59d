"""Which training is for which model, and where its parts are in the folder of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from imprior import checkpoint
from imprior.base import ImageModel, Part
from imprior.data.batches import compact
from imprior.models.ride.model import RIDE
from imprior.train.networks import NetworkTraining, fit_networks, networks_of
from imprior.train.progress import BITS, Progress
from imprior.train.recurrent import RecurrentTraining, fit_recurrent
from imprior.train.runs import Run
from imprior.train.samples import Source
from imprior.train.shallow import ShallowTraining, fit_model, planes_of, split
from imprior.train.streamed import Stream, StreamedImages


@dataclass(frozen=True)
class PartTrainings:
    """How a model is trained that is a RIDE and mixtures given what the RIDE models.

    Attributes:
        first: Of the first part: luma, or the low-pass.
        rest: Of all others.
    """

    first: RecurrentTraining
    rest: ShallowTraining


RECURRENT, NETWORKS = "recurrent", "networks"  # sub-folders of a run
RECORDS = "records"  # its file with how many records a pass over a stream has
Training = ShallowTraining | RecurrentTraining | PartTrainings | NetworkTraining


def recurrent_part(part: Part) -> RIDE:
    """The RIDE of a part.

    Raises:
        ValueError: If it is another model.
    """
    if isinstance(part.model, RIDE):
        return part.model
    raise ValueError(f"this training is for RIDE, not {type(part.model).__name__}")


def begin(model: ImageModel, training: Training, name: str | Path | None) -> ImageModel | None:
    """The trained model that a training goes on from; networks have its weights from then on.

    Arguments:
        model: Of the preset, untrained.
        training: How it is to be trained.
        name: A folder, a bundled name or a hub id; None: the training begins afresh.

    Raises:
        ValueError: If they do not fit: a RIDE may have fewer layers than the preset's, networks
            have weights of the same shapes, but may be for other noise, for example; or if there
            has to be one, and is none.
    """
    if name is None:
        if isinstance(training, NetworkTraining) and training.settled:
            raise ValueError(
                "this preset goes on from a trained model, whose normalization it keeps: name one "
                "with --start"
            )
        return None
    start = checkpoint.load(name)
    if not isinstance(training, NetworkTraining):
        return _recurrent_start(model, start, name)
    if type(model) is not type(start):
        kinds = f"{type(model).__name__} from {type(start).__name__}"
        raise ValueError(f"a training goes on from a model of the same kind, not {kinds}")
    shapes = ({key: x.shape for key, x in m.state_dict().items()} for m in (model, start))
    if next(shapes) != next(shapes):
        raise ValueError(f"{name} has another config than the preset: {start.config}")
    model.load_state_dict(start.state_dict())
    return start


def _recurrent_start(model: ImageModel, start: ImageModel, name: str | Path) -> RIDE:
    """The trained RIDE; ValueError if one is none, or they differ in more than their layers."""
    if not isinstance(model, RIDE) or not isinstance(start, RIDE):
        kinds = f"{type(model).__name__} from {type(start).__name__}"
        raise ValueError(f"only networks, and a RIDE from a RIDE, can go on, not {kinds}")
    deep = max(model.config.num_layers, start.config.num_layers)
    configs = (dataclasses.replace(m.config, num_layers=deep) for m in (model, start))
    if len(set(configs)) > 1 or model.config.num_layers < start.config.num_layers:
        raise ValueError(f"{name} has another config than the preset: {start.config}")
    return start


def check(model: ImageModel, training: Training, level: str | None = None) -> None:
    """Raises ValueError unless a model, or one level of it, can be trained in this way."""
    if isinstance(training, NetworkTraining):
        networks_of(model, training, level)
        return
    if level is not None:
        raise ValueError(f"{type(model).__name__} has no levels to train one by one")
    first, *rest = model.parts()
    if isinstance(training, ShallowTraining):
        planes_of([first, *rest])
        return
    recurrent_part(first)
    if rest and isinstance(training, RecurrentTraining):
        raise ValueError(f"{type(model).__name__} has parts that this training does not reach")
    planes_of(rest)


def fit_parts(
    model: ImageModel,
    images: Sequence[Callable[[], Tensor]] | StreamedImages,
    training: Training,
    seed: int,
    run: Run,
    progress: Callable[[Progress], None],
    *,
    start: ImageModel | None = None,
    level: str | None = None,
    resume: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Fits all parts of a model, or of networks the one `level`.

    Arguments:
        images: Each reads an image, int64 (C, H, W); or those of a stream, for networks.
        start: What `begin` returned; networks have its weights already.
        resume: Whether that level goes on from what is in the run's folder.
        options: For networks, of `imprior.train.fit.fit`.

    Returns:
        Figures: on the validation data, the bits per value of each plane of mixtures, and what is
        monitored of each network; of networks also the seconds that their training took, all parts
        of the run together.

    Raises:
        ValueError: If the images come in a stream and are not for networks; see also `check`.
    """
    if isinstance(training, NetworkTraining):
        pair = _images_of(images, training, run)
        options = {"seed": seed, "progress": progress, "level": level, "resume": resume, **options}
        fits = fit_networks(model, pair, training, run.folder / NETWORKS, **options)
        told = [fit.provenance["figures"]["seconds"] for fit in fits.values()]
        best = {name: fit.best for name, fit in fits.items()}
        return {f"validation_{training.fit.metric}": best, "seconds": sum(told)}
    if isinstance(images, StreamedImages):
        raise ValueError(f"{type(model).__name__} is trained on images in memory: give fewer")
    sources = [Source.of(read) for read in images]
    if isinstance(training, ShallowTraining):
        planes = fit_model(model, sources, training, seed, run, progress)
        return {f"validation_{BITS}": planes}
    first, *rest = model.parts()
    recurrent = training if isinstance(training, RecurrentTraining) else training.first
    options = {"seed": seed, "progress": progress, "start": start, **options}
    figures = [_fit_first(first, sources, recurrent, run, options)]
    if isinstance(training, PartTrainings):
        figures += fit_model(model, sources, training.rest, seed, run, progress, rest)
    return {f"validation_{BITS}": figures}


def _images_of(
    images: Sequence[Callable[[], Tensor]] | StreamedImages, training: NetworkTraining, run: Run
) -> tuple[Sequence[Tensor] | Stream, Sequence[Tensor]]:
    """Those that networks are trained on, and those that validate."""
    if isinstance(images, StreamedImages):
        return images.training(run.folder / RECORDS), images.held_out
    some, held_out = split(images, training.validation_share)
    return [compact(read()) for read in some], [compact(read()) for read in held_out]


def _fit_first(
    part: Part,
    sources: Sequence[Source],
    training: RecurrentTraining,
    run: Run,
    options: dict[str, Any],
) -> float:
    target, parts = recurrent_part(part), split(sources, training.validation_share)
    pixels = [[source.seen_as(part.images).read() for source in some] for some in parts]
    model, bits = fit_recurrent(
        target.config, (pixels[0], pixels[1]), training, run.folder / RECURRENT, **options
    )
    target.load_state_dict(model.state_dict())
    return bits


def curves(folder: Path) -> dict[str, Path]:
    """The learning curves in the folder of a run, by stage of a RIDE or name of a network."""
    stages = sorted((folder / RECURRENT).glob("stage-*/fit/curve.csv"))
    numbered = {str(number): path for number, path in enumerate(stages, 1)}
    named = {path.parent.name: path for path in sorted((folder / NETWORKS).glob("*/curve.csv"))}
    return numbered | named
