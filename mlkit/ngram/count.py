"""Counting n-grams: rows scattered to parts by their last word, every part sorted on its own.

A part holds the n-grams whose last word lies in a range of ids, so that parts are independent, fit the cache,
and are worked on by several threads. What does not fit the memory waits in temporary files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mlkit.errors import UsageError
from mlkit.formats.lm_words import BEGIN, END, FIRST_WORD, NOTHING, UNKNOWN, LmVocabulary
from mlkit.ngram import kernels_count as kernels
from mlkit.ngram.number_words import NumberedText
from mlkit.ngram.spill import Parts, Shelves
from mlkit.threads import map_chunks

Ints = npt.NDArray[np.int64]
Result = TypeVar("Result")
PART = 1 << 17


@dataclass(frozen=True)
class Packing:
    """How word ids are packed into rows of uint64: `bits` per id, `fields` ids per word of a row."""

    bits: int
    fields: int

    @classmethod
    def of(cls, vocabulary: LmVocabulary) -> Packing:
        """Return the packing that a vocabulary needs."""
        bits = max((len(vocabulary) - 1).bit_length(), 2)
        return cls(bits, 64 // bits)

    def columns(self, order: int) -> int:
        """Return how many words a row of `order` ids has."""
        return -(-order // self.fields)

    def sorted(self, rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        """Return the stable order that sorts rows."""
        order, spare = np.empty(len(rows), np.uint32), np.empty(len(rows), np.uint32)
        kernels.sort_rows(rows, self.bits * self.fields, order, spare)
        return order


@dataclass(frozen=True)
class Levels:
    """The reversed trie of a part: see `kernels_count`. counts are raw, left counts the distinct words before."""

    offsets: Ints
    words: npt.NDArray[np.uint32]
    parents: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.float64]
    left: npt.NDArray[np.uint32]

    def of(self, level: int) -> slice:
        """Return where the entries of a level (from 1) are."""
        return slice(int(self.offsets[level - 1]), int(self.offsets[level]))


class Source(Protocol):
    """N-grams to count: a text or count files."""

    vocabulary: LmVocabulary
    explicit: bool

    @property
    def sentences(self) -> float:
        """The number of lines, or the sum of their weights."""

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""

    def endings(self) -> Ints:
        """Return how many rows end in every word."""

    def scatter(
        self, order: int, packing: Packing, part_of: Any, parts: int, threads: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (rows, weights, offsets) blocks grouped by part."""


@dataclass
class TextSource:
    """The n-grams of a numbered text under a vocabulary; `numbers` maps its words to ids (-1: left out)."""

    text: NumberedText
    vocabulary: LmVocabulary
    numbers: npt.NDArray[np.int32]
    explicit: bool = False

    @property
    def sentences(self) -> float:
        """The number of lines, or the sum of their weights."""
        return self.text.weight if self.weighted else float(self.text.sentences)

    @property
    def weighted(self) -> bool:
        """Whether lines have weights."""
        return self.text.weighted

    def endings(self) -> Ints:
        """Return how often every word stands in the text."""
        kept = self.numbers >= 0
        counts = np.bincount(
            self.numbers[kept], weights=self.text.counts[kept], minlength=len(self.vocabulary)
        ).astype(np.int64)
        counts[END] = self.text.sentences
        return counts

    def scatter(
        self, order: int, packing: Packing, part_of: Any, parts: int, threads: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (rows, weights, offsets) of every block of text, grouped by part."""

        def block(piece: tuple[Any, Any, Any]) -> tuple[Any, ...]:
            ids, line_weights, local = piece
            numbers = self.numbers[local]
            offsets = np.zeros(parts + 1, np.int64)
            kernels.count_parts(ids, numbers, part_of, offsets[1:])
            np.cumsum(offsets, out=offsets)
            rows = np.empty((int(offsets[-1]), packing.columns(order)), np.uint64)
            weights = np.empty(len(rows) if self.weighted else 0)
            kernels.scatter_grams(
                ids, numbers, order, packing.bits, packing.fields, part_of, offsets[:-1].copy(),
                rows, line_weights, weights,
            )  # fmt: skip
            return rows, weights, offsets

        yield from map_chunks(block, self.text, threads)


def divide(endings: Ints, part: int = PART) -> tuple[npt.NDArray[np.int32], int]:
    """Cut the ids into ranges of about `part` n-grams; return the part of every id and the number of parts."""
    target = max(part, int(endings.sum()) // 256)
    part_of = np.zeros(len(endings), np.int32)
    parts, filled = 0, 0
    for word in np.flatnonzero(endings):
        if filled and filled + endings[word] > target:
            parts, filled = parts + 1, 0
        filled += int(endings[word])
        part_of[word] = parts
    # words that end nothing belong to the part before them
    missing = np.flatnonzero(endings == 0)
    if len(missing):
        held = np.flatnonzero(endings)
        if len(held):
            at = np.clip(np.searchsorted(held, missing), 0, len(held) - 1)
            part_of[missing] = part_of[held[at]]
    return part_of, parts + 1


def gather(
    source: Source, order: int, packing: Packing, shelves: Shelves, threads: int
) -> tuple[Parts, npt.NDArray[np.int32], int]:
    """Scatter all n-grams of a source to parts."""
    part_of, count = divide(source.endings())
    rows = np.empty((0, packing.columns(order)), np.uint64)
    parts = Parts(shelves, [rows, np.empty(0)] if source.weighted else [rows])
    for block, weights, offsets in source.scatter(order, packing, part_of, count, threads):
        parts.add((block, weights) if source.weighted else (block,), offsets)
    return parts, part_of, count


def sort_levels(
    rows: npt.NDArray[np.uint64],
    weights: npt.NDArray[np.float64],
    explicit: bool,
    order: int,
    packing: Packing,
) -> Levels:
    """Sort the n-grams of a part and build its levels."""
    sorting = packing.sorted(rows)
    sizes = np.zeros(order, np.int64)
    kernels.measure_levels(rows, sorting, order, packing.bits, packing.fields, sizes)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    total = int(offsets[-1])
    words, parents = np.empty(total, np.uint32), np.empty(total, np.uint32)
    counts, left = np.empty(total), np.empty(total, np.uint32)
    kernels.build_levels(
        rows, sorting, weights, explicit, order, packing.bits, packing.fields, offsets,
        words, parents, counts, left,
    )  # fmt: skip
    return Levels(offsets, words, parents, counts, left)


def count_parts(
    source: Source,
    order: int,
    packing: Packing,
    shelves: Shelves,
    threads: int,
    finish: Callable[[Levels, npt.NDArray[np.int32], int], Result],
) -> Iterator[Result]:
    """Count the n-grams of a source; yield finish(levels, part_of, parts) of every part, in order."""
    if order < 1:
        raise UsageError(f"--order must be at least 1, not {order}")
    grams, part_of, count = gather(source, order, packing, shelves, threads)

    def work(part: int) -> Result:
        arrays, _ = grams.read(part)
        weights = arrays[1] if source.weighted else np.empty(0)
        levels = sort_levels(arrays[0], weights, source.explicit, order, packing)
        return finish(levels, part_of, count)

    try:
        yield from map_chunks(work, range(count), threads)
    finally:
        grams.close()


def choose_vocabulary(
    words: Sequence[bytes],
    counts: npt.NDArray[Any],
    *,
    min_count: float = 0,
    vocab_size: int | None = None,
    allowed: Sequence[bytes] | None = None,
    unknown: str = "<unk>",
) -> tuple[LmVocabulary, npt.NDArray[np.int32]]:
    """Choose the words of a model: by descending count, then by bytes; all others are the unknown word.

    allowed: the words that may be used; those that are not among `words` are added, so that they can be
    predicted. Returns the vocabulary and the id of every word; that of `<s>` and `</s>` is -1.
    """
    symbols = (b"<s>", b"</s>")
    special = {*symbols, unknown.encode()}
    frequent = np.flatnonzero(counts >= min_count).tolist()
    chosen = [number for number in frequent if words[number] not in special]
    missing: list[bytes] = []
    if allowed is not None:
        wanted = set(allowed) - special - {b""}
        chosen = [number for number in chosen if words[number] in wanted]
        missing = sorted(wanted - {words[number] for number in chosen})
    chosen.sort(key=words.__getitem__)
    if chosen:
        chosen = [chosen[place] for place in np.argsort(-counts[chosen], kind="stable").tolist()]
    if vocab_size is not None:
        chosen = chosen[: max(vocab_size, 0)]
    numbers = np.full(len(words), UNKNOWN, np.int32)
    numbers[chosen] = np.arange(FIRST_WORD, FIRST_WORD + len(chosen), dtype=np.int32)
    for number, word in enumerate(words):
        if word in symbols:
            numbers[number] = -1
    return LmVocabulary.of([words[number] for number in chosen] + missing, unknown), numbers


__all__ = [
    "BEGIN", "END", "NOTHING", "Levels", "Packing", "Source", "TextSource", "choose_vocabulary", "count_parts",
    "divide", "gather", "sort_levels",
]  # fmt: skip
