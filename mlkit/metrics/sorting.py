"""Shared character n-grams by sorting numbers: what numpy alone can do before numba would have been imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def shared_characters(hypotheses: Sequence[str], references: Sequence[str], orders: int) -> list[list[int]]:
    """Return for each pair and order: n-grams of the hypothesis, of the reference, matches.

    Every n-gram of both sides becomes a number (segment, n-gram, side); sorted, equal n-grams of a segment stand
    together. Nothing is hashed: where the number would need more than 63 bits, the n-grams are renumbered first.
    """
    segments = len(hypotheses)
    lengths = np.array([len(text) for text in (*references, *hypotheses)], np.int64)
    text = "".join((*references, *hypotheses)).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(text, np.uint32)
    letters, alphabet = _letters(codes)
    segment = np.repeat(np.tile(np.arange(segments), 2), lengths)
    is_hypothesis = np.repeat(np.repeat(np.array([0, 1]), segments), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))  # characters to the end of the line
    place = (segment << 1) | is_hypothesis
    place_bits, letter_bits = (2 * segments).bit_length(), alphabet.bit_length()

    grams, bits = letters, letter_bits
    own, other = lengths[segments:], lengths[:segments]
    columns: list[npt.NDArray[Any]] = []
    for n in range(1, orders + 1):
        if n > 1:
            grams, place, left = grams[:-1], place[:-1], left[:-1]
            if bits + letter_bits + place_bits > 63:
                distinct, grams = np.unique(grams, return_inverse=True)
                bits = len(distinct).bit_length()
            grams = (grams << letter_bits) | letters[n - 1 :]
            bits += letter_bits
        whole = left >= n  # the n-gram ends within its line
        if not whole.all():
            letters_kept = whole
            keys = (grams[letters_kept] << place_bits) | place[letters_kept]
        else:
            keys = (grams << place_bits) | place
        reference_size = np.maximum(other - (n - 1), 0)
        hypothesis_size = np.where(reference_size > 0, np.maximum(own - (n - 1), 0), 0)
        columns += [hypothesis_size, reference_size, _matches(keys, place_bits, segments)]
    return np.stack(columns, axis=1).tolist() if columns else [[] for _ in hypotheses]


def _letters(codes: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], int]:
    """Return the characters numbered without gaps, and how many there are."""
    seen = np.zeros(0x110000, np.bool_)
    seen[codes] = True
    numbers = np.cumsum(seen) - 1
    return numbers[codes].astype(np.int64), int(seen.sum())


def _matches(keys: npt.NDArray[np.int64], place_bits: int, segments: int) -> npt.NDArray[np.int64]:
    """Return the matches of each segment: the smaller of both sides' counts, summed over the n-grams."""
    keys.sort()
    side = keys & 1
    starts = np.flatnonzero(np.diff(keys >> 1, prepend=-1))
    stops = np.append(starts[1:], len(keys))
    before = np.concatenate(([0], np.cumsum(side)))
    own = before[stops] - before[starts]
    both = np.minimum(own, stops - starts - own)
    where = (keys[starts] & ((1 << place_bits) - 1)) >> 1
    return np.bincount(where, weights=both, minlength=segments).astype(np.int64)
