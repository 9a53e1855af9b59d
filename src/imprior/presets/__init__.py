"""ONE table of what can be trained: model, training, data, published figure and source."""

from imprior.presets.denoisers import DENOISERS
from imprior.presets.pyramids import PYRAMIDS
from imprior.presets.ride import RIDES
from imprior.presets.table import ImageData, Preset

__all__ = ["PRESETS", "ImageData", "Preset"]

PRESETS: dict[str, Preset] = {**RIDES, **PYRAMIDS, **DENOISERS}
