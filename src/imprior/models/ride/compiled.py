"""The MCGSM's walk: compiled, a wavefront at a time, with the same bits on every machine.

Only additions and multiplications in a fixed order, and the `exp` of `distributions.exponential`,
lead from the weights and the pixels to the mixtures that are coded. The inner loops run over
features or components, never over a sum, so that they are vectorised without reordering a sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imprior.distributions.compiling import exact
from imprior.distributions.exponential import exp

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GROUP = 8
"""Pixels that share one pass over the matrix, which then stays in the innermost cache."""


class Table(NamedTuple):
    """An expert's parameters, folded to act on integer pixels; all float64.

    Attributes:
        matrix: (D, F + C), features then predictors, applied to integer pixels.
        offset: (F + C,), added to their product. Predictors then give means in grey levels.
        beta2: (F, C).
        eta, precision, inverse_scale: (C * S,): logits, e^alpha, and 1 / grey level.
    """

    matrix: Floats
    offset: Floats
    beta2: Floats
    eta: Floats
    precision: Floats
    inverse_scale: Floats


@exact
def fold(
    mean_x: Floats,
    whitener: Floats,
    mean_y: float,
    predictor: Floats,
    scale: float,
    features: Floats,
    predictors: Floats,
    means: Floats,
    beta: Floats,
    eta: Floats,
    alpha: Floats,
    levels: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Folds whitening and the scale of pixels into an expert's parameters; see `Table`.

    Pixel k stands for the value (k + 1/2) / levels, so that the bin of k is [k, k + 1] / levels.
    """
    dims, num_features = features.shape
    num_components = len(eta)
    rows = np.zeros((dims, num_features + num_components))
    for n in range(num_features):
        rows[:, n] = features[:, n]
    for c in range(num_components):
        for d in range(dims):
            rows[d, num_features + c] = (predictors[c, d] / scale + predictor[d]) * levels
    matrix = np.zeros_like(rows)
    offset = np.zeros(num_features + num_components)
    for c in range(num_components):
        offset[num_features + c] = (mean_y + means[c] / scale) * levels - 0.5
    for e in range(dims):
        for d in range(dims):
            for n in range(rows.shape[1]):
                matrix[d, n] += whitener[e, d] * rows[e, n]
    for d in range(dims):
        for n in range(rows.shape[1]):
            offset[n] += matrix[d, n] * (0.5 / levels - mean_x[d])
            matrix[d, n] /= levels
    beta2 = np.zeros((num_features, num_components))
    for c in range(num_components):
        for n in range(num_features):
            beta2[n, c] = beta[c, n] * beta[c, n]
    alphas = alpha.copy().reshape(-1)
    precision, inverse_scale = np.zeros_like(alphas), np.zeros_like(alphas)
    for k in range(alphas.size):
        precision[k] = exp(alphas[k])
        inverse_scale[k] = exp(0.5 * alphas[k]) * scale / levels
    return matrix, offset, beta2, eta.copy().reshape(-1), precision, inverse_scale


@exact
def positions(
    y: Integers,
    x: Integers,
    batch: int,
    image: int,
    start: int,
    width: int,
    padded_image: int,
    padded_width: int,
    reach: int,
) -> tuple[Integers, Integers]:
    """Where pixels (y, x) of one plane lie in the flat canvas and in the flat padded canvas.

    Image after image. The first counts from `start`, the plane's place in an image; the second
    from the image's first plane, since offsets name planes themselves.
    """
    where = np.empty(batch * y.size, np.int64)
    base = np.empty(batch * y.size, np.int64)
    for b in range(batch):
        for j in range(y.size):
            i = b * y.size + j
            where[i] = b * image + start + y[j] * width + x[j]
            base[i] = b * padded_image + (y[j] + reach) * padded_width + x[j] + reach
    return where, base


@exact
def weigh(
    z: Floats,
    places: tuple[Floats, Floats, Floats],
    beta2: Floats,
    eta: Floats,
    precision: Floats,
    inverse_scale: Floats,
    energy: Floats,
) -> None:
    """Turns features and means, (F + C,), into weights, means and inverse scales, (C * S,) each.

    Arguments:
        z: One pixel's features, then its means in grey levels.
        places: Where weights, means and inverse scales are written.
        energy: Room for (C,) numbers.
    """
    weights, means, spreads = places
    num_features, num_components = beta2.shape
    scales = eta.size // num_components
    energy[:] = 0.0
    for n in range(num_features):
        squared = z[n] * z[n]
        for c in range(num_components):
            energy[c] += squared * beta2[n, c]
    largest = -np.inf
    for c in range(num_components):
        for s in range(scales):
            k = c * scales + s
            logit = eta[k] - 0.5 * precision[k] * energy[c]
            largest = max(largest, logit)
            weights[k] = logit
            means[k] = z[num_features + c]
    for k in range(eta.size):
        weights[k] = exp(weights[k] - largest)
        spreads[k] = inverse_scale[k]
    total = 0.0
    for k in range(eta.size):
        total += weights[k]
    for k in range(eta.size):
        weights[k] /= total


@exact
def mixtures(
    padded: Integers,
    base: Integers,
    rows: Integers,
    offsets: Integers,
    first_row_offsets: Integers,
    matrix: Floats,
    offset: Floats,
    beta2: Floats,
    eta: Floats,
    precision: Floats,
    inverse_scale: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Weights, means and inverse scales, (n, C * S) each, of the pixels at `base`.

    Arguments:
        padded: The flattened padded canvas of integers.
        base: Where the pixels lie in it, (n,).
        rows: Their rows, repeated for every image.
        offsets, first_row_offsets: Steps from a pixel to its inputs, (D,).
    """
    num_features, num_components = beta2.shape
    num_rows = num_features + num_components
    num_experts = eta.size
    weights = np.empty((base.size, num_experts))
    means = np.empty((base.size, num_experts))
    spreads = np.empty((base.size, num_experts))
    z = np.empty((GROUP, num_rows))
    energy = np.empty(num_components)
    for start in range(0, base.size, GROUP):
        count = min(GROUP, base.size - start)
        for i in range(count):
            z[i] = offset
        for d in range(matrix.shape[0]):
            for i in range(count):
                first = rows[(start + i) % rows.size] == 0
                step = first_row_offsets[d] if first else offsets[d]
                value = np.float64(padded[base[start + i] + step])
                for n in range(num_rows):
                    z[i, n] += value * matrix[d, n]
        for i in range(count):
            row = start + i
            places = weights[row], means[row], spreads[row]
            weigh(z[i], places, beta2, eta, precision, inverse_scale, energy)
    return weights, means, spreads


@exact
def place(
    canvas: Integers,
    where: Integers,
    padded: Integers,
    y: Integers,
    x: Integers,
    width: int,
    reach: int,
) -> None:
    """Copies the values of a step from the canvas to the padded canvas, borders included.

    `padded` has the shape (B, H', W'): the step's plane of every image. Only the padding that
    causal contexts can see is kept up: left, right, top.
    """
    for i in range(where.size):
        image, j = divmod(i, y.size)
        plane = padded[image]
        value = canvas[where[i]]
        row, column = y[j] + reach, x[j] + reach
        plane[row, column] = value
        if x[j] == width - 1:
            plane[row, column + 1 :] = value
        if x[j] == 0:
            plane[row + 1, :reach] = value
        if y[j] == 0:
            plane[:reach, column] = value
            if x[j] == 0:
                plane[: row + 1, :reach] = value
            if x[j] == width - 1:
                plane[:reach, column + 1 :] = value
