"""Holes in images, filled with what a model of probabilities thinks could have been there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from imprior.base import Differentiable, ExactModel, ImageModel, LikelihoodModel, require
from imprior.data.images import Image
from imprior.inference.gibbs import FLIPS, Chain, Flip, start
from imprior.inference.mode import ModeSearch
from imprior.inference.patches import Patches
from imprior.tasks.filling import Stage, check_hole
from imprior.tasks.holes import around
from imprior.tasks.sample import stream

EPOCHS = {"gibbs": 100, "map": 50, "draw": 0}
"""How each method goes on after the first filling, if nothing else is asked for."""

MARGIN = 32
"""Known pixels around the hole that models see: large images take no longer than small ones."""


@dataclass(frozen=True)
class Filling:
    """How a hole is filled.

    Attributes:
        method: "gibbs": draws from the model's distribution of the hole given everything around
            it (`inference.gibbs`). "map": climbs to where the density is highest
            (`inference.mode`). "draw": draws once, in reading order, without regard to what
            follows.
        epochs: Of the method; None for `EPOCHS`.
        candidates: First fillings of which the most probable is taken; a draw has one.
        patches: Sizes of the patches of "gibbs".
        flip: The symmetries that a texture is taken to have, for "gibbs".

    Raises:
        ValueError: If there is no such method or flip, or a number is out of range.
    """

    method: Literal["gibbs", "map", "draw"] = "gibbs"
    epochs: int | None = None
    candidates: int = 5
    patches: Patches = field(default_factory=Patches)
    flip: Flip = "none"

    def __post_init__(self) -> None:
        if self.method not in EPOCHS or self.flip not in FLIPS:
            raise ValueError(
                f"method is one of {', '.join(EPOCHS)} and flip one of {', '.join(FLIPS)}, "
                f"got {self.method!r} and {self.flip!r}"
            )
        if self.num_epochs < 0 or self.candidates < 1:
            raise ValueError(
                "epochs must be at least 0 and candidates at least 1, "
                f"got {self.epochs} and {self.candidates}"
            )
        if self.method == "draw" and self.num_epochs:
            raise ValueError(f"a draw is done at once: it has no epochs, got {self.epochs}")

    @property
    def num_epochs(self) -> int:
        """Epochs after the first filling."""
        return EPOCHS[self.method] if self.epochs is None else self.epochs

    @property
    def attempt(self) -> type[Inpainting]:
        """What its fillings are."""
        return Inpainting

    def attempts(
        self,
        model: ImageModel,
        image: Image,
        hole: Tensor,
        *,
        seed: int,
        index: int,
        going_on: Inpainting | None,
        tell: Callable[[Stage], object],
    ) -> Iterator[Inpainting]:
        """The states of `inpaint`; see `Method`."""
        scoring = require(model, LikelihoodModel, "inpaint")
        options = {"seed": seed, "index": index}
        for state in inpaint(scoring, image, hole, self, going_on=going_on, **options):
            yield state
            tell(self._stage(state))

    def _stage(self, state: Inpainting) -> Stage:
        done, epochs = state.num_epochs, self.num_epochs
        kind = "log-density" if self.method == "map" else "log-probability"
        rate = f", {state.acceptances[-1]:.1%} accepted" if state.acceptances else ""
        text = f"epoch {done} of {epochs}: {kind} {state.log_probs[-1]:.1f} nats{rate}"
        return Stage((done + 1) / (epochs + 1), text)

    def notes(self, model: ImageModel, image: Image, done: Inpainting) -> list[str]:
        """Nothing: the figures say all."""
        return []

    def record(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self) | {"epochs": self.num_epochs}


@dataclass(frozen=True, eq=False)
class Inpainting:
    """One filling of a hole, finished or under way.

    Attributes:
        x: The part of the image around the hole (`around`, `MARGIN`), int64 (C, h, w).
        best: The most probable of all states of `x`.
        log_probs: Log-probability of the part, nats (for "map", its log-density): at first, and
            after each epoch.
        acceptances: Share of proposals that were accepted in each epoch of "gibbs".
        seconds: How long it took.
        state: What the method goes on from.
    """

    x: Tensor
    best: Tensor
    log_probs: tuple[float, ...]
    acceptances: tuple[float, ...]
    seconds: float
    state: dict[str, Any]

    @property
    def num_epochs(self) -> int:
        """Epochs that are done."""
        return len(self.log_probs) - 1

    @property
    def best_log_prob(self) -> float:
        """Log-probability of `best`, nats."""
        return max(self.log_probs)

    @property
    def likeliest(self) -> tuple[float, Tensor]:
        """`best_log_prob` and `best`."""
        return self.best_log_prob, self.best

    def record(self) -> dict[str, Any]:
        """The figures as JSON values."""
        lists = {"log_probs": list(self.log_probs), "acceptances": list(self.acceptances)}
        return lists | {"seconds": self.seconds}

    def after(self, worker: Chain | ModeSearch, seconds: float) -> Inpainting:
        """What it is an epoch later."""
        better = worker.log_prob > self.best_log_prob
        accepted = () if worker.acceptance is None else (worker.acceptance,)
        return Inpainting(
            x=worker.x,
            best=worker.x if better else self.best,
            log_probs=(*self.log_probs, worker.log_prob),
            acceptances=self.acceptances + accepted,
            seconds=self.seconds + seconds,
            state=worker.state_dict(),
        )


def inpaint(
    model: LikelihoodModel,
    image: Image,
    hole: Tensor,
    filling: Filling,
    *,
    seed: int = 0,
    index: int = 0,
    going_on: Inpainting | None = None,
) -> Iterator[Inpainting]:
    """Fills a hole; see `filled` for the whole image.

    Arguments:
        model: Of the channels and bits of the image, on the CPU.
        image: What is in the hole is not looked at.
        hole: Which pixels are missing, bool (H, W): some, not all.
        filling: How.
        seed, index: Filling 3 of seed 0 is the same however many are made.
        going_on: The last state of an interrupted filling with the same arguments.

    Yields:
        The first filling (or `going_on`), then the state after each epoch; the last is the result.

    Raises:
        ValueError: If the model cannot do it, or model, image and hole do not fit together.
    """
    task = f"inpainting by the method {filling.method!r}"
    if image.bits != model.bits or len(image.pixels) != model.channels:
        raise ValueError(
            f"{task} needs an image of {model.channels} channels and {model.bits} bits, "
            f"got {len(image.pixels)} and {image.bits}"
        )
    check_hole(image, hole)
    if filling.method == "draw":
        require(model, ExactModel, task)
    region = around(hole, MARGIN)
    x, gap, generator = image.pixels[:, *region], hole[region], stream(seed, index)
    started = time.perf_counter()
    if going_on is None:
        candidates = 1 if filling.method == "draw" else filling.candidates
        x = start(model, x, gap, candidates=candidates, generator=generator)
    worker: Chain | ModeSearch
    if filling.method == "map":
        worker = ModeSearch(require(model, Differentiable, task), x, gap, image.bits)
    else:
        patches, flip = filling.patches, filling.flip
        worker = Chain(model, x, gap, patches=patches, flip=flip, generator=generator)
    if going_on is not None:
        worker.load_state_dict(going_on.state)
        done = going_on
    else:
        first, spent = (worker.log_prob,), time.perf_counter() - started
        done = Inpainting(worker.x, worker.x, first, (), spent, worker.state_dict())
    yield done
    while done.num_epochs < filling.num_epochs and not worker.converged:
        started = time.perf_counter()
        worker.advance()
        done = done.after(worker, time.perf_counter() - started)
        yield done


def filled(image: Image, hole: Tensor, x: Tensor) -> Image:
    """An image with its hole filled; all other pixels, depth and metadata are the image's own.

    Arguments:
        x: The part around the hole, as `Inpainting` has it.
    """
    pixels = image.pixels.clone()
    pixels[:, hole] = x[:, hole[around(hole, MARGIN)]]
    return replace(image, pixels=pixels)
