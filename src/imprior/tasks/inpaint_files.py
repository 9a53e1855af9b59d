"""Inpainting from file to files: several fillings, kept up while they run, resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imprior import checkpoint
from imprior.base import LikelihoodModel
from imprior.data.images import Image, write
from imprior.tasks.inpaint import Filling, Inpainting, filled, inpaint
from imprior.tasks.unfinished import Unfinished

KEPT_SUFFIXES = (".tif", ".tiff", ".npy")  # other inputs become PNG, which keeps as much

PAGE, DEVIATION = "index.html", "deviation.png"
"""Files that the report writes beside the fillings."""


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        sample, num: The filling under way, from 0, and how many there will be.
        epoch, epochs: Epochs of it that are done, and of all.
        log_prob: Log-probability of the part around the hole, nats.
        acceptance: Of the last epoch; None where nothing is proposed.
    """

    sample: int
    num: int
    epoch: int
    epochs: int
    log_prob: float
    acceptance: float | None


@dataclass(frozen=True, eq=False)
class Inpainted:
    """What became of an image with a hole.

    Attributes:
        image: The image as the model saw it; what is in the hole was not looked at.
        hole: bool (H, W).
        filling: How the hole was filled.
        seed: Of all that was random.
        fillings: One or more.
        files: Their images, in the same order.
        best: The file of the most probable state that any filling passed through.
    """

    image: Image
    hole: Tensor
    filling: Filling
    seed: int
    fillings: Sequence[Inpainting]
    files: Sequence[Path]
    best: Path

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        results = [
            {
                "path": str(path),
                "log_probs": list(done.log_probs),
                "acceptances": list(done.acceptances),
                "seconds": done.seconds,
            }
            for path, done in zip(self.files, self.fillings, strict=True)
        ]
        return {
            "image": self.image.path,
            "missing_pixels": int(self.hole.sum()),
            "filling": asdict(self.filling) | {"epochs": self.filling.num_epochs},
            "seed": self.seed,
            "best": str(self.best),
            "fillings": results,
        }


def inpaint_files(
    model: LikelihoodModel,
    image: Image,
    hole: Tensor,
    out: Path,
    filling: Filling,
    *,
    num: int = 1,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Inpainted:
    """Fills a hole several times and writes each image, and the most probable state of all.

    What is under way is saved every few seconds. The same call goes on from there.

    Arguments:
        model, image, hole, filling, seed: As `inpaint` takes them.
        out: The folder to write, made if it is missing.
        num: How many fillings.
        overwrite: Whether to replace outputs that are there.
        progress: Called after each epoch.

    Raises:
        ValueError: If an argument is wrong, or outputs are there already.
        KeyboardInterrupt: If it is interrupted; says where the best image so far is.
    """
    if num < 1:
        raise ValueError(f"the number of fillings must be at least 1, got {num}")
    suffix = _suffix(image)
    files = [out / f"{index:03d}{suffix}" for index in range(num)]
    best = out / f"best{suffix}"
    store = Unfinished(out, _fingerprint(model, image, hole, filling, seed), overwrite=overwrite)
    if not overwrite and not store.goes_on:
        _refuse_existing(out, [*files, best, out / PAGE, out / DEVIATION])
    try:
        for index, file in enumerate(files):
            if index >= len(store.done):
                states = inpaint(
                    model, image, hole, filling, seed=seed, index=index, going_on=store.current
                )
                for state in states:
                    store.keep(state)
                    progress(_progress(state, index, num, filling))
                store.finish()
            write(file, filled(image, hole, store.done[index].x))
            write(best, filled(image, hole, store.best))
    except KeyboardInterrupt:
        if not store.save():
            raise
        write(best, filled(image, hole, store.best))
        raise KeyboardInterrupt(f"the best image so far is {best}") from None
    store.remove()
    return Inpainted(image, hole, filling, seed, store.done[:num], files, best)


def _suffix(image: Image) -> str:
    suffix = Path(image.path).suffix.lower()
    fallback = ".png" if len(image.pixels) <= 4 else ".tiff"
    return suffix if suffix in KEPT_SUFFIXES else fallback


def _progress(current: Inpainting, index: int, num: int, filling: Filling) -> Progress:
    acceptance = current.acceptances[-1] if current.acceptances else None
    epochs = (current.num_epochs, filling.num_epochs)
    return Progress(index, num, *epochs, current.log_probs[-1], acceptance)


def _refuse_existing(out: Path, targets: Sequence[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: --out names a folder")
    for target in targets:
        if target.exists():
            raise ValueError(f"{target} is there already: choose another folder, or --overwrite")


def _fingerprint(
    model: LikelihoodModel, image: Image, hole: Tensor, filling: Filling, seed: int
) -> str:
    """What the fillings depend on, but for how many there are."""
    words = [checkpoint.digest(model), image.bits, tuple(image.pixels.shape), filling, seed]
    summary = hashlib.sha256(repr(words).encode())
    # What is in the hole does not matter: an image whose hole was painted over goes on as well.
    known = torch.where(hole, -1, image.pixels)
    summary.update(known.numpy().tobytes())
    return summary.hexdigest()
