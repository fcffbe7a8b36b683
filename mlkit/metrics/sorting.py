"""Shared character n-grams by sorting numbers: what numpy alone can do before numba would have been imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

BLOCK = 4096  # segments that are sorted together
BITS = 63


def shared_characters(hypotheses: Sequence[str], references: Sequence[str], orders: int) -> list[list[int]]:
    """Return for each pair and order: n-grams of the hypothesis, of the reference, matches."""
    rows: list[list[int]] = []
    for begin in range(0, len(hypotheses), BLOCK):
        own, other = hypotheses[begin : begin + BLOCK], references[begin : begin + BLOCK]
        own_length, other_length = (np.array(list(map(len, texts)), np.int64) for texts in (own, other))
        columns: list[npt.NDArray[Any]] = []
        for n, matches in enumerate(_matches_by_order(own, other, own_length, other_length, orders)):
            size = np.maximum(other_length - n, 0)
            # n-grams of the hypothesis do not count where the reference has none of that order
            columns += [np.where(size > 0, np.maximum(own_length - n, 0), 0), size, matches]
        rows += np.stack(columns, axis=1).tolist()
    return rows


def _matches_by_order(
    hypotheses: Sequence[str], references: Sequence[str], own: Numbers, other: Numbers, orders: int
) -> Iterator[Numbers]:
    """Yield the matches per segment for each order.

    Each position becomes a number: segment, the letters from there on (0 beyond the end of the line), side. Sorted,
    the n-grams of a segment that begin alike stand together, for every n at once. Nothing is hashed: where the
    letters need more than 63 bits, the first ones are replaced by their number among the distinct ones.
    """
    segments = len(hypotheses)
    lengths = np.concatenate((other, own))
    segment = np.repeat(np.tile(np.arange(segments), 2), lengths)
    side = np.repeat(np.repeat(np.array([0, 1]), segments), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(int(lengths.sum()))
    letters, letter_bits = _letters("".join((*references, *hypotheses)), orders)
    room = BITS - 1 - segments.bit_length()
    prefix, prefix_bits = np.zeros(len(segment), np.int64), 0
    done = 0
    while done < orders:
        count = min(orders - done, (room - prefix_bits) // letter_bits)
        grams = prefix
        for k in range(done, done + count):
            grams = grams << letter_bits | letters[k : k + len(left)] * (left > k)
        bits = prefix_bits + count * letter_bits + 1
        keys = segment << bits | grams << 1 | side
        keys.sort()
        hypothesis_before = np.concatenate(([0], np.cumsum(keys & 1)))
        change = keys[1:] ^ keys[:-1]
        for n in range(done, done + count):
            shift = (done + count - 1 - n) * letter_bits + 1
            starts = np.concatenate(([0], np.flatnonzero(change >= 1 << shift) + 1)) if len(keys) else keys
            ends = np.append(starts[1:], len(keys)) if len(keys) else keys
            mine = hypothesis_before[ends] - hypothesis_before[starts]
            both = np.minimum(mine, ends - starts - mine)
            group = keys[starts]
            both *= (group >> shift & (1 << letter_bits) - 1) != 0  # the n-gram ends within its line
            yield np.bincount(group >> bits, weights=both, minlength=segments).astype(np.int64)
        done += count
        if done < orders:
            distinct, prefix = np.unique(grams, return_inverse=True)
            prefix_bits = len(distinct).bit_length()


def _letters(text: str, orders: int) -> tuple[Numbers, int]:
    """Return the characters numbered from 1 without gaps, zeros after them, and the bits of a number."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    seen = np.zeros(0x110000, np.bool_)
    seen[codes] = True
    numbers = np.cumsum(seen)
    letters = np.concatenate((numbers[codes], np.zeros(orders, np.int64)))
    return letters, int(numbers[-1]).bit_length() or 1
