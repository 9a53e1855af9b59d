"""Which method of filling holes suits a model."""

from __future__ import annotations

from imprior.base import ImageModel, LikelihoodModel, require
from imprior.denoisers import Denoiser
from imprior.inference.gibbs import Flip
from imprior.tasks.inpaint import EPOCHS, Filling
from imprior.tasks.inpaint_ascent import Ascending

METHODS = (*EPOCHS, Ascending.method)


def choose(
    model: ImageModel, method: str | None = None, *, epochs: int | None = None, flip: Flip = "none"
) -> Filling | Ascending:
    """How a model fills a hole.

    Arguments:
        model: That tells probabilities, or a denoiser.
        method: One of `METHODS`; None for "ascent" of a denoiser and "gibbs" of others.
        epochs, flip: As in `Filling`.

    Raises:
        ValueError: If the model cannot do that; says which method it can, or which model does.
    """
    scores, denoises = isinstance(model, LikelihoodModel), isinstance(model, Denoiser)
    name = type(model).__name__
    if method is None:
        method = "ascent" if denoises and not scores else "gibbs"
    if method == Ascending.method:
        if not isinstance(model, Denoiser):
            others = ", ".join(EPOCHS)
            raise ValueError(f"the method 'ascent' needs a denoiser; for {name} take {others}")
        if epochs is not None or flip != "none":
            raise ValueError("an ascent has no epochs and no flips: it ends when the noise is gone")
        return Ascending()
    if denoises and not scores:
        raise ValueError(
            f"the method {method!r} needs a model that tells probabilities; for {name}, "
            "a denoiser, take ascent"
        )
    device = next((weights.device.type for weights in model.parameters()), "cpu")
    if require(model, LikelihoodModel, "inpaint") and device != "cpu":
        raise ValueError(f"the method {method!r} computes on the CPU, not on {device}")
    return Filling(method, epochs, flip=flip)  # type: ignore[arg-type]  # it checks the name
