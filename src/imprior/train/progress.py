"""What a training tells those who wait for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

BITS = "bits_per_value"
"""The metric of models that know probabilities."""


@dataclass(frozen=True)
class Progress:
    """Where training is.

    Attributes:
        stage: What is being done, for people.
        step, total: Steps done and planned in this stage.
        figure: What the validation data gave when last measured, lower is better; NaN: not yet.
        metric: What that is.
    """

    stage: str
    step: int
    total: int
    figure: float
    metric: str = BITS

    @property
    def measured(self) -> str:
        """The figure for people; empty as long as there is none.

        Example:
            >>> Progress("training", 1, 9, 2.5).measured
            '2.5000 bits/value'
            >>> Progress("training", 1, 9, -30.125, "error_db").measured
            '-30.1250 error db'
        """
        if not math.isfinite(self.figure):
            return ""
        return f"{self.figure:.4f} {self.metric.replace('_per_', '/').replace('_', ' ')}"
