"""How good a clustering is: by its own geometry, and against labels.

Names and conventions are scikit-learn's: silhouette 0 for a cluster of one row, NMI by the arithmetic mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlkit.clustering.rows import Labels, Matrix, Reals
from mlkit.errors import DataError
from mlkit.threads import blas_threads

_BLOCK = 512  # rows of the table of distances at a time


def silhouette(points: Matrix, labels: Labels) -> float:
    """Return the mean of (b - a) / max(a, b): mean distance to the own cluster (a) and the nearest other one (b).

    Time grows with the square of the rows. Source: Rousseeuw (1987).
    """
    used, places = np.unique(labels, return_inverse=True)
    if not 2 <= len(used) <= len(points) - 1:
        raise DataError(f"a silhouette needs 2 clusters or more, and fewer than rows; these are {len(used)}")
    rows = points.astype(np.float64)
    rows -= rows.mean(axis=0)
    lengths = (rows**2).sum(axis=1)
    member = np.zeros((len(rows), len(used)))
    member[np.arange(len(rows)), places] = 1.0
    sizes = member.sum(axis=0)
    total = 0.0
    with blas_threads(1):
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(rows)))
            squared = lengths[part, None] + lengths[None, :] - 2.0 * (rows[part] @ rows.T)
            inside = np.arange(part.start, part.stop)
            squared[np.arange(len(inside)), inside] = 0.0
            sums = np.sqrt(np.maximum(squared, 0.0)) @ member
            own = places[part]
            lines = np.arange(len(own))
            a = sums[lines, own] / np.maximum(sizes[own] - 1, 1)
            means = sums / sizes
            means[lines, own] = np.inf
            b = means.min(axis=1)
            largest = np.maximum(a, b)
            score = np.where(largest > 0, (b - a) / np.where(largest > 0, largest, 1.0), 0.0)
            total += float(np.where(sizes[own] > 1, score, 0.0).sum())
    return total / len(rows)


def geometry(points: Matrix, labels: Labels) -> dict[str, float]:
    """Return Calinski-Harabasz (between over within variance) and Davies-Bouldin (lower is better).

    Both are of the means of the clusters as they are labelled, whatever the centres of the model.
    """
    used, places = np.unique(labels, return_inverse=True)
    k, n = len(used), len(points)
    if not 2 <= k <= n - 1:
        return {}
    rows = points.astype(np.float64)
    sizes = np.bincount(places)
    means = np.zeros((k, rows.shape[1]))
    np.add.at(means, places, rows)
    means /= sizes[:, None]
    squared = ((rows - means[places]) ** 2).sum(axis=1)
    within = float(squared.sum())
    between = float((sizes * ((means - rows.mean(axis=0)) ** 2).sum(axis=1)).sum())
    spread = np.bincount(places, np.sqrt(squared)) / sizes
    gaps = np.sqrt(((means[:, None, :] - means[None, :, :]) ** 2).sum(axis=2)) if k <= 64 else _gaps(means)
    np.fill_diagonal(gaps, np.inf)
    found = {"calinski_harabasz": between / within * (n - k) / (k - 1) if within > 0 else 1.0}
    if gaps.min() > 0:
        found["davies_bouldin"] = float(((spread[:, None] + spread[None, :]) / gaps).max(axis=1).mean())
    return found


def _gaps(means: Reals) -> Reals:
    """Return the distances of all pairs, row by row: less memory."""
    return np.array([np.sqrt(((means - mean) ** 2).sum(axis=1)) for mean in means])


def against_labels(truth: NDArray[np.integer], labels: Labels) -> dict[str, float]:
    """Return ARI, NMI (arithmetic mean), purity, homogeneity, completeness and V-measure of one table of counts.

    Sources: Hubert and Arabie (1985); Rosenberg and Hirschberg (2007).
    """
    _, rows = np.unique(truth, return_inverse=True)
    _, columns = np.unique(labels, return_inverse=True)
    k = int(columns.max()) + 1
    table = np.bincount(rows * k + columns, minlength=(int(rows.max()) + 1) * k).reshape(-1, k)
    of_truth, of_labels = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    shared = max(of_truth + of_labels - _entropy(table.ravel()), 0.0)
    homogeneity = shared / of_truth if of_truth else 1.0
    completeness = shared / of_labels if of_labels else 1.0
    both = homogeneity + completeness
    v = 2.0 * homogeneity * completeness / both if both else 0.0
    return {
        "ari": _adjusted_rand(table), "nmi": v, "purity": float(table.max(axis=0).sum() / table.sum()),
        "homogeneity": homogeneity, "completeness": completeness, "v_measure": v,
    }  # fmt: skip


def _entropy(counts: NDArray[np.integer]) -> float:
    known = counts[counts > 0] / counts.sum()
    return float(-(known * np.log(known)).sum())


def _adjusted_rand(table: NDArray[np.integer]) -> float:
    """Return the part of pairs on which both agree, adjusted for chance."""

    def pairs(counts: NDArray[np.integer]) -> float:
        exact = counts.astype(np.float64)
        return float((exact * (exact - 1) / 2).sum())

    both, first, second = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    every = pairs(table.sum(keepdims=True))
    expected = first * second / every if every else 0.0
    mean = (first + second) / 2
    return 1.0 if mean == expected else (both - expected) / (mean - expected)
