"""The one Lightning module: it trains whatever offers a loss.

Importing this module imports Lightning, which takes seconds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Literal, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from imprior.data.batches import Draws, ImageFiles
from imprior.data.feed import feed
from imprior.data.loading import stream_of
from imprior.train.config import FitConfig
from imprior.train.trainable import Trainable


class Learner(LightningModule):
    """A network, the moving average of its weights, and the batches that it learns from.

    Lightning's own callback for such averages is not used: it validates within Lightning's loop,
    which hangs if processes have different numbers of batches, and averages integers too.

    Arguments:
        network: A `Trainable`; trained in place.
        config: How to train.
        images: What to train on.
        seed: Of the order of the images.
        num_workers: Processes that load them.
        memory_format: Of batches of images.
    """

    def __init__(
        self,
        network: nn.Module,
        config: FitConfig,
        images: ImageFiles | Draws,
        *,
        seed: int = 0,
        num_workers: int = 0,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        super().__init__()
        self.network, self.memory_format = network, memory_format
        self.average = None
        if config.weight_average:
            self.average = copy.deepcopy(network).requires_grad_(False).eval()
        self.config, self.images, self.seed, self.workers = config, images, seed, num_workers

    @property
    def judged(self) -> nn.Module:
        """What is validated, kept and returned: the average, if there is one."""
        return self.network if self.average is None else self.average

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Called by Lightning."""
        return self.config.make_optimizer(p for p in self.network.parameters() if p.requires_grad)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Called by Lightning when it knows the step to go on from: the batches from there on.

        They are endless, as a length would have Lightning count them, from 0 again on resuming.
        """
        return feed(
            self.images,
            self.config.batch_size,
            start=self.trainer.global_step,
            seed=self.seed,
            num_workers=self.workers,
        )

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        """Called by Lightning: sets the rate, of which nothing has to be restored on resuming."""
        self.config.set_rate(self.trainer.optimizers[0], self.trainer.global_step)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Called by Lightning, under its mixed precision.

        What the network draws depends on seed, step and process alone: it is the same after an
        interruption.
        """
        step, rank = self.trainer.global_step, self.trainer.global_rank
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(stream_of(self.seed, step, rank, 2).initial_seed())
            return cast(Trainable, self.network).loss(self._laid_out(batch))

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Moves the average towards the weights that `step`, counted from 0, ended with."""
        if self.average is None:
            return
        parameters = [list(module.parameters()) for module in (self.average, self.network)]
        get_ema_multi_avg_fn(self.config.decay(step))(*parameters, None)
        for mean, now in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mean.copy_(now)

    @torch.no_grad()
    def validate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Mean metrics of images that are shared out to the processes, each image counting once.

        In 32 bits, and past the wrapper for several processes, which would wait for the others in
        every batch.
        """
        network, count = self.judged, 0
        was_training = network.training
        network.eval()
        sums: dict[str, Tensor] = {}
        for batch in batches:
            figures = cast(Trainable, network).metrics(self._laid_out(batch.to(self.device)))
            for name, value in figures.items():
                sums[name] = sums.get(name, 0) + value.detach().double().cpu() * len(batch)
            count += len(batch)
        network.train(was_training)
        names = sorted(sums)
        values = torch.stack([*(sums[name] for name in names), torch.tensor(count).double()])
        *totals, total = self.across(values, "sum").tolist()
        return {name: value / total for name, value in zip(names, totals, strict=True)}

    def _laid_out(self, batch: Tensor) -> Tensor:
        return batch.contiguous(memory_format=self.memory_format)

    def across(self, values: Tensor, how: Literal["sum", "mean"]) -> Tensor:
        """The sum or mean of the values of all processes, on the CPU."""
        if self.trainer.world_size > 1:
            values = self.trainer.strategy.reduce(values.to(self.device), reduce_op=how)
        return values.cpu()
