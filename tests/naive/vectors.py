"""Word vectors, slowly: lines of text, nearest words, analogies, correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np


def parse_line(line: str, dimension: int) -> tuple[str, list[np.float32]]:
    """Return the word and numbers of one line, each number rounded to float64 and then to float32."""
    word, *numbers = line.rstrip().split(" ")
    assert len(numbers) == dimension
    return word, [np.float32(float(number)) for number in numbers]


def format_line(word: str, vector: Sequence[np.float32]) -> str:
    """Return the line of a word: of all decimals that read back as the same float32, the shortest, nearest one."""
    return " ".join([word, *(_shortest(value) for value in vector)])


def _shortest(value: np.float32) -> str:
    if not np.isfinite(value) or value == 0:
        return str(float(value))
    exact = Decimal(float(value))
    for digits in range(1, 10):
        unit = Decimal(1).scaleb(exact.adjusted() - digits + 1)
        around = [exact.quantize(unit, rounding) for rounding in (ROUND_FLOOR, ROUND_CEILING)]
        fitting = [decimal for decimal in around if np.float32(float(decimal)) == value]
        if fitting:
            # of two that are equally near the one with the even last digit
            odd = {decimal: decimal.as_tuple().digits[-1] % 2 for decimal in fitting}
            best = min(fitting, key=lambda decimal: (abs(decimal - exact), odd[decimal])).normalize()
            break
    if 1e-4 <= abs(float(value)) < 1e16:
        plain = f"{best:f}"
        return plain if "." in plain else plain + ".0"
    mantissa, exponent = f"{best:e}".split("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:]:0>2}"


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the cosine of two vectors."""
    dot = sum(float(a) * float(b) for a, b in zip(left, right, strict=True))
    return dot / math.sqrt(sum(float(a) ** 2 for a in left)) / math.sqrt(sum(float(b) ** 2 for b in right))


def nearest(
    words: Sequence[str],
    matrix: np.ndarray,
    positive: Sequence[str],
    negative: Sequence[str],
    k: int,
    method: str,
) -> list[tuple[str, float]]:
    """Return the k best words for b - a + c (add), or for the product of shifted cosines (mul)."""
    row = {word: vector.astype(float) for word, vector in zip(words, matrix, strict=True)}
    total = sum(row[w] / np.linalg.norm(row[w]) for w in positive)
    total = total - sum((row[w] / np.linalg.norm(row[w]) for w in negative), np.zeros(matrix.shape[1]))
    scored = []
    for word in words:
        if word in positive or word in negative:
            continue
        if method == "add":
            score = cosine(row[word], total)
        else:
            up = math.prod((1 + cosine(row[word], row[w])) / 2 for w in positive)
            score = up / (math.prod((1 + cosine(row[word], row[w])) / 2 for w in negative) + 0.000001)
        scored.append((word, score))
    return sorted(scored, key=lambda item: -item[1])[:k]


def average_ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1 on; equal values share the mean of their ranks."""
    below = [sum(other < value for other in values) for value in values]
    same = [sum(other == value for other in values) for value in values]
    return [b + (s + 1) / 2 for b, s in zip(below, same, strict=True)]
