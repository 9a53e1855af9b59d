"""The folder of a training run: what it needs to go on after an interruption."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from imprior.data.files import replace_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Run:
    """A training run's folder: the state it goes on from after an interruption.

    Arguments:
        folder: Made if it is missing; otherwise it is empty or that of a run.
        fingerprint: What may not change between the parts of a run: settings, seed and images.
        resume: Whether to go on from the state in the folder; otherwise that run is removed.
        writes: Whether this process is the one, of several, that keeps the folder.

    Raises:
        ValueError: If the folder holds a run with other settings or other images, or other files.
    """

    def __init__(
        self, folder: Path, fingerprint: str, *, resume: bool, writes: bool = True
    ) -> None:
        self.folder = folder
        self.path = folder / "state.pt"
        mark = folder / "fingerprint"
        if not writes:
            return
        if not mark.exists() and _visible(folder):
            raise ValueError(
                f"{folder} holds files that are not a training run's: give a folder of its own"
            )
        if mark.exists() and not resume:
            _empty(folder, mark)
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob(".*.tmp"):  # of a write that was killed
            part.unlink()
        if not mark.exists():
            replace_file(mark, fingerprint.encode())
        elif mark.read_bytes() != fingerprint.encode():
            raise ValueError(
                f"{folder} holds an unfinished training with other settings or images: "
                "delete it, or start afresh without resuming"
            )

    def load(self) -> dict[str, Any] | None:
        """The last state, if there is one; see `read_state`."""
        return read_state(self.path) if self.path.exists() else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Replaces the state; see `write_state`."""
        write_state(self.path, state)

    def remove(self) -> None:
        """Removes the folder: the training is complete."""
        shutil.rmtree(self.folder)


@contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Keeps other processes that ask for the same out of a folder, which is made if it is missing.

    It leaves no trace, whatever ends the process. On Windows, and on disks of a network that know
    no locks, it does nothing.

    Arguments:
        folder: The folder.
        wait: Whether to wait for the others.

    Raises:
        ValueError: If another process is there and it is not to be waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    directory = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ValueError(f"another process is training in {folder}: let it finish") from None
        except OSError:  # no locks here
            pass
        yield
    finally:
        os.close(directory)


def _empty(folder: Path, last: Path) -> None:
    """Removes all that is in a folder, `last` in the end, but not the folder, which may be held."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != last:
            path.unlink()
    last.unlink()


def _visible(folder: Path) -> bool:
    """Whether there is anything in a folder but what an interrupted write has left behind."""
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def read_state(path: Path) -> dict[str, Any]:
    """The tensors and plain values that `write_state` wrote, on the CPU; no code is run.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, none of which torch documents
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged ({reason}): start afresh without resuming") from None


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes tensors and plain values, as a whole or not at all.

    Raises:
        OSError: If that fails, as on a full disk; a state that was there is then as it was.
    """
    # Through memory, because torch hides why it could not write to a file.
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    try:
        replace_file(path, buffer.getvalue())
    except OSError as error:
        reason = f"{error.strerror}; the state saved before is kept"
        raise OSError(error.errno, reason, str(path)) from None
