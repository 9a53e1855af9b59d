"""The folder of a training run that is not complete yet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch


class Run:
    """A training run's folder: the state it goes on from after an interruption.

    Raises:
        ValueError: If the folder holds a run with other settings or other images.
    """

    def __init__(self, folder: Path, fingerprint: str, *, resume: bool) -> None:
        self.folder = folder
        self.path = folder / "state.pt"
        if folder.exists() and not resume:
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / "fingerprint"
        if mark.exists() and mark.read_text() != fingerprint:
            raise ValueError(
                f"{folder} holds an unfinished training with other settings or images: "
                "delete it, or start afresh without resuming"
            )
        mark.write_text(fingerprint)

    def load(self) -> dict[str, Any] | None:
        """The last state, if there is one."""
        return torch.load(self.path, weights_only=True) if self.path.exists() else None

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the state, as a whole or not at all."""
        temporary = self.path.with_suffix(".part")
        torch.save(state, temporary)
        os.replace(temporary, self.path)

    def remove(self) -> None:
        """Removes the folder: the training is complete."""
        shutil.rmtree(self.folder)
