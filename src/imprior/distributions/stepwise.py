r"""Chained mixtures of logistics one channel after another: what a codec counts with, compiled.

Which component a pixel has is told by its channels so far,

.. math::
    \pi_k \prod_{d < c} p_k(x_d \mid x_{<d}), \quad
    p_k(x) = \sigma(u) - \sigma(l) = e^{\min(u, 0) - \max(l, 0)}\,
    \frac{1 - e^{l - u}}{(1 + e^{-|u|}) (1 + e^{-|l|})},

with u and l the ends of the bin in scales. Powers are added and fractions multiplied, so that
nothing underflows and no logarithm is needed: double precision, sums in a fixed order and
`exponential.exp` alone, the same bits on every machine for the same output of a network.
"""

from __future__ import annotations

import numpy as np

from imprior.distributions.compiling import exact
from imprior.distributions.elementary import exponential, tanh


@exact
def exponentiate(x):  # type: ignore[no-untyped-def]
    """Replaces numbers by their exponentials: all at once, since long loops become vectors."""
    flat = x.reshape(-1)
    for i in range(flat.size):
        flat[i] = exponential(flat[i])


@exact
def place(  # type: ignore[no-untyped-def]
    parameters, centre, values, channel, limits, means, inverse_scales
):
    """Writes means, in grey levels, and inverse scales of a channel, given those before it.

    Arguments:
        parameters: As `ChannelMixture` takes them, (n, M).
        centre: (n, C), in grey levels.
        values: Integers (n, C).
        channel: Which.
        limits: Half the range; smallest and largest logarithm of a scale.
        means, inverse_scales: Written, float64 (n, K).
    """
    half, low, high = limits
    count, channels = means.shape[1], centre.shape[1]
    for q in range(len(means)):
        parts, middle = parameters[q, count:], np.float64(centre[q, channel])
        offsets = parts[channel * count : (channel + 1) * count]
        log_scales = parts[(channels + channel) * count : (channels + channel + 1) * count]
        slopes = parts[(2 * channels + channel * (channel - 1) // 2) * count :]
        for k in range(count):
            means[q, k] = offsets[k] * half + middle
            inverse_scales[q, k] = (
                exponential(-min(max(np.float64(log_scales[k]), low), high)) / half
            )
        for earlier in range(channel):
            residual = values[q, earlier] - np.float64(centre[q, earlier])
            turns = slopes[earlier * count : (earlier + 1) * count]
            for k in range(count):
                means[q, k] += tanh(np.float64(turns[k])) * residual


@exact
def weigh(powers, fractions, weights):  # type: ignore[no-untyped-def]
    """Writes the weights e^power * fraction, normalized; all float64 (n, K)."""
    rows, count = weights.shape
    for q in range(rows):
        largest = powers[q, 0]
        for k in range(count):
            largest = max(largest, powers[q, k])
        for k in range(count):
            weights[q, k] = powers[q, k] - largest
    exponentiate(weights)
    weights *= fractions
    for q in range(rows):
        total = 0.0
        for k in range(count):
            total += weights[q, k]
        for k in range(count):
            weights[q, k] /= total


@exact
def observe(  # type: ignore[no-untyped-def]
    values, means, inverse_scales, last, powers, fractions
):
    """Multiplies the weights of components by the masses that they give to values.

    Arguments:
        values: Integers in [0, `last`], (n,).
        means, inverse_scales: float64 (n, K).
        powers, fractions: Changed, float64 (n, K). The largest fraction of a row becomes 1.
    """
    rows, count = means.shape
    tails = np.empty((3, rows, count))
    for q in range(rows):
        # The first bin takes all below it, the last one all above.
        open_below, open_above = values[q] == 0, values[q] == last
        for k in range(count):
            inverse, distance = inverse_scales[q, k], values[q] - means[q, k]
            upper, lower = (distance + 0.5) * inverse, (distance - 0.5) * inverse
            powers[q, k] += 0.0 if open_above else min(upper, 0.0)
            powers[q, k] -= 0.0 if open_below else max(lower, 0.0)
            tails[0, q, k], tails[1, q, k], tails[2, q, k] = -abs(upper), -abs(lower), -inverse
    exponentiate(tails)
    for q in range(rows):
        above, below = 0.0 if values[q] == last else 1.0, 0.0 if values[q] == 0 else 1.0
        largest = 0.0
        for k in range(count):
            ends = (1.0 + above * tails[0, q, k]) * (1.0 + below * tails[1, q, k])
            fractions[q, k] *= (1.0 - above * below * tails[2, q, k]) / ends
            largest = max(largest, fractions[q, k])
        for k in range(count):
            fractions[q, k] /= largest
