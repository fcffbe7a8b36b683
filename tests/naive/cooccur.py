"""Co-occurrence counts, the obvious way."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction


def count(
    sentences: list[list[int]], window: int, symmetric: bool = True, distance_weighting: bool = True
) -> dict[tuple[int, int], float]:
    """Return {(word, context): weight}, exact sums of 1/distance, as GloVe's cooccur defines them."""
    weights: defaultdict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for sentence in sentences:
        for place, right in enumerate(sentence):
            for distance in range(1, min(window, place) + 1):
                left = sentence[place - distance]
                weight = Fraction(1, distance) if distance_weighting else Fraction(1)
                weights[left, right] += weight
                if symmetric:
                    weights[right, left] += weight
    return {pair: float(weight) for pair, weight in weights.items()}
