"""Inpaintings that are not complete yet: what an interrupted call goes on from."""

from __future__ import annotations

import io
import pickle
import time
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from imprior.data.files import replace_file
from imprior.tasks.filling import A

SECONDS_BETWEEN_SAVES = 5.0


class Unfinished(Generic[A]):
    """Fillings, in memory and in a file from which an interrupted call goes on.

    Arguments:
        out: The folder of the file.
        attempt: What the fillings are.
        fingerprint: Of all that fillings depend on.
        overwrite: Whether a file of another call may be replaced.

    Raises:
        ValueError: If the file is damaged, or is that of another call and not to be overwritten.
    """

    def __init__(self, out: Path, attempt: type[A], fingerprint: str, *, overwrite: bool) -> None:
        self.path = out / ".inpainting"
        self.attempt = attempt
        self.fingerprint = fingerprint
        self.done: list[A] = []
        self.current: A | None = None
        self.saved = time.monotonic()
        if self.path.exists():
            same = self._load()
            if not same and not overwrite:
                raise ValueError(
                    f"{out} holds an unfinished inpainting of another image or with other "
                    "settings: choose another folder, or --overwrite"
                )

    def _load(self) -> bool:
        """Takes over what is in the file, if it is of the same call."""
        try:
            saved = torch.load(self.path, weights_only=True)
            if saved["fingerprint"] != self.fingerprint:
                return False
            self.done = [self.attempt(**values) for values in saved["done"]]
            self.current = saved["current"] and self.attempt(**saved["current"])
        except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError):
            raise ValueError(f"{self.path} is damaged: delete it to start afresh") from None
        return True

    @property
    def goes_on(self) -> bool:
        """Whether there is something to go on from."""
        return bool(self.done) or self.current is not None

    @property
    def best(self) -> Tensor | None:
        """The most probable state so far, if the model tells."""
        all_of_them = [*self.done, *([self.current] if self.current else [])]
        found = [each.likeliest for each in all_of_them if each.likeliest is not None]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def keep(self, current: A) -> None:
        """Takes note of a filling under way; saves it if it is time to."""
        self.current = current
        if time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES:
            self.save()

    def finish(self) -> None:
        """The filling under way is done."""
        self.done += [self.current] if self.current else []
        self.current = None
        self.save()

    def save(self) -> bool:
        """Writes everything, wholly or not at all; False if there is nothing."""
        if not self.goes_on:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "fingerprint": self.fingerprint,
            "done": [_values(done) for done in self.done],
            "current": self.current and _values(self.current),
        }
        file = io.BytesIO()
        torch.save(content, file)
        replace_file(self.path, file.getvalue())
        self.saved = time.monotonic()
        return True

    def remove(self) -> None:
        """Removes the file: all is complete."""
        self.path.unlink(missing_ok=True)


def _values(done: Any) -> dict[str, Any]:
    return {each.name: getattr(done, each.name) for each in fields(done)}
