"""What a prior is: the model classes that a checkpoint may name."""

from typing import Any

from imprior.base import ImageModel
from imprior.models.baselines.gmm import GMM
from imprior.models.baselines.pixelcnn import PixelCNN
from imprior.models.local.denoiser import FlatDenoiser
from imprior.models.local.model import LocalModel
from imprior.models.pyramids.model import PixelPyramid
from imprior.models.ride.colour import ColourRIDE
from imprior.models.ride.mcgsm import MCGSM
from imprior.models.ride.model import RIDE
from imprior.models.ride.multiscale import MultiscaleRIDE
from imprior.models.ride.patches import PatchRIDE

MODELS = (
    *(MCGSM, RIDE, ColourRIDE, MultiscaleRIDE, PatchRIDE),
    *(PixelPyramid, PixelCNN, GMM),
    *(FlatDenoiser, LocalModel),
)


def build(config: Any) -> ImageModel:
    """The model of a config, as it is before training.

    Raises:
        ValueError: If no model has such a config.
    """
    models: tuple[type[ImageModel], ...] = MODELS
    for model in models:
        if model.config_class is type(config):
            return model(config)
    raise ValueError(f"{type(config).__name__} is not the config of a model")
