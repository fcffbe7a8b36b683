"""Shared n-grams by sorting numbers: what numpy alone can do before numba would have been imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.metrics.token_ids import Encoded, character_statistics, encode_characters

Numbers = npt.NDArray[np.int64]

BLOCK = 256  # segments that are sorted together
BITS = 63


def shared_characters(hypotheses: Sequence[str], references: Sequence[str], orders: int) -> list[list[float]]:
    """Return for each pair and order: n-grams of the hypothesis, of the reference, matches."""
    own, other = encode_characters(hypotheses), encode_characters(references)
    return character_statistics(own, other, shared_grams([own, other], orders))


def shared_grams(streams: Sequence[Encoded], orders: int) -> Numbers:
    """Return matches (segments, orders) of the first stream's n-grams, clipped by the stream that has most."""
    segments = len(streams[0][1]) - 1
    dense = _dense([ids for ids, _ in streams])
    matches = np.zeros((segments, orders), np.int64)
    for begin in range(0, segments, BLOCK):
        end = min(begin + BLOCK, segments)
        places = [at[begin : end + 1] for _, at in streams]
        ids = _dense([ids[at[0] : at[-1]] for ids, at in zip(dense, places, strict=True)])
        for n, found in enumerate(_by_order(ids, [np.diff(at) for at in places], orders)):
            matches[begin:end, n] = found
    return matches


def _by_order(streams: Sequence[Numbers], lengths: Sequence[Numbers], orders: int) -> Iterator[Numbers]:
    """Yield the matches per segment for each order.

    Each position becomes a number: segment, the tokens from there on (0 beyond the end of the segment), stream. Sorted,
    the n-grams of a segment that begin alike stand together, for every n at once. Nothing is hashed: where the
    tokens need more than 63 bits, the first ones are replaced by their number among the distinct ones.
    """
    segments, kinds = len(lengths[0]), len(streams)
    all_lengths = np.concatenate(lengths)
    size = int(all_lengths.sum())
    if size == 0:
        yield from np.zeros((orders, segments), np.int64)
        return
    segment = np.repeat(np.tile(np.arange(segments), kinds), all_lengths)
    stream = np.repeat(np.repeat(np.arange(kinds), segments), all_lengths)
    left = np.repeat(np.cumsum(all_lengths), all_lengths) - np.arange(size)
    tokens = np.concatenate([*streams, np.zeros(orders, np.int64)])
    token_bits, kind_bits = int(tokens.max()).bit_length(), (kinds - 1).bit_length()
    room = BITS - kind_bits - segments.bit_length()
    prefix, prefix_bits, done = np.zeros(size, np.int64), 0, 0
    while done < orders:
        count = min(orders - done, (room - prefix_bits) // token_bits)
        grams = prefix
        for k in range(done, done + count):
            grams = grams << token_bits | tokens[k : k + size] * (left > k)
        bits = prefix_bits + count * token_bits + kind_bits
        keys = segment << bits | grams << kind_bits | stream
        keys.sort()
        kind = keys & (1 << kind_bits) - 1
        before = [np.concatenate(([0], np.cumsum(kind == k))) for k in range(kinds)]
        change = keys[1:] ^ keys[:-1]
        for n in range(done, done + count):
            shift = (done + count - 1 - n) * token_bits + kind_bits
            starts = np.concatenate(([0], np.flatnonzero(change >= 1 << shift) + 1))
            group = keys[starts]
            both = _clipped(before, starts, size)
            both *= (group >> shift & (1 << token_bits) - 1) != 0  # the n-gram ends within its segment
            yield np.bincount(group >> bits, weights=both, minlength=segments).astype(np.int64)
        done += count
        if done < orders:
            distinct, prefix = np.unique(grams, return_inverse=True)
            prefix_bits = len(distinct).bit_length()


def _clipped(before: Sequence[Numbers], starts: Numbers, size: int) -> Numbers:
    """Return for each group the first stream's count, clipped by the largest of the others."""
    counts = [np.diff(total[starts], append=total[size]) for total in before]
    best = counts[1] if len(counts) > 1 else np.zeros_like(counts[0])
    for count in counts[2:]:
        best = np.maximum(best, count)
    return np.minimum(counts[0], best)


def _dense(streams: Sequence[npt.NDArray[Any]]) -> list[Numbers]:
    """Return the numbers of all streams renumbered from 1 without gaps."""
    seen = np.zeros(max((int(ids.max()) for ids in streams if len(ids)), default=0) + 1, np.bool_)
    for ids in streams:
        seen[ids] = True
    numbers = np.cumsum(seen)
    return [numbers[ids] for ids in streams]
