# mypy: ignore-errors
"""k-means for product quantisation: 256 centroids, the nearest found in vectors of sixteen."""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.vectors import fma, load, maximum, splat, store

CENTROIDS, LANES = 256, 16
EPSILON = np.float32(1e-7)


@inline
def lay_out(centroids, columns, table):
    """Write the centroids column by column, then -|c|^2 / 2, so that the nearest one has the greatest score."""
    for c in range(CENTROIDS):
        half = np.float32(0)
        for k in range(columns):
            value = centroids[c * columns + k]
            table[k * CENTROIDS + c] = value
            half += value * value
        table[columns * CENTROIDS + c] = -half / np.float32(2)


@inline
def nearest(points, start, columns, table, scores):
    """Return the centroid nearest to points[start : start + columns]; of equal ones that of the lowest lane."""
    best = splat(np.float32(-3e38))
    for group in range(0, CENTROIDS, LANES):
        score = load(table, columns * CENTROIDS + group)
        for k in range(columns):
            score = fma(splat(points[start + k]), load(table, k * CENTROIDS + group), score)
        store(scores, group, score)
        best = maximum(best, score)
    store(scores, CENTROIDS, best)
    lane = 0
    for i in range(1, LANES):
        if scores[CENTROIDS + i] > scores[CENTROIDS + lane]:
            lane = i
    top = scores[CENTROIDS + lane]
    for group in range(0, CENTROIDS, LANES):
        if scores[group + lane] == top:
            return group + lane
    return lane


@kernel("void(const f4[:], i8, f4[:], i8, const f8[:], f4[:], f4[:], f8[:], i8[:])")
def cluster(points, columns, centroids, iterations, randoms, table, scores, sums, sizes):
    """Run k-means on flat points in place of `centroids` (flat, 256 of them, filled with starting points).

    A cluster without points takes half of another, drawn in proportion to their sizes by `randoms` in [0, 1).
    table: float32 [(columns + 1) * 256]; scores: float32 [272]; sums: float64 [256 * columns]; sizes: int64 [256].
    """
    count = len(points) // columns
    drawn = 0
    for _ in range(iterations):
        lay_out(centroids, columns, table)
        sums[:] = 0.0
        sizes[:] = 0
        for i in range(count):
            c = nearest(points, i * columns, columns, table, scores)
            sizes[c] += 1
            for k in range(columns):
                sums[c * columns + k] += np.float64(points[i * columns + k])
        for c in range(CENTROIDS):
            if sizes[c] > 0:
                for k in range(columns):
                    centroids[c * columns + k] = np.float32(sums[c * columns + k] / sizes[c])
        for c in range(CENTROIDS):
            if sizes[c] > 0:
                continue
            donor, steps = 0, 0
            while steps < 100 * CENTROIDS and randoms[drawn] * (count - CENTROIDS) >= sizes[donor] - 1:
                donor = (donor + 1) % CENTROIDS
                drawn = (drawn + 1) % len(randoms)
                steps += 1
            for k in range(columns):
                sign = EPSILON if k % 2 else -EPSILON
                centroids[c * columns + k] = centroids[donor * columns + k] + sign
                centroids[donor * columns + k] -= sign
            sizes[c] = sizes[donor] // 2
            sizes[donor] -= sizes[c]


@kernel("void(const f4[:], i8, const f4[:], u1[:], f4[:], f4[:])")
def encode(points, columns, centroids, codes, table, scores):
    """Write the code of the nearest centroid of every point."""
    lay_out(centroids, columns, table)
    for i in range(len(codes)):
        codes[i] = nearest(points, i * columns, columns, table, scores)
