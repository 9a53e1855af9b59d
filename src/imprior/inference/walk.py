"""Walks over a canvas: drawing what is not known yet, and scoring what is.

Both are the loop of `ExactModel.sample` with another body. The coder's loop lives in `codec`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imprior.base import ExactModel


def draw(
    model: ExactModel,
    canvas: Tensor,
    known: Tensor,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> Tensor:
    r"""Draws the pixels that are not known, in the order of the walk, and keeps the others.

    Each unknown value is a draw from :math:`p(x_i \mid x_{<i})`, where :math:`x_{<i}` holds
    known and drawn values alike. That is the model's exact conditional distribution when no
    known pixel comes after an unknown one; otherwise known pixels inform only what follows them.

    Arguments:
        model: The model to draw from.
        canvas: Images, int64 (B, C, H, W); values at unknown pixels are not looked at.
        known: Which pixels to keep, bool (B, H, W). All channels of a pixel are known or none,
            because a model may mix them (`ExactModel.to_canvas`).
        generator: Where the randomness comes from.
        temperature: 1 draws from the model, less prefers what is likely, 0 takes the likeliest.

    Returns:
        New images, int64 (B, C, H, W), equal to `canvas` wherever `known` is true.

    Raises:
        ValueError: If `known` does not fit the images, or `temperature` is negative.
    """
    expected = (canvas.shape[0], *canvas.shape[2:])
    if known.dtype != torch.bool or known.shape != expected:
        raise ValueError(
            f"known must be a bool tensor of shape {tuple(expected)}, "
            f"got {known.dtype} of shape {tuple(known.shape)}"
        )
    keep = known[:, None].expand_as(canvas)
    # Values at unknown pixels may be anything, even values that no image has.
    canvas = model.to_canvas(torch.where(keep, canvas, 0))
    flat, unknown = canvas.view(-1), ~keep.reshape(-1)
    steps, left = model.conditionals(canvas), int(unknown.sum())
    # Few values may be unknown: the others are not drawn, and nobody walks on after the last.
    while left:
        step = next(steps)
        rows = unknown[step.where].nonzero()[:, 0]
        if len(rows):
            flat[step.where[rows]] = step.pmfs.rows(rows).sample(generator, temperature)
            left -= len(rows)
    return model.from_canvas(canvas)


def score(model: ExactModel, x: Tensor) -> Tensor:
    r"""Log-mass of every value, :math:`\log p(x_i \mid x_{<i})`, found by walking over `x`.

    Slow and obvious: it agrees with `ExactModel.log_prob_map`, which is computed in parallel,
    and says what the coder will spend on each value.

    Arguments:
        model: The model that scores.
        x: Images, int64 (B, C, H, W).

    Returns:
        Nats, float64 (B, C, H, W); the value at an index is that of the canvas there.

    Raises:
        ValueError: If the model cannot take `x`.
    """
    model.check(x)
    truth = model.to_canvas(x)
    canvas = torch.zeros_like(truth)
    log_mass = torch.zeros(x.shape, dtype=torch.float64)
    for step in model.conditionals(canvas):
        values = truth.view(-1)[step.where]
        log_mass.view(-1)[step.where] = step.pmfs.log_mass(values)
        canvas.view(-1)[step.where] = values
    return log_mass
