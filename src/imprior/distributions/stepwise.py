r"""Chained mixtures of logistics one channel after another: what a codec counts with, compiled.

Which component a pixel has is told by its channels so far,

.. math::
    \pi_k \prod_{d < c} p_k(x_d \mid x_{<d}), \quad
    p_k(x) = \sigma(u) - \sigma(l) = e^{\min(u, 0) - \max(l, 0)}\,
    \frac{1 - e^{l - u}}{(1 + e^{-|u|}) (1 + e^{-|l|})},

with u and l the ends of the bin in scales. Powers are added and fractions multiplied, so that
nothing underflows and no logarithm is needed: double precision, sums in a fixed order and
`frequencies.exp` alone, the same bits on every machine for the same output of a network.
"""

from __future__ import annotations

from numba import njit

from imprior.distributions.elementary import exponential, tanh

compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
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
    first = count * (1 + channel)
    last = first + count * channels
    turn = count * (1 + 2 * channels + channel * (channel - 1) // 2)
    for q in range(len(parameters)):
        row, mean, inverse = parameters[q], means[q], inverse_scales[q]
        for k in range(count):
            mean[k] = float(row[first + k]) * half + centre[q, channel]
            inverse[k] = exponential(-min(max(float(row[last + k]), low), high)) / half
        for earlier in range(channel):
            residual = values[q, earlier] - float(centre[q, earlier])
            slopes = row[turn + earlier * count : turn + (earlier + 1) * count]
            for k in range(count):
                mean[k] += tanh(float(slopes[k])) * residual


@compiled
def weigh(powers, fractions, weights):  # type: ignore[no-untyped-def]
    """Writes the weights e^power * fraction, normalized; all float64 (n, K)."""
    for q in range(len(weights)):
        row, largest, total = weights[q], powers[q].max(), 0.0
        for k in range(row.size):
            row[k] = fractions[q, k] * exponential(powers[q, k] - largest)
        for k in range(row.size):
            total += row[k]
        for k in range(row.size):
            row[k] /= total


@compiled
def observe(  # type: ignore[no-untyped-def]
    values, means, inverse_scales, largest, powers, fractions
):
    """Multiplies the weights of components by the masses that they give to values.

    Arguments:
        values: Integers in [0, `largest`], (n,).
        means, inverse_scales: float64 (n, K).
        powers, fractions: Changed, float64 (n, K). The largest fraction of a row becomes 1.
    """
    for q in range(values.size):
        value, power, fraction = values[q], powers[q], fractions[q]
        for k in range(power.size):
            inverse = inverse_scales[q, k]
            upper = (value - means[q, k] + 0.5) * inverse
            lower = (value - means[q, k] - 0.5) * inverse
            up = 1.0 / (1.0 + exponential(-abs(upper)))
            down = 1.0 / (1.0 + exponential(-abs(lower)))
            # The first bin takes all below it, the last one all above.
            if value == 0:
                power[k] += min(upper, 0.0)
                fraction[k] *= up
            elif value == largest:
                power[k] -= max(lower, 0.0)
                fraction[k] *= down
            else:
                power[k] += min(upper, 0.0) - max(lower, 0.0)
                fraction[k] *= up * down * (1.0 - exponential(-inverse))
        most = fraction.max()
        for k in range(power.size):
            fraction[k] /= most
