"""Text -> labels: the vectors of lines, the losses' outputs, and the k best labels, in plain numpy.

Classifying is over before a JIT would have been imported: every distinct token is looked up and summed once,
and all lines of a chunk go through one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.fasttext import subwords
from mlkit.fasttext.model import GATHER, Model, add_groups
from mlkit.formats.fasttext_bin import Floats
from mlkit.formats.streams import open_text

MAX_TYPES = 1 << 18  # distinct tokens remembered before the table starts afresh
CHUNK_BYTES = 1 << 20
BLOCK = 1 << 16  # scores at a time: they stay in the second-level cache
EPSILON = 1e-5
FEW = 16  # labels asked for, up to which all lines are answered at once
LINE_END = b"\0"  # NUL separates tokens in fastText, so that no token can be it
_SPACES = bytes.maketrans(b"\t\v\f\r\0", b"     ")

Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """A chunk of lines: mean input vectors, how many rows went in, and the known labels that lines carry."""

    hidden: Floats  # [lines, dim]
    rows: Longs  # [lines]
    label_line: Longs  # ascending; label `label[i]` stands on line `label_line[i]`
    label: Longs


class Prediction(NamedTuple):
    """The best labels of one line, best first: (label number, probability as fastText gives it)."""

    labels: list[int]
    probabilities: list[float]


class Encoder:
    """Turns lines into vectors; remembers every distinct token it has seen."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._prefix = model.label_prefix.encode()
        self._reset()

    def _reset(self) -> None:
        dim = self.model.args.dim
        self._types: dict[bytes, int] = {}  # distinct tokens, numbered in the order in which they came
        self._sums = np.zeros((0, dim), np.float32)
        self._counts = np.zeros(0, np.int64)
        self._hashes = np.zeros(0, np.uint32)
        self._labels = np.zeros(0, np.int64)  # label number, -1 for a word, -2 for an unknown label
        self._learn([LINE_END])

    def encode(self, text: bytes) -> Lines:
        """Return the vectors of the lines of `text`; the last line may lack its newline."""
        if len(self._types) > MAX_TYPES:
            self._reset()
        lines = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
        tokens = text.translate(_SPACES).replace(b"\n", b" \0 ").split()
        self._learn([token for token in dict.fromkeys(tokens) if token not in self._types])
        ids = np.fromiter(map(self._types.__getitem__, tokens), np.int64, len(tokens))
        ends = ids == 0
        line = np.cumsum(ends) - ends
        labels = self._labels[ids]
        word = labels == -1
        label_at = np.flatnonzero(labels >= 0)
        ids, word_line = ids[word], line[word]
        sums = np.zeros((lines, self.model.args.dim), np.float32)
        step = max(1, GATHER // self.model.args.dim)
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            add_groups(sums, word_line[part], self._sums[ids[part]])
        rows = np.bincount(word_line, weights=self._counts[ids], minlength=lines).astype(np.int64)
        self._add_word_ngrams(sums, rows, ids, word_line)
        sums /= np.maximum(rows, 1).astype(np.float32)[:, None]
        return Lines(sums, rows, line[label_at], labels[label_at])

    def _add_word_ngrams(self, sums: Floats, rows: Longs, ids: Longs, line: Longs) -> None:
        args = self.model.args
        if args.word_ngrams < 2:
            return
        for whose, bucket in subwords.word_ngram_buckets(
            self._hashes[ids], line, args.word_ngrams, args.bucket
        ):
            places, found = self.model.rows_of_buckets(bucket)
            rows += np.bincount(whose if self.model.sparse else whose[found], minlength=len(rows))
            self.model.add_rows(sums, whose[found], places)

    def _learn(self, fresh: list[bytes]) -> None:
        """Look up tokens that were not seen before."""
        if not fresh:
            return
        tokens = [subwords.EOS] if fresh[0] == LINE_END else fresh
        model, known = self.model, len(self._types)
        self._types.update(zip(fresh, range(known, known + len(fresh)), strict=True))
        entry = np.fromiter(map(model.index.get, tokens, repeat(-1)), np.int64, len(tokens))
        labels = np.where(entry >= model.word_count, entry - model.word_count, -1)
        prefix = self._prefix
        unknown = [i for i, token in enumerate(tokens) if token.startswith(prefix)]
        labels[unknown] = np.where(entry[unknown] < 0, -2, labels[unknown])
        sums, counts = model.word_sums(tokens)
        self._sums = np.concatenate([self._sums, sums])
        self._counts = np.concatenate([self._counts, counts])
        if model.args.word_ngrams > 1:
            self._hashes = np.concatenate([self._hashes, subwords.hash_tokens(tokens)])
        self._labels = np.concatenate([self._labels, labels])


class Classifier:
    """A model with its output made ready: hidden vectors in, labels out."""

    def __init__(self, model: Model) -> None:
        model.need_supervised()
        self.model = model
        self.encoder = Encoder(model)
        self.output = np.ascontiguousarray(model.output_rows().T)  # [dim, labels]
        self.labels = len(model.labels)
        self._tree = _Tree(model.counts[model.word_count :]) if model.args.loss == "hs" else None

    def probabilities(self, hidden: Floats, threshold: float = 0.0) -> Floats:
        """Return the probability of every label, [lines, labels]; -1 where fastText does not consider it."""
        loss = self.model.args.loss
        if self._tree is not None:
            return self._tree.probabilities(hidden @ self.output[:, : max(self.labels - 1, 0)], threshold)
        scores = hidden @ self.output
        if loss == "softmax":
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=1, keepdims=True)
        else:
            scores = table_sigmoid(scores)
        scores[scores < threshold] = -1
        return scores

    def predict(self, lines: Lines, k: int = 1, threshold: float = 0.0) -> Iterator[Prediction]:
        """Yield the `k` best labels (all for -1) of every line; none for a line without any known part."""
        if k < 1 and k != -1:
            raise UsageError("k must be 1 or higher, or -1 for all labels")
        k = self.labels if k == -1 else min(k, self.labels)
        step = max(1, BLOCK // max(1, self.labels))
        for start in range(0, len(lines.hidden), step):
            rows = lines.rows[start : start + step]
            scores = self.probabilities(lines.hidden[start : start + step], threshold)
            if k == 1:
                numbers = np.argmax(scores, axis=1)
                values = scores[np.arange(len(scores)), numbers]
                for line in np.flatnonzero(np.count_nonzero(scores == values[:, None], axis=1) > 1):
                    # of equal labels fastText's heap keeps the last
                    numbers[line] = np.flatnonzero(scores[line] == values[line])[-1]
                shown = (rows > 0) & (values >= 0)
                sure = (values.astype(np.float64) + EPSILON).tolist()
                none = Prediction([], [])
                for number, value, show in zip(numbers.tolist(), sure, shown.tolist(), strict=True):
                    yield Prediction([number], [value]) if show else none
            elif k <= FEW:
                yield from self._few(scores, rows, k)
            else:
                for row, count in zip(scores, rows.tolist(), strict=True):
                    yield self._best(row, k) if count else Prediction([], [])

    def _few(self, scores: Floats, rows: Longs, k: int) -> Iterator[Prediction]:
        """Yield the k best of every line: the best is taken away k times, in all lines at once."""
        every, left = np.arange(len(scores)), scores.copy()
        numbers, values = np.empty((k, len(scores)), np.int64), np.empty((k + 1, len(scores)), np.float32)
        for place in range(k):
            numbers[place] = left.argmax(axis=1)
            values[place] = left[every, numbers[place]]
            left[every, numbers[place]] = -2
        values[k] = left.max(axis=1)
        tied = ((values[1:] == values[:-1]) & (values[1:] >= 0)).any(axis=0).tolist()
        found = ((values[:k] >= 0).sum(axis=0) * (rows > 0)).tolist()
        sure = (values[:k].T.astype(np.float64) + EPSILON).tolist()
        for line, (best, probabilities, count) in enumerate(
            zip(numbers.T.tolist(), sure, found, strict=True)
        ):
            if count and tied[line]:
                yield self._best(scores[line], k)
            else:
                yield Prediction(best[:count], probabilities[:count])

    def _best(self, row: Floats, k: int) -> Prediction:
        """Return the k best of one line."""
        count = min(k, int(np.count_nonzero(row >= 0)))
        if count == 0:
            return Prediction([], [])
        top = np.argpartition(row, len(row) - count)[len(row) - count :]
        top = top[np.argsort(-row[top], kind="stable")]
        if len(np.unique(row[top])) < count or np.count_nonzero(row >= row[top[-1]]) > count:
            top = np.array(_heap_order(row, k), np.int64)
        return Prediction(top.tolist(), (row[top].astype(np.float64) + EPSILON).tolist())

    def predict_text(
        self, chunks: Iterable[bytes], k: int = 1, threshold: float = 0.0
    ) -> Iterator[Prediction]:
        """Yield a prediction for every line of the chunks, each of which holds whole lines."""
        for chunk in chunks:
            yield from self.predict(self.encoder.encode(chunk), k, threshold)


def table_sigmoid(values: Floats) -> Floats:
    """Return fastText's sigmoid: a table of 512 steps over [-8, 8]."""
    steps = np.arange(513, dtype=np.float32) * np.float32(2 * 8) / np.float32(512) - np.float32(8)
    table = (1.0 / (1.0 + np.exp(-steps))).astype(np.float32)
    place = ((np.clip(values, -8, 8) + np.float32(8)) * np.float32(512 / 8 / 2)).astype(np.int32)
    result: Floats = table[place]
    result[values < -8] = 0
    result[values > 8] = 1
    return result


class _Tree:
    """The Huffman tree over label counts, walked from the root down for many lines at once."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.leaves = len(counts)
        left, right = huffman_children(counts.tolist())
        self.left, self.right = left.tolist(), right.tolist()

    def probabilities(self, scores: Floats, threshold: float) -> Floats:
        """Return the leaves' probabilities [lines, leaves] from the inner nodes' scores [lines, leaves - 1]."""
        nodes_scores = np.ascontiguousarray(scores.T)  # a node's values for all lines lie together
        right = np.float32(1) / (np.float32(1) + np.exp(np.minimum(-nodes_scores, np.float32(88))))
        # fastText adds logarithms of p + EPSILON; their product is the same in half the time
        left = np.float32(1) - right
        left += np.float32(EPSILON)
        right += np.float32(EPSILON)
        found = np.empty((max(2 * self.leaves - 1, 1), len(scores)), np.float32)
        found[-1] = 1
        for node in range(self.leaves - 2, -1, -1):
            above = found[self.leaves + node]
            np.multiply(above, left[node], out=found[self.left[node]])
            np.multiply(above, right[node], out=found[self.right[node]])
        leaves = np.ascontiguousarray(found[: self.leaves].T)
        leaves -= np.float32(EPSILON)  # the caller adds what softmax adds
        leaves[leaves < threshold] = -1
        return leaves


def huffman_children(counts: list[int]) -> tuple[Longs, Longs]:
    """Return the children of fastText's inner nodes; labels are 0..n-1, inner node i has number n + i.

    `counts` descend, as the dictionary has them.
    """
    leaves = len(counts)
    left, right = np.zeros(max(leaves - 1, 0), np.int64), np.zeros(max(leaves - 1, 0), np.int64)
    weight = [*counts, *[10**15] * max(leaves - 1, 0)]
    leaf, inner = leaves - 1, leaves
    for node in range(leaves, 2 * leaves - 1):
        smallest = []
        for _ in range(2):
            if leaf >= 0 and weight[leaf] < weight[inner]:
                smallest.append(leaf)
                leaf -= 1
            else:
                smallest.append(inner)
                inner += 1
        left[node - leaves], right[node - leaves] = smallest
        weight[node] = weight[smallest[0]] + weight[smallest[1]]
    return left, right


def _heap_order(row: Floats, k: int) -> list[int]:
    """Return the k best label numbers with ties in the order that fastText's binary heap leaves them."""
    import math

    heap: list[tuple[float, int]] = []
    for number, value in enumerate(row.tolist()):
        if value < 0:
            continue
        score = float(np.float32(math.log(value + EPSILON)))
        if len(heap) == k and score < heap[0][0]:
            continue
        heap.append((score, number))
        _sift_up(heap, len(heap) - 1, 0, heap[-1])
        if len(heap) > k:
            _pop_front(heap, len(heap))
            heap.pop()
    for size in range(len(heap), 1, -1):
        _pop_front(heap, size)
    return [number for _, number in heap]


def _sift_up(heap: list[tuple[float, int]], hole: int, top: int, value: tuple[float, int]) -> None:
    while hole > top and heap[(hole - 1) // 2][0] > value[0]:
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = value


def _pop_front(heap: list[tuple[float, int]], size: int) -> None:
    """Move the least to place size - 1 and restore the heap before it, as the C++ library does."""
    value, heap[size - 1] = heap[size - 1], heap[0]
    hole = child = 0
    size -= 1
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if heap[child][0] > heap[child - 1][0]:
            child -= 1
        heap[hole], hole = heap[child], child
    if size % 2 == 0 and size > 1 and child == (size - 2) // 2:
        child = 2 * (child + 1)
        heap[hole], hole = heap[child - 1], child - 1
    if size:
        _sift_up(heap, hole, 0, value)


def line_chunks(lines: Iterable[bytes], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Group the lines of a stream into chunks of about `size` bytes."""
    part: list[bytes] = []
    length = 0
    for line in lines:
        part.append(line)
        length += len(line)
        if length >= size:
            yield b"".join(part)
            part, length = [], 0
    if part:
        yield b"".join(part)


def arrivals(path: str) -> Iterator[bytes]:
    """Yield whole lines as they come in: a pipe is answered at once, a file in large pieces."""
    with open_text(path) as stream:
        rest = b""
        while data := stream.read1(1 << 20):  # type: ignore[attr-defined]
            lines, newline, tail = data.rpartition(b"\n")
            if newline:
                yield rest + lines + newline
                rest = tail
            else:
                rest += data
        if rest:
            yield rest
