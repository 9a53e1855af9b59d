"""Log-masses of chained mixtures of logistics on the CPU: one compiled pass over pixels.

The formulas are those of `channels` and `logistic.log_bin_mass`; what PyTorch would write to memory
and read again some forty times stays in the innermost cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imprior.distributions.compiling import free
from imprior.distributions.elementary import exponential, logarithm, one_minus_square, tanh

Array = NDArray[Any]

ZERO, ONE = np.float32(0), np.float32(1)
HALF, SIXTH = np.float32(0.5), np.float32(1 / 6)


@free
def log_masses(  # type: ignore[no-untyped-def]
    parameters, centre, values, components, limits, masses, gradient
):
    """Writes log-masses, and the gradients of their sum over the channels of each pixel.

    Arguments:
        parameters: As `ChannelMixture` takes them, (n, M).
        centre: (n, C), in grey levels.
        values: Integers (n, C).
        components: K.
        limits: Half the range; smallest and largest logarithm of a scale; the inverse scale below
            which 1 - e^-r needs its series; all of the dtype of the parameters.
        masses: Written, (n, C).
        gradient: Written, (n, M), if there is room for it.
    """
    half, low, high, small = limits
    count, channels, last = components, values.shape[1], int(2 * half) - 1
    size, dtype = channels * components, parameters.dtype
    distance, rate, mass = np.empty(size, dtype), np.empty(size, dtype), np.empty(size, dtype)
    tails = np.empty((3, size), dtype)
    turn = np.empty(parameters.shape[1] - count - 2 * size, dtype)
    residual = np.empty(channels, dtype)
    joint, prior, after = np.empty(count, dtype), np.empty(count, dtype), np.empty(count, dtype)
    for q in range(parameters.shape[0]):
        row = parameters[q]
        scales, slopes = row[count + size : count + 2 * size], row[count + 2 * size :]
        for c in range(channels):
            residual[c] = values[q, c] - centre[q, c]
        for k in range(turn.size):
            turn[k] = tanh(slopes[k])
        for k in range(size):
            rate[k] = exponential(-min(max(scales[k], low), high)) / half
        place(row[count : count + size], turn, residual, half, distance)
        weigh(distance, rate, small, mass, tails)
        for c in range(channels):
            if values[q, c] == 0 or values[q, c] == last:
                mine = slice(c * count, (c + 1) * count)
                open_end(distance[mine], rate[mine], values[q, c] == 0, mass[mine], tails[:, mine])
        joint[:] = row[:count]
        total = soften(joint, prior)
        for c in range(channels):
            own, before = mass[c * count : (c + 1) * count], total
            for k in range(count):
                joint[k] += own[k]
            total = soften(joint, after)
            masses[q, c] = total - before
        if gradient.shape[0]:
            out, by_distance = gradient[q], mass  # which is not needed any more
            for k in range(count):
                out[k] = after[k] - prior[k]
            by_means, by_scales = out[count : count + size], out[count + size : count + 2 * size]
            spread(after, distance, rate, tails, half, by_distance, by_means, by_scales)
            for k in range(size):
                if not low < scales[k] < high:
                    by_scales[k] = ZERO
            turn_back(by_distance, turn, residual, out[count + 2 * size :])


@free
def place(means, turn, residual, half, distance):  # type: ignore[no-untyped-def]
    """Writes how far values are from the means, in grey levels, given earlier channels."""
    count = means.size // residual.size
    for c in range(residual.size):
        own, mean = distance[c * count : (c + 1) * count], means[c * count : (c + 1) * count]
        for k in range(count):
            own[k] = residual[c] - half * mean[k]
        for earlier in range(c):
            first = (c * (c - 1) // 2 + earlier) * count
            moved, by = turn[first : first + count], residual[earlier]
            for k in range(count):
                own[k] -= moved[k] * by


@free
def spread(  # type: ignore[no-untyped-def]
    posterior, distance, rate, tails, half, by_distance, by_means, by_scales
):
    """Writes the gradients by distances, by means and by logarithms of scales."""
    count = posterior.size
    for c in range(distance.size // count):
        for k in range(count):
            n = c * count + k
            above, below, rest = tails[0, n], tails[1, n], tails[2, n]
            weight = posterior[k] * rate[n]
            by_distance[n] = weight * (above - below)
            by_means[n] = -half * by_distance[n]
            by_rate = above * (distance[n] + HALF) - below * (distance[n] - HALF) + rest
            by_scales[n] = -weight * by_rate


@free
def turn_back(by_distance, turn, residual, out):  # type: ignore[no-untyped-def]
    """Writes the gradient by the slopes before their tanh: the way back of `place`."""
    count = by_distance.size // residual.size
    for c in range(residual.size):
        own = by_distance[c * count : (c + 1) * count]
        for earlier in range(c):
            first = (c * (c - 1) // 2 + earlier) * count
            moved, by = turn[first : first + count], residual[earlier]
            result = out[first : first + count]
            for k in range(count):
                result[k] = -own[k] * by * one_minus_square(moved[k])


@free
def weigh(distance, rate, small, mass, tails):  # type: ignore[no-untyped-def]
    """Log-masses of bins of width 1, and what their derivatives are made of.

    With u and l the ends of the bin in scales and r the inverse scale: sigma(-u), sigma(l) and
    e^-r / (1 - e^-r).
    """
    above, below, rest = tails[0], tails[1], tails[2]
    for k in range(mass.size):
        r = rate[k]
        upper, lower = (distance[k] + HALF) * r, (distance[k] - HALF) * r
        e_upper, e_lower, e_rate = (
            exponential(-abs(upper)),
            exponential(-abs(lower)),
            exponential(-r),
        )
        up, down = ONE / (ONE + e_upper), ONE / (ONE + e_lower)
        above[k] = up * e_upper if upper > ZERO else up
        below[k] = down if lower > ZERO else down * e_lower
        # Where 1 - e^-r has lost its digits, its series has not.
        width = r * (ONE - r * (HALF - r * SIXTH)) if r < small else ONE - e_rate
        rest[k] = e_rate / width
        mass[k] = min(upper, ZERO) - max(lower, ZERO) + logarithm(up * down * width)


@free
def open_end(distance, rate, first, mass, tails):  # type: ignore[no-untyped-def]
    """The same for a first bin, which takes all below it, or a last one, which takes all above."""
    for k in range(mass.size):
        end = (distance[k] + HALF) * rate[k] if first else (HALF - distance[k]) * rate[k]
        mass[k] = min(end, ZERO) - logarithm(ONE + exponential(-abs(end)))
        tails[1 if first else 0, k] = ZERO
        tails[2, k] = ZERO


@free
def soften(logits, out):  # type: ignore[no-untyped-def]
    """Writes the softmax; returns the logarithm of its denominator."""
    largest, total = logits[0], ZERO
    for k in range(logits.size):
        largest = max(largest, logits[k])
    for k in range(logits.size):
        out[k] = exponential(logits[k] - largest)
        total += out[k]
    for k in range(logits.size):
        out[k] /= total
    return largest + logarithm(total)
