"""Elementwise work that numpy has no function for: GELU with the error function, sums of embedding rows."""

# mypy: ignore-errors
from __future__ import annotations

import math

from mlkit.jit import inline, kernel


@inline
def _normal_below(x):
    """Return the probability that a standard normal variable is below x."""
    return 0.5 * (1.0 + math.erf(x * 0.7071067811865476))


@kernel("void(const f4[:], f4[:], f4[:])")
def gelu(x, y, slope):
    """Write x * Phi(x) to y and its derivative to slope, float32."""
    for i in range(len(x)):
        below = _normal_below(x[i])
        y[i] = x[i] * below
        slope[i] = below + x[i] * math.exp(-0.5 * x[i] * x[i]) * 0.3989422804014327


@kernel("void(const f8[:], f8[:], f8[:])")
def gelu_double(x, y, slope):
    """Write x * Phi(x) to y and its derivative to slope, float64."""
    for i in range(len(x)):
        below = _normal_below(x[i])
        y[i] = x[i] * below
        slope[i] = below + x[i] * math.exp(-0.5 * x[i] * x[i]) * 0.3989422804014327


@kernel("void(f4[:,:], const i4[:], const i8[:], const f4[:,:])")
def scatter_means(table, ids, starts, rows):
    """Add rows[r] / (words of row r) to table[id] for the ids[starts[r]:starts[r + 1]] of every row r, float32."""
    for r in range(len(starts) - 1):
        count = starts[r + 1] - starts[r]
        for place in range(starts[r], starts[r + 1]):
            into = table[ids[place]]
            for k in range(table.shape[1]):
                into[k] += rows[r, k] / count


@kernel("void(f8[:,:], const i4[:], const i8[:], const f8[:,:])")
def scatter_means_double(table, ids, starts, rows):
    """Add rows[r] / (words of row r) to table[id] for the ids[starts[r]:starts[r + 1]] of every row r, float64."""
    for r in range(len(starts) - 1):
        count = starts[r + 1] - starts[r]
        for place in range(starts[r], starts[r + 1]):
            into = table[ids[place]]
            for k in range(table.shape[1]):
                into[k] += rows[r, k] / count


@kernel("void(const f4[:,:], const i4[:], const i8[:], f4[:,:])")
def gather_means(table, ids, starts, rows):
    """Write to rows[r] the mean of table[id] over ids[starts[r]:starts[r + 1]] (0 without any), float32."""
    for r in range(len(starts) - 1):
        out = rows[r]
        out[:] = 0
        count = starts[r + 1] - starts[r]
        for place in range(starts[r], starts[r + 1]):
            row = table[ids[place]]
            for k in range(table.shape[1]):
                out[k] += row[k]
        if count > 1:
            for k in range(table.shape[1]):
                out[k] /= count


@kernel("void(const f8[:,:], const i4[:], const i8[:], f8[:,:])")
def gather_means_double(table, ids, starts, rows):
    """Write to rows[r] the mean of table[id] over ids[starts[r]:starts[r + 1]] (0 without any), float64."""
    for r in range(len(starts) - 1):
        out = rows[r]
        out[:] = 0
        count = starts[r + 1] - starts[r]
        for place in range(starts[r], starts[r + 1]):
            row = table[ids[place]]
            for k in range(table.shape[1]):
                out[k] += row[k]
        if count > 1:
            for k in range(table.shape[1]):
                out[k] /= count
