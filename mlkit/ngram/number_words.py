"""Text to numbered words: pieces of a few megabytes in parallel, one vocabulary in the order of first occurrence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.formats import kernels_words as kernels
from mlkit.formats.input_shards import input_size
from mlkit.formats.lm_words import BEGIN_NAME, END_NAME, power_of_two
from mlkit.formats.streams import Errors, PathLike
from mlkit.formats.text_chunks import Chunk, Places, clean, replace, text_chunks
from mlkit.ngram.spill import Shelf, Shelves
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks

Ints = npt.NDArray[np.int64]
_FIRST_WORDS = 1 << 14


@dataclass
class NumberedPiece:
    """Words of a piece of text: ids by first occurrence in it (-1 ends a line), and where the words stand."""

    chunk: Chunk
    ids: npt.NDArray[np.int32]
    starts: Ints
    lengths: npt.NDArray[np.int32]
    keys: npt.NDArray[np.uint64]
    counts: Ints
    weights: npt.NDArray[np.float64]


class WordNumbers:
    """Words in the order of first occurrence, with their counts."""

    def __init__(self) -> None:
        self.words = 0
        self._used = 0
        self._slots = np.full(2 * _FIRST_WORDS, -1, np.int32)
        self._keys = np.empty(_FIRST_WORDS, np.uint64)
        self._starts = np.empty(_FIRST_WORDS, np.int64)
        self._lengths = np.empty(_FIRST_WORDS, np.int32)
        self._blob = np.empty(1 << 18, np.uint8)
        self._counts = np.zeros(_FIRST_WORDS, np.int64)

    def add(
        self, text: npt.NDArray[np.uint8], starts: Ints, lengths: Any, keys: Any, counts: Ints
    ) -> npt.NDArray[np.int32]:
        """Add distinct words of a text; return their numbers."""
        self._reserve(len(keys), int(lengths.sum()) + len(keys))
        numbers = np.empty(len(keys), np.int32)
        state = np.array([self.words, self._used])
        with np.errstate(over="ignore"):
            kernels.merge_words(
                text, starts, lengths, keys, self._slots, self._keys, self._starts, self._lengths,
                self._blob, state, numbers,
            )  # fmt: skip
        self.words, self._used = int(state[0]), int(state[1])
        self._counts[numbers] += counts
        return numbers

    def _reserve(self, words: int, size: int) -> None:
        need = self.words + words
        if need > len(self._keys):
            room = power_of_two(need)
            for name in ("_keys", "_starts", "_lengths", "_counts"):
                old = getattr(self, name)
                new = np.zeros(room, old.dtype)
                new[: self.words] = old[: self.words]
                setattr(self, name, new)
            self._slots = np.full(2 * room, -1, np.int32)
            with np.errstate(over="ignore"):
                kernels.fill_slots(self._slots, self._keys, self._lengths, self.words)
        if self._used + size > len(self._blob):
            blob = np.empty(max(self._used + size, 2 * len(self._blob)), np.uint8)
            blob[: self._used] = self._blob[: self._used]
            self._blob = blob

    def blob(self) -> tuple[npt.NDArray[np.uint8], Ints]:
        """Return the words, a newline after each, and where each begins (and the last one ends)."""
        starts = np.append(self._starts[: self.words], self._used)
        return self._blob[: self._used], starts

    def content(self) -> tuple[list[bytes], Ints]:
        """Return the words and their counts, by number."""
        return self._blob[: self._used].tobytes().split(b"\n")[:-1], self._counts[: self.words]


@dataclass
class NumberedText:
    """A text as numbers of words: blocks of ids (with weights of lines), a map from each block to `words`."""

    words: list[bytes]
    counts: Ints
    blocks: Shelf
    weights: Shelf
    maps: list[npt.NDArray[np.int32]]
    sentences: int
    weighted: bool
    weight: float = 0.0

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], Any]]:
        for block, numbers in enumerate(self.maps):
            weights = self.weights.get(block)[0] if self.weighted else np.empty(0)
            yield self.blocks.get(block)[0], weights, numbers

    def close(self) -> None:
        """Forget the words and the blocks."""
        self.words = []
        self.blocks.close()
        self.weights.close()


def number_text(
    sources: Sequence[PathLike],
    shelves: Shelves,
    *,
    threads: int = 1,
    errors: Errors = "strict",
    shard: tuple[int, int] | None = None,
    weighted: bool = False,
    skip_symbols: bool = False,
    chunk_bytes: int = 1 << 22,
    progress: Progress = silent,
) -> NumberedText:
    """Read texts, one sentence per line, words separated by white space.

    weighted: every line begins with a weight. skip_symbols: `<s>` and `</s>` in the text are left out;
    otherwise they are refused with `DataError`, as is invalid UTF-8 (errors="strict").
    """
    words = WordNumbers()
    blocks, weights = shelves.shelf(), shelves.shelf()
    maps: list[npt.NDArray[np.int32]] = []
    places = Places()
    sentences, done, weight = 0, 0, 0.0

    def number(chunk: Chunk) -> NumberedPiece:
        clean(chunk, errors=errors)
        found = _take_weights(chunk) if weighted and chunk.invalid < 0 else np.empty(0)
        return _number_piece(chunk, found)

    total = input_size(sources, shard)
    chunks = text_chunks(sources, whole_lines=True, chunk_bytes=chunk_bytes, shard=shard)
    for piece in map_chunks(number, chunks, threads):
        if not skip_symbols:
            _refuse_symbols(piece, places)
        places.pass_by(piece.chunk)
        maps.append(words.add(piece.chunk.data, piece.starts, piece.lengths, piece.keys, piece.counts))
        blocks.put(piece.ids)
        weights.put(piece.weights)
        weight += float(piece.weights.sum())
        sentences += len(piece.ids) - int(piece.counts.sum())
        done += piece.chunk.size
        progress(Report("Reading", done, total, "B"))
    names, counts = words.content()
    return NumberedText(names, counts, blocks, weights, maps, sentences, weighted, weight)


def weighted_counts(text: NumberedText) -> npt.NDArray[np.float64]:
    """Return the sum of the weights of the lines of every word."""
    counts = np.zeros(len(text.words))
    for ids, weights, numbers in text:
        lines: npt.NDArray[np.int64] = np.cumsum(ids < 0) - (ids < 0)
        words = ids >= 0
        counts += np.bincount(numbers[ids[words]], weights[lines[words]], len(counts))
    return counts


def _number_piece(chunk: Chunk, weights: npt.NDArray[np.float64]) -> NumberedPiece:
    ids = np.empty(chunk.size + 1, np.int32)
    state = np.zeros(3, np.int64)
    room = _FIRST_WORDS
    keys, starts = np.empty(room, np.uint64), np.empty(room, np.int64)
    lengths, counts = np.empty(room, np.int32), np.zeros(room, np.int64)
    slots = np.full(2 * room, -1, np.int32)
    while True:
        with np.errstate(over="ignore"):
            kernels.number_words(chunk.data, chunk.size, state, slots, keys, starts, lengths, counts, ids)
        if state[0] >= chunk.size:
            break
        room *= 2
        keys, starts = np.resize(keys, room), np.resize(starts, room)
        lengths, counts = np.resize(lengths, room), np.resize(counts, room)
        slots = np.full(2 * room, -1, np.int32)
        with np.errstate(over="ignore"):
            kernels.fill_slots(slots, keys, lengths, int(state[1]))
    words, size = int(state[1]), int(state[2])
    return NumberedPiece(
        chunk, ids[:size].copy(), starts[:words], lengths[:words], keys[:words], counts[:words], weights
    )


def _take_weights(chunk: Chunk) -> npt.NDArray[np.float64]:
    """Cut the weight off every line of a chunk."""
    weights: list[float] = []
    rest: list[bytes] = []
    for number, line in enumerate(chunk.data[: chunk.size].tobytes().splitlines(keepends=True), 1):
        first, _, words = line.lstrip().partition(b" ") if b"\t" not in line else line.partition(b"\t")
        try:
            weights.append(float(first))
            if not 0 <= weights[-1] < float("inf"):
                raise ValueError
        except ValueError:
            raise DataError(
                f"line {number} of a piece begins with {first[:20]!r}, a weight from 0 on is expected",
                path=chunk.name,
            ) from None
        rest.append(words if words.endswith(b"\n") else words + b"\n")
    replace(chunk, b"".join(rest))
    return np.array(weights)


def _refuse_symbols(piece: NumberedPiece, places: Places) -> None:
    """Raise `DataError` when `<s>` or `</s>` is a word of the text."""
    lengths = piece.lengths
    for length, name in ((len(BEGIN_NAME), BEGIN_NAME), (len(END_NAME), END_NAME)):
        for word in np.flatnonzero(lengths == length):
            start = int(piece.starts[word])
            data = piece.chunk.data
            if data[start : start + length].tobytes() == name.encode():
                line = places.line + data[:start].tobytes().count(b"\n")
                raise DataError(
                    f"the text holds {name}, which marks the ends of sentences", path=piece.chunk.name,
                    line=line, hint="remove it, or leave such words out with --skip-symbols",
                )  # fmt: skip
