"""Learn the probability of your images, then evaluate, sample and compress them with it.

Names are loaded when they are first used, so that `imprior --help` does not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imprior.base import ExactModel as ExactModel
    from imprior.base import ImageModel as ImageModel
    from imprior.base import LikelihoodModel as LikelihoodModel
    from imprior.base import Multiscale as Multiscale
    from imprior.base import Sampler as Sampler
    from imprior.base import Step as Step
    from imprior.base import bits_per_dim as bits_per_dim
    from imprior.checkpoint import load as load
    from imprior.checkpoint import save as save
    from imprior.denoisers import Denoiser as Denoiser
    from imprior.denoisers import MultiscaleDenoiser as MultiscaleDenoiser

__version__ = "0.1.0"

_HOMES = dict.fromkeys(
    ("ExactModel", "ImageModel", "LikelihoodModel", "Multiscale", "Sampler", "Step"),
    "imprior.base",
) | {
    "bits_per_dim": "imprior.base",
    "Denoiser": "imprior.denoisers",
    "MultiscaleDenoiser": "imprior.denoisers",
    "load": "imprior.checkpoint",
    "save": "imprior.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
