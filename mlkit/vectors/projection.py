"""Vectors in the plane: principal components of a few chosen words, for pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.vectors.keyed_vectors import KeyedVectors
from mlkit.vectors.queries import Query, neighbours


def with_neighbours(vectors: KeyedVectors, words: Iterable[str], nearest: int) -> list[list[str]]:
    """Return each word followed by its `nearest` neighbours; a word appears once, where it comes first."""
    asked = list(dict.fromkeys(words))
    if not asked:
        raise UsageError("no words to show")
    seen = set(asked)
    groups = []
    for word in asked:
        found = neighbours(vectors, Query(word, (word,)), nearest) if nearest else []
        new = [near for near, _ in found if near not in seen]
        seen.update(new)
        groups.append([vectors.words[vectors.row(word)], *new])
    return groups


def principal_plane(
    vectors: KeyedVectors, words: list[str]
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return the coordinates of words in the plane of most variance, and the share of variance on each axis.

    Vectors are scaled to length 1 and centred first. Coordinates are float64 [words, 2]; the sign of an axis is
    chosen so that its largest coordinate is positive. Raises `UnknownWord`.
    """
    rows = vectors.unit([vectors.row(word) for word in words]).astype(np.float64)
    centred = rows - rows.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(words), 2))
    axes = min(2, len(strengths))
    plane[:, :axes] = left[:, :axes] * strengths[:axes]
    for axis in range(2):
        column = plane[:, axis]
        if column[np.argmax(np.abs(column))] < 0:
            plane[:, axis] = -column
    total = float((strengths**2).sum()) or 1.0
    shares = [float(strength**2) / total for strength in strengths[:2]] + [0.0, 0.0]
    return plane, (shares[0], shares[1])
