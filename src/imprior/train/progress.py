"""What a training tells those who wait for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where training is.

    Attributes:
        stage: What is being done, for people.
        step, total: Steps done and planned in this stage.
        bits: Bits per value on the validation data, as last measured.
    """

    stage: str
    step: int
    total: int
    bits: float
