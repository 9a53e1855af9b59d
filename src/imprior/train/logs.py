"""What a run tells while it goes on: a table, pictures, and TensorBoard if it is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imprior.data.files import replace_file
from imprior.data.images import Image, to_float, write
from imprior.data.sheet import contact_sheet
from imprior.train.config import BITS_PER_DIM

KINDS = ("csv", "tensorboard")


@dataclass(frozen=True)
class Point:
    """One point of a learning curve.

    Attributes:
        step: Steps done.
        training: Mean training loss since the point before, in bits if validation is.
        validation: Mean metrics of the validation images.
        learning_rate: Of the last step.
        seconds: Of training, validation included, over all parts of the run.
    """

    step: int
    training: float
    validation: dict[str, float]
    learning_rate: float
    seconds: float

    def row(self) -> dict[str, float]:
        """All figures under one name each."""
        validation = {f"validation/{name}": value for name, value in self.validation.items()}
        loss = BITS_PER_DIM if BITS_PER_DIM in self.validation else "loss"
        return {
            f"training/{loss}": self.training,
            **validation,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
        }


class Logs:
    """The logs of a run in its folder: `curve.csv`, `samples/*.png`, `tensorboard/`.

    The table is written anew with every point, so that it is that of one undisturbed run even if
    the run was cut off; Lightning's logger deletes the table of the part before.

    Arguments:
        folder: Of the run.
        kinds: Any of "csv" and "tensorboard".
        start: Steps done; TensorBoard forgets what it was told of later ones.

    Raises:
        ValueError: If a kind is unknown, or TensorBoard is not installed.
    """

    def __init__(self, folder: Path, kinds: Collection[str], start: int) -> None:
        check(kinds)
        self.folder, self.kinds = folder, kinds
        self.board: Any = None
        if "tensorboard" in kinds:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)

    def curve(self, curve: Sequence[Point]) -> None:
        """Tells the last point of a learning curve.

        Raises:
            OSError: If it cannot be written; the table of before is then kept.
        """
        if "csv" in self.kinds:
            file = io.StringIO()
            table = csv.DictWriter(file, ["step", *curve[-1].row()], lineterminator="\n")
            table.writeheader()
            table.writerows({"step": point.step, **point.row()} for point in curve)
            replace_file(self.folder / "curve.csv", file.getvalue().encode())
        if self.board is not None:
            for name, value in curve[-1].row().items():
                self.board.add_scalar(name, value, curve[-1].step)
            self.board.flush()

    def samples(self, images: Sequence[Image], step: int) -> None:
        """Keeps pictures, side by side on one sheet, under the number of the step."""
        sheet = contact_sheet([image.pixels.cpu() for image in images])
        target = self.folder / "samples" / f"{step:07d}.png"
        target.parent.mkdir(exist_ok=True)
        write(target, Image(sheet, images[0].bits))
        if self.board is not None:
            self.board.add_image("samples", to_float(sheet, images[0].bits), step)

    def close(self) -> None:
        """Ends the logs."""
        if self.board is not None:
            self.board.close()


def check(kinds: Collection[str]) -> None:
    """Raises ValueError unless all of these logs can be written."""
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"no logs {', '.join(unknown)}: there are {', '.join(KINDS)}")
    if "tensorboard" in kinds:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError:
            raise ValueError(
                "TensorBoard is not installed: pip install 'imprior[tensorboard]'"
            ) from None
