"""Lightning's Trainer as this project uses it: quiet, one state file, Ctrl-C as everywhere else.

Importing this module imports Lightning, which takes seconds.
"""

from __future__ import annotations

import logging
import math
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm, TQDMProgressBar
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from imprior.train.callbacks import Watch
from imprior.train.config import BITS_PER_DIM, FitConfig
from imprior.train.runs import read_state, write_state


class StateFile(CheckpointIO):
    """Checkpoints as the states of other runs: replaced as a whole, never unpickled."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Writes the file; see `write_state`."""
        write_state(Path(path), checkpoint)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads the file; see `read_state`."""
        return read_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Removes the file."""
        Path(path).unlink(missing_ok=True)


class Bar(TQDMProgressBar):
    """Lightning's bar, with the training loss, if it can be in bits per pixel, and the figure."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(refresh_rate=20)
        self.watch = watch

    @property
    def total_train_batches(self) -> int:
        """All steps, those of earlier parts of the run included."""
        return self.watch.config.steps

    def init_train_tqdm(self) -> Tqdm:
        """The bar, on stderr, because stdout is for results."""
        return Tqdm(disable=self.is_disabled, dynamic_ncols=True, file=sys.stderr, smoothing=0)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Names the bar; there are no epochs."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description("training")

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands at the end of the bar."""
        loss, monitor = self.watch.loss, self.watch.config.monitor
        figure, bits = f"{self.watch.figure:.4f}", loss / math.log(2) * self.watch.channels
        if monitor == BITS_PER_DIM:
            return {"bits/px": f"{bits:.3f}", monitor: figure}
        return {"loss": f"{loss:.4g}", monitor: figure}


def make_trainer(
    config: FitConfig, watch: Watch, folder: Path, *, bar: bool, devices: Mapping[str, Any]
) -> Trainer:
    """A Trainer of which nothing but loop, devices, precision, clipping and bar is Lightning's.

    Arguments:
        config: How to train.
        watch: What validates and saves.
        folder: Of the run.
        bar: Whether to show a progress bar.
        devices: Lightning's `accelerator`, `devices`, `num_nodes` and `strategy`.

    Raises:
        ValueError: If there are no such devices or they cannot compute in that precision.
    """
    with quiet():
        try:
            trainer = Trainer(
                **devices,
                precision=config.precision,
                max_steps=config.steps,
                max_epochs=-1,
                gradient_clip_val=config.gradient_clip or None,
                callbacks=[watch, Bar(watch)] if bar else [watch],
                plugins=[StateFile()],
                default_root_dir=folder,
                logger=False,
                limit_val_batches=0,
                enable_checkpointing=False,
                enable_progress_bar=bar,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
        except (MisconfigurationException, RuntimeError) as error:
            raise ValueError(str(error).splitlines()[0]) from None
    # Launchers other than that of scripts train in processes that give no results back.
    replicas = isinstance(trainer.strategy, DDPStrategy)
    scripts = isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher)
    if trainer.world_size > 1 and not (replicas and scripts):
        raise ValueError(
            f"strategy {devices['strategy']!r} would not leave a whole network in this process: "
            "choose 'ddp'"
        )
    if config.precision == "16-mixed" and trainer.precision != config.precision:
        raise ValueError("precision 16-mixed needs a GPU; bf16-mixed does not")
    return trainer


def run_trainer(trainer: Trainer, module: LightningModule, state: Path) -> None:
    """Trains, from the state on if there is one.

    Raises:
        KeyboardInterrupt: On Ctrl-C, in place of Lightning's exit from Python.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        with quiet():
            trainer.fit(module, ckpt_path=state if state.exists() else None, weights_only=True)
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)  # Lightning has switched it off
        raise KeyboardInterrupt from None


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's advice to itself; warnings of others, such as a model's, are shown."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
