"""What a prior is: the model classes that a checkpoint may name."""

from imprior.models.baselines.gmm import GMM
from imprior.models.ride.mcgsm import MCGSM

MODELS = (MCGSM, GMM)
