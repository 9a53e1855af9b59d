"""Log-density of the factorized MCGSM and its gradient on the CPU: one compiled pass over pixels.

The formulas are those of `kernels`; a pixel's gates, posterior and gradients stay in registers and
the innermost cache, where PyTorch would write each of them to memory and read it again.
"""

from __future__ import annotations

import numpy as np

from imprior.distributions.compiling import free
from imprior.distributions.elementary import exponential

HALF_LOG_TWO_PI = 0.5 * np.log(2 * np.pi)


@free
def density(  # type: ignore[no-untyped-def]
    z, y, means, beta2, eta, alpha, precision, half, by_beta2, by_eta, by_alpha
):
    """Adds gradients of the sum of log-densities of a chunk; returns the sum, nats.

    Arguments:
        z: Features and means before `means` are added, (n, F + C); replaced by their gradients.
        y: Targets, (n,).
        means: (C,).
        beta2: (F, C).
        eta, alpha, precision: (S, C); precision is e^alpha.
        half: 0.5 in the precision of the others.
        by_beta2, by_eta, by_alpha: What gradients are added to, shaped as above.
    """
    num_features, num_components = beta2.shape
    num_scales = eta.shape[0]
    gate, posterior = np.empty_like(eta), np.empty_like(eta)
    room = np.empty((5, num_components), eta.dtype)
    energy, residual, squared, by_energy, by_mean = room[0], room[1], room[2], room[3], room[4]
    total = 0.0
    for i in range(z.shape[0]):
        features, mu = z[i, :num_features], z[i, num_features:]
        energy[:] = 0
        for n in range(features.size):
            square, row = features[n] * features[n], beta2[n]
            for c in range(energy.size):
                energy[c] += square * row[c]
        for c in range(energy.size):
            residual[c] = y[i] - mu[c] - means[c]
            squared[c] = residual[c] * residual[c]
        for s in range(num_scales):
            g, r, a, p, e = gate[s], posterior[s], alpha[s], precision[s], eta[s]
            for c in range(energy.size):
                g[c] = e[c] - half * p[c] * energy[c]
                r[c] = g[c] + half * (a[c] - p[c] * squared[c])
        total += _softmax(posterior, by_mean) - _softmax(gate, by_mean)
        by_energy[:] = 0
        by_mean[:] = 0
        for s in range(num_scales):
            g, r, p, to_eta, to_alpha = gate[s], posterior[s], precision[s], by_eta[s], by_alpha[s]
            for c in range(energy.size):
                by_gate = r[c] - g[c]
                by_exponent = half * p[c] * by_gate
                to_eta[c] += by_gate
                to_alpha[c] += half * (r[c] - r[c] * p[c] * squared[c]) - by_exponent * energy[c]
                by_energy[c] -= by_exponent
                by_mean[c] += r[c] * p[c]
        _through_squares(features, beta2, by_energy, by_beta2)
        for c in range(energy.size):
            mu[c] = by_mean[c] * residual[c]
    return total - z.shape[0] * HALF_LOG_TWO_PI


@free
def _through_squares(features, beta2, by_energy, by_beta2):  # type: ignore[no-untyped-def]
    """Replaces features by their gradients, given those of energies; adds those by `beta2`."""
    for n in range(features.size):
        row, to_row, square = beta2[n], by_beta2[n], features[n] * features[n]
        by_square = square - square
        for c in range(by_energy.size):
            by_square += row[c] * by_energy[c]
            to_row[c] += square * by_energy[c]
        features[n] = (by_square + by_square) * features[n]


@free
def _softmax(logits, room):  # type: ignore[no-untyped-def]
    """Replaces logits (S, C) by their softmax; returns log sum exp."""
    room[:] = logits[0]
    for s in range(1, logits.shape[0]):
        row = logits[s]
        for c in range(room.size):
            room[c] = row[c] if row[c] > room[c] else room[c]
    largest = room[0]
    for c in range(room.size):
        largest = max(largest, room[c])
    flat = logits.reshape(-1)
    total = largest - largest
    for k in range(flat.size):
        flat[k] = exponential(flat[k] - largest)
        total += flat[k]
    for k in range(flat.size):
        flat[k] /= total
    return largest + np.log(total)
