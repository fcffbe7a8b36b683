# mypy: ignore-errors
"""Gaussian mixtures: densities, responsibilities and the sums of the next M step in one pass over blocks of rows.

A block is turned so that a column's values are side by side: all inner loops run over rows, in vectors.
Differences to the old means are formed first and sums are of differences: nothing cancels.
"""

import math

from mlkit.jit import REASSOCIATE, inline, kernel

BLOCK = 128  # rows


@inline(fastmath=REASSOCIATE)
def _take(rows, begin, width, turned):
    for i in range(rows.shape[1]):
        for p in range(width):
            turned[i, p] = rows[begin + p, i]


@inline(fastmath=REASSOCIATE)
def _differences(turned, mean, width, out):
    for i in range(mean.size):
        centre = mean[i]
        for p in range(width):
            out[i, p] = turned[i, p] - centre


@inline(fastmath=REASSOCIATE)
def _respond(scores, width, hard, likelihood):
    """Turn the components' log densities into responsibilities; write the log density of each row."""
    count = scores.shape[0]
    for p in range(width):
        most = scores[0, p]
        best = 0
        for c in range(1, count):
            if scores[c, p] > most:
                most = scores[c, p]
                best = c
        if hard:
            likelihood[p] = most
            for c in range(count):
                scores[c, p] = 0.0
            scores[best, p] = 1.0
        else:
            total = 0.0
            for c in range(count):
                scores[c, p] = math.exp(scores[c, p] - most)
                total += scores[c, p]
            likelihood[p] = most + math.log(total)
            for c in range(count):
                scores[c, p] /= total


@kernel(
    "void(const f8[:,:], const f8[:,:], const f8[:,:,:], const f8[:], b1, f8[:,:], f8[:,:], f8[:,:], f8[:,:], "
    "f8[:], f8[:,:], f8[:,:,:], f8[:], f8[:,:])",
    fastmath=REASSOCIATE,
)
def full_step(
    rows, means, factors, logs, hard, turned, steps, scores, work, mass, sums, scatter, likelihood, chances
):
    """Take a chunk of rows through E and M of components with full covariances.

    rows [m, d]; means [k, d]; factors [k, d, d]: inverses of the lower Cholesky factors of the covariances; logs [k]:
    log weight - log determinant / 2 - d log(2 pi) / 2. hard: a row belongs to one component. turned, steps
    [d, BLOCK], scores [k, BLOCK], work [2, BLOCK]: scratch. Added to: mass [k], sums [k, d] of r (x - mean), scatter
    [k, d, d] of r (x - mean)(x - mean)' (lower half). likelihood [m]: log densities. chances: responsibilities [m, k],
    or of no rows.
    """
    k, d = means.shape
    for begin in range(0, rows.shape[0], BLOCK):
        width = min(BLOCK, rows.shape[0] - begin)
        _take(rows, begin, width, turned)
        for c in range(k):
            _differences(turned, means[c], width, steps)
            length, y = work[0], work[1]
            for p in range(width):
                length[p] = 0.0
            for j in range(d):
                for p in range(width):
                    y[p] = 0.0
                for i in range(j + 1):
                    factor = factors[c, j, i]
                    for p in range(width):
                        y[p] += factor * steps[i, p]
                for p in range(width):
                    length[p] += y[p] * y[p]
            for p in range(width):
                scores[c, p] = logs[c] - 0.5 * length[p]
        _respond(scores, width, hard, likelihood[begin : begin + width])
        if chances.shape[0]:
            for p in range(width):
                for c in range(k):
                    chances[begin + p, c] = scores[c, p]
            continue
        for c in range(k):
            part = scores[c]
            total = 0.0
            for p in range(width):
                total += part[p]
            if total == 0.0:
                continue
            mass[c] += total
            _differences(turned, means[c], width, steps)
            weighted = work[0]
            for i in range(d):
                total = 0.0
                for p in range(width):
                    weighted[p] = part[p] * steps[i, p]
                    total += weighted[p]
                sums[c, i] += total
                for j in range(i + 1):
                    total = 0.0
                    for p in range(width):
                        total += weighted[p] * steps[j, p]
                    scatter[c, i, j] += total


@kernel(
    "void(const f8[:,:], const f8[:,:], const f8[:,:], const f8[:], b1, f8[:,:], f8[:,:], f8[:,:], f8[:,:], "
    "f8[:], f8[:,:], f8[:,:], f8[:], f8[:,:])",
    fastmath=REASSOCIATE,
)
def diagonal_step(
    rows, means, inverses, logs, hard, turned, steps, scores, work, mass, sums, squares, likelihood, chances
):
    """Do what `full_step` does, for diagonal covariances.

    inverses [k, d]: 1 / standard deviation; squares [k, d]: sums of r (x - mean)^2.
    """
    k, d = means.shape
    for begin in range(0, rows.shape[0], BLOCK):
        width = min(BLOCK, rows.shape[0] - begin)
        _take(rows, begin, width, turned)
        for c in range(k):
            length = work[0]
            for p in range(width):
                length[p] = 0.0
            for i in range(d):
                mean, inverse = means[c, i], inverses[c, i]
                for p in range(width):
                    y = (turned[i, p] - mean) * inverse
                    length[p] += y * y
            for p in range(width):
                scores[c, p] = logs[c] - 0.5 * length[p]
        _respond(scores, width, hard, likelihood[begin : begin + width])
        if chances.shape[0]:
            for p in range(width):
                for c in range(k):
                    chances[begin + p, c] = scores[c, p]
            continue
        for c in range(k):
            part = scores[c]
            total = 0.0
            for p in range(width):
                total += part[p]
            mass[c] += total
            for i in range(d):
                mean = means[c, i]
                first = 0.0
                second = 0.0
                for p in range(width):
                    y = turned[i, p] - mean
                    first += part[p] * y
                    second += part[p] * y * y
                sums[c, i] += first
                squares[c, i] += second
