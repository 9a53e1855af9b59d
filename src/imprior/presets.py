"""ONE table of what can be trained: model, training, data, published figure and source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from imprior.models.ride.mcgsm import MCGSMConfig
from imprior.train.samples import Drawing
from imprior.train.shallow import ShallowTraining
from imprior.train.stages import Stage
