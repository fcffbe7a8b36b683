"""Vectors of lines of text: the mean of their words' unit vectors, plain or weighted by rarity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.vectors.keyed_vectors import KeyedVectors

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class SentenceVectors:
    """Float32 [lines, d], 0 where no word of a line is known; how many words there were, and how many known."""

    matrix: Matrix
    tokens: int
    known: int
    empty: int


def inverse_document_frequencies(lines: Iterable[Sequence[str]]) -> dict[str, float]:
    """Return word -> ln(lines / lines that have it)."""
    counts: Counter[str] = Counter()
    total = 0
    for words in lines:
        total += 1
        counts.update(set(words))
    return {word: math.log(total / count) for word, count in counts.items()}


def sentence_vectors(
    vectors: KeyedVectors, lines: Sequence[Sequence[str]], weights: dict[str, float] | None = None
) -> SentenceVectors:
    """Return the mean of the unit vectors of each line's words, weighted by `weights` (None: all 1).

    A word without a weight gets the largest there is: it is the rarest.
    """
    largest = max(weights.values(), default=1.0) if weights is not None else 1.0
    matrix = np.zeros((len(lines), vectors.dimension), np.float32)
    tokens = known = empty = 0
    for number, words in enumerate(lines):
        tokens += len(words)
        rows = [vectors.index[word] for word in words if word in vectors.index]
        known += len(rows)
        if not rows:
            empty += 1
            continue
        chosen = np.ones(len(rows))
        if weights is not None:
            chosen = np.array([weights.get(vectors.words[row], largest) for row in rows])
        # a line of words that stand in all lines has no weight left: its plain mean
        total = float(chosen.sum())
        share = chosen / total if total > 0 else np.full(len(rows), 1 / len(rows))
        matrix[number] = share @ vectors.unit(rows).astype(np.float64)
    return SentenceVectors(matrix, tokens, known, empty)
