"""Segments of words or characters as one array of numbers and the places where segments begin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Encoded = tuple[Ids, Offsets]


def vocabulary() -> defaultdict[str, int]:
    """Return a dictionary that numbers the words it is asked for."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def encode_words(segments: Sequence[Sequence[str]], numbers: defaultdict[str, int]) -> Encoded:
    """Return the numbers of all words and where each segment begins."""
    at = offsets(map(len, segments), len(segments))
    ids = np.fromiter(map(numbers.__getitem__, chain.from_iterable(segments)), np.int32, int(at[-1]))
    return ids, at


def encode_characters(lines: Sequence[str]) -> Encoded:
    """Return the code points of all lines and where each line begins."""
    text = "".join(lines).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(text, np.int32), offsets(map(len, lines), len(lines))


def without_spaces(text: Encoded) -> Encoded:
    """Return encoded characters without white space."""
    codes, at = text
    spaces = [code for code in range(0x3001) if chr(code).isspace()]
    kept = ~np.isin(codes[at[0] : at[-1]], spaces)
    places = np.concatenate([[0], np.cumsum(kept)])[at - at[0]]
    return codes[at[0] : at[-1]][kept], places


def offsets(lengths: Iterable[int], count: int) -> Offsets:
    """Return where segments of these lengths begin, and at last where they end."""
    return np.fromiter(accumulate(lengths, initial=0), np.int64, count + 1)


def gram_totals(places: Offsets, orders: int) -> npt.NDArray[Any]:
    """Return how many n-grams of each order every segment has."""
    return np.maximum(np.diff(places)[:, None] - np.arange(orders), 0)


def character_statistics(own: Encoded, other: Encoded, matches: npt.NDArray[Any]) -> list[list[float]]:
    """Return chrF's rows: for each order n-grams of the hypothesis, of the reference, matches."""
    orders = matches.shape[1]
    reference = gram_totals(other[1], orders)
    # n-grams of the hypothesis do not count where the reference has none of that order
    hypothesis = np.where(reference > 0, gram_totals(own[1], orders), 0)
    rows: list[list[float]] = (
        np.stack([hypothesis, reference, matches], axis=2).reshape(len(matches), -1).tolist()
    )
    return rows
