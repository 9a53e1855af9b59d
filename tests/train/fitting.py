"""Small things to train, and a training in a process of its own: `python -m` this module."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from imprior.data.batches import Draws
from imprior.data.loading import stream_of
from imprior.train.config import FitConfig
from imprior.train.fit import FitResult, fit
from imprior.train.progress import Progress

CONFIG = FitConfig(
    steps=24,
    batch_size=4,
    learning_rate=0.05,
    warmup_steps=3,
    gradient_clip=0.5,
    weight_average=0.9,
    validate_every=5,
)


class Normal(Draws):
    """Images of independent normal values; the first value of each is its number."""

    def __init__(self, length: int, seed: int = 0) -> None:
        self.length, self.seed = length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        x = 3 + 2 * torch.randn(1, 4, 4, generator=stream_of(self.seed, index))
        x[0, 0, 0] = index
        return x


class Gaussian(nn.Module):
    """Two parameters: a normal distribution of all values but the first of each image.

    It has a buffer, because Lightning synchronizes those between processes.
    """

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.validated: list[int] = []

    def loss(self, batch: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
        z = (batch.flatten(1)[:, 1:] - self.mean) * (-self.log_scale).exp()
        return (0.5 * z.square() + self.log_scale + 0.5 * math.log(2 * math.pi)).mean()

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        self.validated += batch[:, 0, 0, 0].int().tolist()
        return {"bits_per_dim": self.loss(batch) / math.log(2), "first": batch[:, 0, 0, 0].mean()}


class Smooth(nn.Module):
    """A convolution that predicts each value from its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1, 3, 3), 0.1))

    def loss(self, batch: Tensor) -> Tensor:
        return (conv2d(batch, self.weight, padding=1) - batch).square().mean()

    def metrics(self, batch: Tensor) -> dict[str, Tensor]:
        return {"bits_per_dim": self.loss(batch)}


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def run(folder: Path, config: FitConfig = CONFIG, **options: Any) -> tuple[Gaussian, FitResult]:
    """Trains a Gaussian."""
    model = Gaussian()
    return model, fit(model, Normal(50), Normal(7, seed=1), config, folder, **options)


def main() -> None:
    """Trains as the JSON on the command line says; dies at the step `kill`; tells the result."""
    options = json.loads(sys.argv[1])
    kill, folder = options.pop("kill", None), Path(options.pop("folder"))
    config = FitConfig(**asdict(CONFIG) | options.pop("config", {}))

    def progress(now: Progress) -> None:
        if now.step == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    model, result = run(folder, config, progress=progress, **options)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        told = {"curve": [asdict(point) for point in result.curve], "best": result.best}
        weight = {name: value.item() for name, value in weights(model).items()}
        print(json.dumps(told | {"weights": weight, "validated": model.validated}))


if __name__ == "__main__":
    main()
