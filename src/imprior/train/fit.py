"""Training of any network by stochastic gradients, with Lightning.

Lightning is imported when a fit begins, because that takes seconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from imprior.data.batches import Draws, ImageFiles
from imprior.data.files import replace_file
from imprior.data.images import Image
from imprior.provenance import commit, versions
from imprior.train import logs as run_logs
from imprior.train.config import FitConfig
from imprior.train.logs import Logs, Point
from imprior.train.progress import Progress
from imprior.train.runs import Run, alone
from imprior.train.trainable import Trainable

if TYPE_CHECKING:
    from imprior.train.callbacks import Watch

DATA = ("data", "data_checksum", "licence")
UNIMPORTANT = ("checkpoint_seconds", "checkpoint_steps")  # they may change on resuming


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves beside the weights.

    Attributes:
        best: The monitored figure of the weights that were kept.
        best_step: The step that they are of.
        curve: A point for each validation.
        provenance: What `imprior.checkpoint.save` takes.
    """

    best: float
    best_step: int
    curve: tuple[Point, ...]
    provenance: dict[str, Any]


def fit(
    model: nn.Module,
    training: ImageFiles | Draws,
    validation: ImageFiles | Draws,
    config: FitConfig,
    folder: str | Path,
    *,
    seed: int = 0,
    resume: bool = True,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    bar: bool = False,
    sampler: Callable[[nn.Module], Sequence[Image]] | None = None,
    logs: Collection[str] = ("csv",),
    accelerator: str = "cpu",
    devices: int | str = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
    num_workers: int = 0,
    channels_last: bool = False,
) -> FitResult:
    """Trains a network and leaves in it the weights that did best on the validation images.

    The folder keeps `state.pt`, from which a run that was interrupted in any way goes on when it
    is started again with the same arguments; on a CPU it ends with the same weights, bit by bit,
    as one that was not. It also keeps `about.json` and the logs, and may be deleted afterwards.

    Arguments:
        model: A network with `loss` and `metrics`; see `imprior.train.trainable.Trainable`. It
            ends on the CPU, in evaluation mode.
        training: What to learn from: the batch of a step depends on `seed` and the step alone.
        validation: What chooses the weights; each image counts once.
        config: How to train.
        folder: Of this run alone; with several nodes, on a disk that they share.
        seed: Of the order of the images.
        resume: Whether to go on from the state in the folder; otherwise it is removed.
        about: The `data`, `data_checksum` and `licence` of the images, for the provenance.
        progress: Told now and then where the training is.
        bar: Whether to show a progress bar.
        sampler: Draws pictures from the network, now and then, for the logs.
        logs: Any of "csv" (`curve.csv`) and "tensorboard".
        accelerator, devices, num_nodes, strategy: Lightning's; the strategy is one that keeps a
            whole network on each device, such as "ddp".
        num_workers: Processes that load images.
        channels_last: Whether to compute with the channels of a pixel side by side in memory,
            which is how convolutions are fastest.

    Raises:
        ValueError: If an argument cannot be used, the folder is not one of this run or another
            process is training in it, or training runs into numbers that are not finite
            (`imprior.train.callbacks.DivergedError`).
        OSError: If the state or the logs cannot be written; those of before are kept.
    """
    from imprior.train.callbacks import Watch
    from imprior.train.learner import Learner
    from imprior.train.trainer import make_trainer, run_trainer

    if not isinstance(model, Trainable):
        raise ValueError(f"{type(model).__name__} cannot be trained: it has no loss and metrics")
    run_logs.check(logs)
    if not len(training) or not len(validation):
        raise ValueError("a fit needs images to train on, and others that choose the weights")
    folder = Path(folder)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    options: dict[str, Any] = {"num_workers": num_workers, "memory_format": layout}
    learner = Learner(model, config, training, seed=seed, **options)
    path, open_logs = folder / "state.pt", partial(Logs, folder, logs)
    watch = Watch(
        config, validation, path, open_logs=open_logs, progress=progress, sampler=sampler
    )  # fmt: skip
    where = {"accelerator": accelerator, "devices": devices, "num_nodes": num_nodes}
    where |= {"strategy": strategy}
    trainer = make_trainer(config, watch, folder, bar=bar, devices=where)
    told = _provenance(config, seed, about)
    settings = _settings(model, training, validation, told)
    with alone(folder) if trainer.is_global_zero else nullcontext():
        Run(folder, settings, resume=resume, writes=trainer.is_global_zero)
        if trainer.is_global_zero:
            replace_file(folder / "about.json", json.dumps(told, indent=2).encode())
        try:
            run_trainer(trainer, learner.to(memory_format=layout).train(), path)
        finally:
            watch.close()
            if watch.best_weights:
                model.load_state_dict(watch.best_weights)
            learner.to(memory_format=torch.contiguous_format).eval()
    return _result(watch, told)


def _settings(
    model: nn.Module,
    training: ImageFiles | Draws,
    validation: ImageFiles | Draws,
    told: Mapping[str, Any],
) -> str:
    """What has to be the same when a run goes on; of the images, how many and the first, too."""
    config = {name: value for name, value in told["training"].items() if name not in UNIMPORTANT}
    images = [
        (len(some), hashlib.sha256(some[0].numpy().tobytes()).hexdigest())
        for some in (training, validation)
    ]
    settings = {"model": repr(model), "config": config, "seed": told["seed"], "images": images}
    return json.dumps(settings | {"data_checksum": told["data_checksum"]})


def _provenance(config: FitConfig, seed: int, about: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where weights come from, before there are any."""
    if unknown := sorted(set(about or {}) - set(DATA)):
        raise ValueError(f"about tells {', '.join(DATA)} of the images, not {', '.join(unknown)}")
    return {
        **dict.fromkeys(DATA),
        **(about or {}),
        "training": dataclasses.asdict(config),
        "seed": seed,
        "commit": commit(),
        "versions": versions() | {"lightning": version("lightning")},
        "figures": {},
    }


def _result(watch: Watch, told: dict[str, Any]) -> FitResult:
    figures = {
        f"validation_{watch.config.monitor}": watch.best,
        "step": watch.best_step,
        "seconds": round(watch.seconds),
    }
    provenance = told | {"figures": figures}
    return FitResult(watch.best, watch.best_step, tuple(watch.curve), provenance)
