"""Character n-grams and the hashes that choose their rows: FNV-1a over bytes taken as signed, as fastText has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

OFFSET, PRIME = 2166136261, 16777619
WORD_NGRAM_FACTOR = 116049371
EOS = b"</s>"
BATCH = 1 << 20  # bytes of words that are hashed at once: bounds the memory

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]


def hash_token(token: bytes) -> int:
    """Return fastText's 32-bit hash of one token."""
    value = OFFSET
    for byte in token:
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * PRIME) & 0xFFFFFFFF
    return value


def hash_tokens(tokens: Sequence[bytes]) -> NDArray[np.uint32]:
    """Return the hashes of many tokens: uint32 [tokens]."""
    if not tokens:
        return np.zeros(0, np.uint32)
    data, bounds = _joined(tokens)
    lengths = np.diff(bounds)
    hashes = np.full(len(tokens), OFFSET, np.uint32)
    signed = _signed(data)
    order = np.argsort(-lengths, kind="stable")  # longest first: the words still running are a prefix
    starts, lengths, running = bounds[:-1][order], lengths[order], len(tokens)
    sorted_hashes = hashes[order]
    for position in range(int(lengths[0])):
        while running and lengths[running - 1] <= position:
            running -= 1
        part = sorted_hashes[:running]
        part ^= signed[starts[:running] + position]
        part *= np.uint32(PRIME)
    hashes[order] = sorted_hashes
    return hashes


def ngram_buckets(
    words: Sequence[bytes], minn: int, maxn: int, bucket: int, *, of_eos: bool = False
) -> Iterator[tuple[Longs, NDArray[np.uint32]]]:
    """Yield (owner, bucket) of the character n-grams of `words`, one length after the other.

    `owner` is the word's position in `words` and ascends within a yield. Words get `<` and `>` around them; `</s>`
    has no n-grams, but in models of fastText's first layout (`of_eos`).
    """
    if maxn > 0 and bucket > 0:
        for first, part in _batches(words, b"" if of_eos else EOS):
            for owner, hashes in _hash_ngrams(part, max(minn, 1), maxn):
                yield owner + first, hashes % np.uint32(bucket)


def ngram_strings(word: bytes, minn: int, maxn: int) -> list[bytes]:
    """Return the character n-grams of one word in fastText's order."""
    if word == EOS or maxn <= 0:
        return []
    text = b"<" + word + b">"
    starts = [i for i, byte in enumerate(text) if byte & 0xC0 != 0x80] + [len(text)]
    last = len(starts) - 2
    return [
        text[starts[i] : starts[i + n]]
        for i in range(last + 1)
        for n in range(max(minn, 1), min(maxn, last + 1 - i) + 1)
        if not (n == 1 and i in (0, last))
    ]


def _batches(words: Sequence[bytes], without: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Cut `words` into parts of about BATCH bytes; yield (number of the first word, wrapped words)."""
    part: list[bytes] = []
    first = size = 0
    for number, word in enumerate(words):
        wrapped = b"" if without and word == without else b"<" + word + b">"
        part.append(wrapped)
        size += len(wrapped)
        if size >= BATCH:
            yield first, part
            part, first, size = [], number + 1, 0
    if part:
        yield first, part


def _hash_ngrams(words: list[bytes], minn: int, maxn: int) -> Iterator[tuple[Longs, NDArray[np.uint32]]]:
    """Hash all n-grams of wrapped words at once: every code point starts one, which grows in step with the others."""
    data, bounds = _joined(words)
    signed = _signed(data)
    points = np.flatnonzero((data & 0xC0) != 0x80).astype(
        np.int32
    )  # where code points start; "<" starts a word
    widths = np.diff(points, append=np.int32(len(data)))
    edges = np.searchsorted(points, bounds)
    sizes = np.diff(edges)
    owner = np.repeat(np.arange(len(words)), sizes)
    room = (np.repeat(edges[1:], sizes) - np.arange(len(points))).astype(
        np.int32
    )  # code points to the word's end
    ascii_only = len(points) == len(data)
    start = np.arange(len(points), dtype=np.int32)
    hashes = np.full(len(points), OFFSET, np.uint32)
    for n in range(1, maxn + 1):
        if n > 1:
            alive = room >= n
            start, hashes, owner, room = start[alive], hashes[alive], owner[alive], room[alive]
        if not len(start):
            return
        end = start + np.int32(n - 1)
        hashes ^= signed[points[end]]
        hashes *= np.uint32(PRIME)
        if not ascii_only:
            width = widths[end]
            for offset in range(1, int(width.max())):
                longer = np.flatnonzero(width > offset)
                hashes[longer] = (hashes[longer] ^ signed[points[end[longer]] + offset]) * np.uint32(PRIME)
        if n == 1 and minn == 1:  # a lone "<" or ">" says nothing
            inner = (start != edges[owner]) & (room > 1)
            yield owner[inner], hashes[inner]
        elif n >= minn:
            yield owner, hashes


def _joined(tokens: Sequence[bytes]) -> tuple[Bytes, Longs]:
    data = np.frombuffer(b"".join(tokens), np.uint8)
    return data, np.array([0, *accumulate(map(len, tokens))], np.int64)


def _signed(data: Bytes) -> NDArray[np.uint32]:
    """Return bytes as C's signed char widened to 32 bits."""
    return data.view(np.int8).astype(np.int32).view(np.uint32)


def word_ngram_buckets(
    hashes: NDArray[np.uint32], line: Longs, size: int, bucket: int
) -> Iterator[tuple[Longs, Longs]]:
    """Yield (line, bucket) of all word n-grams of 2, 3, ... `size` tokens; `line` ascends with the tokens.

    fastText keeps token hashes as signed 32-bit numbers and multiplies them up in 64 bits.
    """
    signed = hashes.view(np.int32).astype(np.int64).view(np.uint64)
    value = signed.copy()
    for n in range(2, size + 1):
        if len(signed) < n or bucket <= 0:
            return
        count = len(signed) - n + 1
        value = value[:count] * np.uint64(WORD_NGRAM_FACTOR) + signed[n - 1 :]
        inside = line[:count] == line[n - 1 :]
        yield line[:count][inside], (value[inside] % np.uint64(bucket)).astype(np.int64)
