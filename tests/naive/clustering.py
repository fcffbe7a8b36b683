"""k-means and mixtures, slow and obvious: one row and one centre at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = Sequence[float]


def squared_distance(row: Point, centre: Point) -> float:
    """Return the squared Euclidean distance."""
    return sum((float(x) - float(c)) ** 2 for x, c in zip(row, centre, strict=True))


def nearest(row: Point, centres: Sequence[Point]) -> tuple[int, float, float]:
    """Return the nearest centre (the first of equal ones), the squared distance to it, and that to the next one."""
    distances = [squared_distance(row, centre) for centre in centres]
    label = distances.index(min(distances))
    others = distances[:label] + distances[label + 1 :]
    return label, distances[label], min(others, default=math.inf)


def lloyd(rows: Sequence[Point], start: Sequence[Point], rounds: int) -> tuple[list[int], list[list[float]]]:
    """Return labels and centres after so many rounds, or when no label changes."""
    centres = [list(map(float, centre)) for centre in start]
    labels: list[int] = []
    for _ in range(rounds):
        found = [nearest(row, centres)[0] for row in rows]
        for c in range(len(centres)):
            own = [row for row, label in zip(rows, found, strict=True) if label == c]
            if own:
                centres[c] = [sum(map(float, column)) / len(own) for column in zip(*own, strict=True)]
        if found == labels:
            break
        labels = found
    return [nearest(row, centres)[0] for row in rows], centres


def may_change(upper: float, lower: float, step: float, others: float, gap: float, distance: float) -> bool:
    """Say whether Hamerly's bounds leave open that a row changes its cluster, after the centres have moved.

    step: of its own centre; others: the longest of any other; gap: half the distance to the next centre.
    """
    limit = max(lower - others, gap)
    return upper + step >= limit and distance >= limit


def potential(
    rows: Sequence[Point], centres: Sequence[Point], weights: Sequence[float] | None = None
) -> float:
    """Return the weighted sum of squared distances to the nearest centre."""
    weights = weights if weights is not None else [1.0] * len(rows)
    return sum(w * nearest(row, centres)[1] for row, w in zip(rows, weights, strict=True))


def log_density(row: Point, mean: Point, covariance: Sequence[Point]) -> float:
    """Return the log density of a Gaussian, by Gaussian elimination."""
    d = len(row)
    table = [[*map(float, covariance[i]), float(row[i]) - float(mean[i])] for i in range(d)]
    right = [line[-1] for line in table]
    log_determinant = 0.0
    for i in range(d):
        log_determinant += math.log(table[i][i])
        for j in range(i + 1, d):
            factor = table[j][i] / table[i][i]
            table[j] = [a - factor * b for a, b in zip(table[j], table[i], strict=True)]
    solved = [0.0] * d
    for i in reversed(range(d)):
        rest = sum(table[i][j] * solved[j] for j in range(i + 1, d))
        solved[i] = (table[i][-1] - rest) / table[i][i]
    length = sum(a * b for a, b in zip(right, solved, strict=True))
    return -0.5 * (d * math.log(2 * math.pi) + log_determinant + length)


def responsibilities(
    rows: Sequence[Point],
    weights: Point,
    means: Sequence[Point],
    covariances: Sequence[Sequence[Point]],
    *,
    hard: bool,
) -> tuple[list[list[float]], float]:
    """Return the components' parts of every row, and the mean log density (hard: of the best component)."""
    parts, total = [], 0.0
    for row in rows:
        logs = [
            math.log(w) + log_density(row, mean, matrix)
            for w, mean, matrix in zip(weights, means, covariances, strict=True)
        ]
        most = max(logs)
        if hard:
            total += most
            parts.append([float(c == logs.index(most)) for c in range(len(logs))])
        else:
            whole = most + math.log(sum(math.exp(value - most) for value in logs))
            total += whole
            parts.append([math.exp(value - whole) for value in logs])
    return parts, total / len(rows)
