"""How a network is trained: one frozen dataclass, checked at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from imprior.train.progress import BITS

OPTIMIZERS = ("adam", "adamw", "muon", "sgd")
SCHEDULES = ("cosine", "linear", "constant")
PRECISIONS = ("32", "bf16-mixed", "16-mixed")
VECTOR_RATE = 0.1  # what vectors learn at with Muon, as a part of the rate of matrices
BITS_PER_DIM = "bits_per_dim"  # the metric of networks whose loss is nats per dimension


@dataclass(frozen=True)
class FitConfig:
    """How to train by stochastic gradients; see `imprior.train.fit.fit`.

    Attributes:
        steps: Updates of the weights.
        batch_size: Images per update, all devices together.
        learning_rate: The largest that the schedule reaches.
        optimizer: "adam", "adamw", "sgd" or "muon" (Jordan, Muon: an optimizer for hidden layers,
            2024): steps of SGD with Nesterov's momentum, those of a matrix, or of a convolution's
            kernels as one, made orthogonal; vectors learn by Adam at a tenth of the rate.
        betas: Of Adam and AdamW: memory of the mean and of the square of the gradients.
        momentum: Of SGD and Muon.
        weight_decay: With AdamW and Muon decoupled from the gradient, else added to it; with Muon
            that of matrices alone.
        warmup_steps: The rate first rises linearly for so many steps ...
        schedule: ... and then falls as a "cosine", "linear"ly, or stays "constant" ...
        final_fraction: ... down to this fraction of the largest.
        gradient_clip: Longer gradients are cut to this Euclidean norm; 0: none.
        weight_average: Decay of a moving average of the weights, which is then what is validated
            and kept; 0: none. It rises to this value as (1 + n) / (10 + n) in step n. Statistics
            that a network keeps of its layers are not those of averaged weights: not for such.
        precision: "32", or mixed with bfloat16 or, on GPUs, float16. Validation is in 32 bits.
        validate_every: Steps between looks at the validation images; the last step has one too.
        validation_batch: Images per batch there, all devices together; 0: as many as in training.
        monitor: The metric, lower is better, that chooses the weights to keep.
        checkpoint_seconds: An interruption loses no more than this, if it is not in validation ...
        checkpoint_steps: ... and no more steps than these; 0: without limit.

    Raises:
        ValueError: If a value is out of range.
    """

    steps: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "adamw", "muon", "sgd"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final_fraction: float = 0.0
    gradient_clip: float = 0.0
    weight_average: float = 0.0
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    validate_every: int = 1000
    validation_batch: int = 0
    monitor: str = BITS_PER_DIM
    checkpoint_seconds: float = 60.0
    checkpoint_steps: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every"):
            _require(name, getattr(self, name) >= 1, "at least 1", getattr(self, name))
        for name in (
            *("weight_decay", "gradient_clip"),
            *("validation_batch", "checkpoint_seconds", "checkpoint_steps"),
        ):
            value = getattr(self, name)
            _require(name, 0 <= value < math.inf, "finite and not negative", value)
        for name in ("momentum", "weight_average"):
            _require(name, 0 <= getattr(self, name) < 1, "in [0, 1)", getattr(self, name))
        _require("learning_rate", 0 < self.learning_rate < math.inf, "positive", self.learning_rate)
        fits = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _require("betas", fits, "two values in [0, 1)", self.betas)
        fits = 0 <= self.warmup_steps <= self.steps
        _require("warmup_steps", fits, f"in [0, {self.steps}], the steps", self.warmup_steps)
        _require("final_fraction", 0 <= self.final_fraction <= 1, "in [0, 1]", self.final_fraction)
        _require("optimizer", self.optimizer in OPTIMIZERS, _one_of(OPTIMIZERS), self.optimizer)
        _require("schedule", self.schedule in SCHEDULES, _one_of(SCHEDULES), self.schedule)
        _require("precision", self.precision in PRECISIONS, _one_of(PRECISIONS), self.precision)

    @property
    def metric(self) -> str:
        """What is monitored, as it is told; a value is one dimension of an image."""
        return BITS if self.monitor == BITS_PER_DIM else self.monitor

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        Example:
            >>> config = FitConfig(104, 1, learning_rate=1.0, warmup_steps=4, schedule="linear")
            >>> [round(config.rate(step), 3) for step in (0, 3, 4, 54, 103)]
            [0.25, 1.0, 1.0, 0.5, 0.01]
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        left = {"cosine": 0.5 + 0.5 * math.cos(math.pi * done), "linear": 1 - done, "constant": 1}
        part = self.final_fraction + (1 - self.final_fraction) * left[self.schedule]
        return self.learning_rate * part

    def decay(self, step: int) -> float:
        """The weight of the past in the average of the weights after a step, counted from 0."""
        return min(self.weight_average, (1 + step) / (10 + step))

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of the parameters; `set_rate` changes its rate."""
        rate, decay = self.learning_rate, self.weight_decay
        if self.optimizer == "muon":
            return self._muon([*parameters])
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, rate, self.momentum, weight_decay=decay)
        kind = torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW
        return kind(parameters, rate, self.betas, weight_decay=decay)

    def _muon(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        from pytorch_optimizer import Muon  # here, as it takes a second

        groups = [
            {
                "params": [parameter for parameter in parameters if parameter.ndim > 1],
                "use_muon": True,
                "lr": self.learning_rate,
                "momentum": self.momentum,
                "weight_decay": self.weight_decay,
            },
            {
                "params": [parameter for parameter in parameters if parameter.ndim <= 1],
                "use_muon": False,
                "lr": self.learning_rate * VECTOR_RATE,
                "rate": VECTOR_RATE,
                "betas": self.betas,
            },
        ]
        return Muon([group for group in groups if group["params"]])

    def set_rate(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Gives an optimizer of this config the rate of a step, counted from 0."""
        for group in optimizer.param_groups:
            group["lr"] = self.rate(step) * group.get("rate", 1.0)


def _require(name: str, fits: bool, rule: str, value: object) -> None:
    if not fits:
        raise ValueError(f"{name} must be {rule}, got {value!r}")


def _one_of(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}"
