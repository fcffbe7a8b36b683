"""Aligned vectors, slow and obvious: one pair of words at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]


def cosine(x: Vector, y: Vector) -> float:
    """Return the cosine of two vectors."""
    return sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(
        sum(a * a for a in x) * sum(b * b for b in y)
    )


def mean_of_highest(values: Sequence[float], k: int) -> float:
    """Return the mean of the k highest values."""
    highest = sorted(values, reverse=True)[:k]
    return sum(highest) / len(highest)


def csls(source: Sequence[Vector], target: Sequence[Vector], k: int) -> list[list[float]]:
    """Return 2 cos(x, y) - r(x) - r(y) for all pairs."""
    cosines = [[cosine(x, y) for y in target] for x in source]
    rows = [mean_of_highest(row, k) for row in cosines]
    columns = [mean_of_highest([row[j] for row in cosines], k) for j in range(len(target))]
    return [
        [2 * value - rows[i] - columns[j] for j, value in enumerate(row)] for i, row in enumerate(cosines)
    ]


def mutual(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the pairs that are each other's best."""
    forth = [row.index(max(row)) for row in scores]
    columns = list(zip(*scores, strict=True))
    back = [column.index(max(column)) for column in columns]
    return [(i, j) for i, j in enumerate(forth) if back[j] == i]


def inverted_softmax(
    source: Sequence[Vector], target: Sequence[Vector], temperature: float
) -> list[list[float]]:
    """Return exp(t cos(x, y)) / sum over x' of exp(t cos(x', y))."""
    raised = [[math.exp(temperature * cosine(x, y)) for y in target] for x in source]
    sums = [sum(row[j] for row in raised) for j in range(len(target))]
    return [[value / sums[j] for j, value in enumerate(row)] for row in raised]


def precision(ranked: dict[str, list[str]], wanted: dict[str, set[str]], k: int) -> float:
    """Return the percentage of words with a wanted translation among the first k."""
    right = sum(bool(wanted[word] & set(ranked[word][:k])) for word in wanted)
    return 100 * right / len(wanted)


def sentence(words: Sequence[str], vectors: dict[str, Vector], weight: dict[str, float]) -> list[float]:
    """Return the weighted mean of the unit vectors of the known words."""
    known = [word for word in words if word in vectors]
    total = sum(weight[word] for word in known)
    result = [0.0] * len(next(iter(vectors.values())))
    for word in known:
        length = math.sqrt(sum(value * value for value in vectors[word]))
        for place, value in enumerate(vectors[word]):
            result[place] += weight[word] / total * value / length
    return result
