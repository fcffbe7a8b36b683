"""Tables that word-vector trainers draw from: subsampling, noise words (alias method), the Huffman tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def keep_thresholds(counts: Counts, sample: float) -> NDArray[np.uint32]:
    """Return for each word the largest 32-bit random number at which an occurrence is kept.

    With f the word's share of the corpus it is kept with probability sqrt(s/f) + s/f, the rule of word2vec.c
    (the paper has only the first term). `sample` 0 keeps everything.
    """
    probability = np.ones(len(counts))
    if sample > 0:
        relative = sample * counts.sum() / np.maximum(counts, 1)
        probability = np.minimum(np.sqrt(relative) + relative, 1.0)
    return np.floor(probability * 0xFFFFFFFF).astype(np.uint32)


def alias_table(counts: Counts, exponent: float) -> NDArray[np.uint64]:
    """Return a table to draw words with probability proportional to counts ** exponent, one entry a word.

    To draw: choose an entry uniformly, and 32 random bits; above the entry's high half take the word in its low
    half, else the entry's own (Walker 1977, built as by Vose 1991). That is 8 bytes a word, where word2vec.c
    keeps a table of 400 MB. Words with a count of 0 are never drawn.
    """
    weights = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** exponent, 0.0)
    scaled = weights * (len(weights) / max(weights.sum(), 1e-300))
    values, other = scaled.tolist(), list(range(len(scaled)))
    small = np.flatnonzero(scaled < 1).tolist()
    large = np.flatnonzero(scaled >= 1).tolist()
    while small and large:
        poor, rich = small.pop(), large[-1]
        other[poor] = rich
        values[rich] -= 1 - values[poor]
        if values[rich] < 1:
            small.append(large.pop())
    # what is left over is 1 but for rounding
    for word in (*small, *large):
        values[word] = 1.0
    high = np.floor(np.array(values) * 0xFFFFFFFF).astype(np.uint64)
    table: NDArray[np.uint64] = (high << np.uint64(32)) | np.array(other, np.uint64)
    return table


@dataclass(frozen=True)
class HuffmanPaths:
    """The way from the root to every word: path[starts[w] : starts[w + 1]], each step 2 * node + code bit.

    starts: int64 [words + 1]; path: int32. There is one inner node (an output row) less than words; the root has the
    highest number.
    """

    starts: NDArray[np.int64]
    path: NDArray[np.int32]

    @classmethod
    def none(cls, words: int) -> HuffmanPaths:
        """Return empty paths, for losses without a tree."""
        return cls(np.zeros(words + 1, np.int64), np.zeros(0, np.int32))


def mean_places(ids: NDArray[np.int32], words: int) -> NDArray[np.float64]:
    """Return the mean position of every word in a text (negative ids are none): the tie order of `huffman_paths`."""
    sums, counts = sums_of_places(ids, words)
    return sums / np.maximum(counts, 1)


def sums_of_places(
    ids: NDArray[np.int32], words: int, first: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the positions of every word, and how often it comes, in a text that begins at `first`."""
    sums, counts = np.zeros(words), np.zeros(words)
    step = max(1 << 20, 4 * words)
    for start in range(0, len(ids), step):
        block = ids[start : start + step]
        known = np.flatnonzero(block >= 0)
        present = block[known]
        sums += np.bincount(present, weights=known + float(first + start), minlength=words)
        counts += np.bincount(present, minlength=words)
    return sums, counts


def huffman_paths(counts: Counts, places: NDArray[np.float64] | None = None) -> HuffmanPaths:
    """Build the Huffman tree of the counts and return every word's path.

    The two smallest of the remaining words and nodes are joined, words before nodes of the same weight; the smaller
    gets code 0 (as in word2vec.c, by two queues in linear time after sorting). Words of the same count stand next
    to each other by `places`, or by number: most words are rare and tie, and a tree that joins those of the same
    part of a text gives better vectors than a chance order (10 MB: WordSim-353 +1.8, analogies +0.1, SimLex the same).
    """
    size = len(counts)
    if size < 2:
        return HuffmanPaths.none(size)
    ties = np.arange(size) if places is None else places
    leaves = np.lexsort((ties, -counts))[::-1].tolist()
    weight = [*counts.tolist(), *[0] * (size - 1)]
    parent = np.zeros(2 * size - 1, np.int64)
    code = np.zeros(2 * size - 1, np.int32)
    leaf, inner = 0, size
    for node in range(size, 2 * size - 1):
        pair = []
        for _ in range(2):
            if leaf < size and (inner == node or weight[leaves[leaf]] <= weight[inner]):
                pair.append(leaves[leaf])
                leaf += 1
            else:
                pair.append(inner)
                inner += 1
        weight[node] = weight[pair[0]] + weight[pair[1]]
        parent[pair] = node
        code[pair[1]] = 1
    return _paths(parent, code, size)


def _paths(parent: NDArray[np.int64], code: NDArray[np.int32], size: int) -> HuffmanPaths:
    """Follow all words up to the root at once, one level a step."""
    root = len(parent) - 1
    levels: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []
    words, place = np.arange(size), np.arange(size)
    lengths = np.zeros(size, np.int64)
    while len(words):
        above = parent[place]
        levels.append((words, (2 * (above - size)).astype(np.int32) + code[place]))
        lengths[words] += 1
        words, place = words[above != root], above[above != root]
    starts = np.zeros(size + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    path = np.empty(int(starts[-1]), np.int32)
    for level, (words, steps) in enumerate(levels):
        path[starts[words + 1] - 1 - level] = steps
    return HuffmanPaths(starts, path)
