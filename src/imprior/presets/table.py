"""What a row of the table of presets says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imprior.data.named import NAMED, UNAVAILABLE


@dataclass(frozen=True)
class ImageData:
    """What images become before a model sees them.

    Attributes:
        gray: Whether colour images are converted to grey; otherwise they are refused.
        reduce_bits: Whether images with more bits than the model's lose their lowest ones.
    """

    gray: bool = False
    reduce_bits: bool = False


@dataclass(frozen=True)
class Preset:
    """One row of the table.

    Attributes:
        config: The model's config; its class says which model.
        training: How it is trained.
        data: What the images become first.
        published: Figure of the paper, name -> (value, unit).
        source: The paper and what it describes, or how the preset was chosen.
    """

    config: Any
    training: Any
    data: ImageData
    published: dict[str, tuple[float, str]]
    source: str

    @property
    def data_set(self) -> str | None:
        """The name, as of `imprior.data.named`, of the data that the figure is published for."""
        names = {key.split("/")[0] for key in self.published}
        return next(iter(names & {*NAMED, *UNAVAILABLE}), None)


GRAY = ImageData(gray=True)
COLOUR = ImageData()
