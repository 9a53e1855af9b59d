"""Inpainting from file to files: several fillings, kept up while they run, resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import ImageModel
from imprior.data.images import Image, write
from imprior.tasks.filling import A, Attempt, Method, Stage
from imprior.tasks.inpaint import filled
from imprior.tasks.unfinished import Unfinished

KEPT_SUFFIXES = (".tif", ".tiff", ".npy")  # other inputs become PNG, which keeps as much

PAGE, DEVIATION = "index.html", "deviation.png"
"""Files that the report writes beside the fillings."""


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        sample, num: The filling under way, from 0, and how many there will be.
        stage: How far it is.
    """

    sample: int
    num: int
    stage: Stage


@dataclass(frozen=True, eq=False)
class Inpainted(Generic[A]):
    """What became of an image with a hole.

    Attributes:
        image: The image as the model saw it; what is in the hole was not looked at.
        hole: bool (H, W).
        filling: How the hole was filled.
        seed: Of all that was random.
        fillings: One or more.
        files: Their images, in the same order.
        best: The file of the most probable state that any filling passed through, if the model
            tells probabilities.
        mean: If it does not, the file of the mean of several fillings.
        notes: What to know about them, in sentences.
    """

    image: Image
    hole: Tensor
    filling: Method[A]
    seed: int
    fillings: Sequence[A]
    files: Sequence[Path]
    best: Path | None
    mean: Path | None
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "image": self.image.path,
            "missing_pixels": int(self.hole.sum()),
            "filling": self.filling.record(),
            "seed": self.seed,
            "best": None if self.best is None else str(self.best),
            "mean": None if self.mean is None else str(self.mean),
            "fillings": [
                {"path": str(path), **done.record()}
                for path, done in zip(self.files, self.fillings, strict=True)
            ],
            "notes": list(self.notes),
        }


def inpaint_files(
    model: ImageModel,
    image: Image,
    hole: Tensor,
    out: Path,
    filling: Method[A],
    *,
    num: int = 1,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Inpainted[A]:
    """Fills a hole several times and writes each image, and the most probable state of all.

    Where the model tells no probabilities, the mean of several fillings is written instead. What
    is worth keeping is saved every few seconds. The same call goes on from there.

    Arguments:
        model, image, hole, seed: As `Method.attempts` takes them.
        filling: How.
        out: The folder to write, made if it is missing.
        num: How many fillings.
        overwrite: Whether to replace outputs that are there.
        progress: Called after each epoch, or step of an ascent.

    Raises:
        ValueError: If an argument is wrong, or outputs are there already.
        KeyboardInterrupt: If it is interrupted; says what there is so far.
    """
    if num < 1:
        raise ValueError(f"the number of fillings must be at least 1, got {num}")
    suffix = _suffix(image)
    files = [out / f"{index:03d}{suffix}" for index in range(num)]
    best, mean = out / f"best{suffix}", out / f"mean{suffix}"
    fingerprint = _fingerprint(model, image, hole, filling, seed)
    store = Unfinished(out, filling.attempt, fingerprint, overwrite=overwrite)
    if not overwrite and not store.goes_on:
        _refuse_existing(out, [*files, best, mean, out / PAGE, out / DEVIATION])
    begin = partial(filling.attempts, model, image, hole, seed=seed)
    try:
        for index, file in enumerate(files):
            if index >= len(store.done):
                tell = partial(_tell, progress, index, num)
                for state in begin(index=index, going_on=store.current, tell=tell):
                    store.keep(state)
                store.finish()
            write(file, filled(image, hole, store.done[index].x))
            _write_best(best, image, hole, store.best)
    except KeyboardInterrupt:
        if not store.save():
            raise
        is_there = _write_best(best, image, hole, store.best)
        done = f"{len(store.done)} of {num} fillings are done"
        raise KeyboardInterrupt(f"the best image so far is {best}" if is_there else done) from None
    fillings = store.done[:num]
    outputs: tuple[Path | None, Path | None] = (best, None)
    if store.best is None:
        outputs = (None, _write_mean(mean, image, hole, fillings))
    store.remove()
    notes = dict.fromkeys(note for done in fillings for note in filling.notes(model, image, done))
    return Inpainted(image, hole, filling, seed, fillings, files, *outputs, tuple(notes))


def average(fillings: Sequence[Attempt]) -> Tensor:
    """The mean of fillings, rounded: of draws given what is known the least-squares answer."""
    return torch.stack([done.x for done in fillings]).double().mean(0).round().long()


def _tell(progress: Callable[[Progress], object], index: int, num: int, stage: Stage) -> None:
    progress(Progress(index, num, stage))


def _write_best(path: Path, image: Image, hole: Tensor, x: Tensor | None) -> bool:
    """Whether there is such an image."""
    if x is not None:
        write(path, filled(image, hole, x))
    return x is not None


def _write_mean(path: Path, image: Image, hole: Tensor, fillings: Sequence[Attempt]) -> Path | None:
    """The path if there are several fillings."""
    if len(fillings) < 2:
        return None
    write(path, filled(image, hole, average(fillings)))
    return path


def _suffix(image: Image) -> str:
    suffix = Path(image.path).suffix.lower()
    fallback = ".png" if len(image.pixels) <= 4 else ".tiff"
    return suffix if suffix in KEPT_SUFFIXES else fallback


def _refuse_existing(out: Path, targets: Sequence[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: --out names a folder")
    for target in targets:
        if target.exists():
            raise ValueError(f"{target} is there already: choose another folder, or --overwrite")


def _fingerprint(
    model: ImageModel, image: Image, hole: Tensor, filling: Method[A], seed: int
) -> str:
    """What the fillings depend on, but for how many there are."""
    words = [checkpoint.digest(model), image.bits, tuple(image.pixels.shape), filling, seed]
    summary = hashlib.sha256(repr(words).encode())
    # What is in the hole does not matter: an image whose hole was painted over goes on as well.
    known = torch.where(hole, -1, image.pixels)
    summary.update(known.numpy().tobytes())
    return summary.hexdigest()
