"""Add binary count files up without holding them: they are sorted already, but each by its own numbers of words.

First the words of all files get common numbers (`Merge.of`). Then n-grams that end in the same words, which stand
together in every file, are taken from all files, a batch of them at a time: packed under the new numbers, sorted in the
cache, added up. Batches follow each other in the order of the result. What a frequent word ends is cut by the word
before it, and so on; memory grows with the vocabulary, but not with the number of n-grams.

A merge can be cut into ranges of last words that are independent of each other: each range is made into a file of its
own by a worker, and the files are written one after another.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mlkit.formats import kernels_words
from mlkit.formats.lm_binary import Sections, SectionWriter
from mlkit.formats.lm_words import BEGIN, END, FIRST_WORD, UNKNOWN, LmVocabulary
from mlkit.formats.ngram_counts import BinaryCountWriter, TextCountWriter
from mlkit.formats.streams import PathLike, open_output
from mlkit.formats.vocabulary import Vocabulary
from mlkit.ngram import kernels_merge as kernels
from mlkit.ngram.count import Packing
from mlkit.ngram.count_file import Ints, Numbers, Part
from mlkit.ngram.number_words import WordNumbers
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks

PLAN = "plan of a merge"
PIECE = "range of a merge"
BATCH = 1 << 17
_WORD = 60  # bytes that a word of a part takes in memory
_LEAST = 64 << 20  # bytes for the words of parts
_FAN_IN = 64  # parts at a time: they are open files
_BLOCK = 1 << 18  # rows that are copied at a time
Piece = tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]


@dataclass
class Merge:
    """Count files under a common vocabulary. numbers: of each file, the new number of every word.

    first: float64[words], the counts of the 1-grams; cuts: the last words at which the ranges of the merge begin.
    """

    parts: list[Part]
    vocabulary: LmVocabulary
    numbers: list[Numbers]
    first: npt.NDArray[np.float64]
    cuts: Ints

    @property
    def order(self) -> int:
        """The longest n-grams."""
        return max(part.order for part in self.parts)

    @classmethod
    def of(cls, paths: Sequence[PathLike], ranges: int = 1) -> Merge | None:
        """Number the words of count files; None where n-grams are not sorted, or there are none.

        Raises `ModelError` for damaged files.
        """
        parts = [Part(path, len(paths) - 1) for path in paths]
        for part in parts:
            if any(part.index(level) is None for level in range(2, part.order + 1)):
                return None
        names = WordNumbers()
        used = [_add_words(names, part) for part in parts]
        counts = np.zeros(names.words)
        for part, ids in zip(parts, used, strict=True):
            values = part.counts(1).astype(np.float64)
            counts += np.bincount(ids[part.grams(1)[:, 0]], np.where(values > 0, values, 0.0), names.words)
        vocabulary, chosen = _ordered(names, counts, used[0][1:FIRST_WORD])
        first = np.bincount(chosen, counts, len(vocabulary)).astype(np.float64)
        if not first[np.arange(len(first)) != BEGIN].any():
            return None
        numbers = [np.append(np.int32(0), chosen[ids[1:]]).astype(np.int32) for ids in used]
        return cls(parts, vocabulary, numbers, first, _cuts(parts, numbers, len(vocabulary), ranges))

    def pieces(
        self, level: int, span: tuple[int, int], threads: int = 1, batch: int = BATCH
    ) -> Iterator[Piece]:
        """Yield the n-grams of an order whose last words are span[0] to span[1], with their sums, in order."""
        packing = Packing.of(self.vocabulary)

        def work(spans: list[tuple[Ints, Ints]]) -> Piece:
            taken = [
                part.take(level, *found, numbers, packing)
                for part, numbers, found in zip(self.parts, self.numbers, spans, strict=True)
            ]
            rows, weights = (np.concatenate(column) for column in zip(*taken, strict=True))
            grams, counts = np.empty((len(rows), level), np.int32), np.empty(len(rows))
            order = packing.sorted(rows)
            size = kernels.add_rows(rows, order, weights, packing.bits, packing.fields, grams, counts)
            return grams[:size], counts[:size]

        yield from map_chunks(work, self._batches(level, 0, None, span, batch), threads)

    def _batches(
        self, level: int, depth: int, spans: list[tuple[int, int]] | None, limits: tuple[int, int], batch: int
    ) -> Iterator[list[tuple[Ints, Ints]]]:
        """Yield, for each part, the (starts, stops) of the rows of a batch.

        spans: the rows of each part that agree in the last `depth` words; limits: the words to take.
        """
        groups = [
            self._groups(level, depth, number, None if spans is None else spans[number], limits)
            for number in range(len(self.parts))
        ]
        sizes = np.zeros(len(self.vocabulary), np.int64)
        for ids, starts, stops in groups:
            np.add.at(sizes, ids, stops - starts)
        present = np.flatnonzero(sizes)
        sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes[present])))
        at = 0
        while at < len(present):
            end = max(int(np.searchsorted(sums, sums[at] + batch, "right")) - 1, at + 1)
            lowest, highest = int(present[at]), int(present[end - 1])
            chosen = []
            for ids, starts, stops in groups:
                first, last = np.searchsorted(ids, (lowest, highest + 1)).tolist()
                chosen.append((starts[first:last], stops[first:last]))
            if sums[end] - sums[at] > batch and depth + 1 < level:
                inner = [
                    (int(found[0][0]), int(found[1][-1])) if len(found[0]) else (0, 0) for found in chosen
                ]
                yield from self._batches(level, depth + 1, inner, limits, batch)
            else:
                yield chosen
            at = end

    def _groups(
        self, level: int, depth: int, number: int, span: tuple[int, int] | None, limits: tuple[int, int]
    ) -> tuple[Numbers, Ints, Ints]:
        """Return, sorted, the words that stand `depth` words before the last in rows of a part, and their rows."""
        part, numbers = self.parts[number], self.numbers[number]
        if span is not None:
            found, edges = part.groups(level, depth, *span)
            ids, starts, stops = numbers[found], edges[:-1], edges[1:]
            sorting = np.argsort(ids, kind="stable")
            return ids[sorting], starts[sorting], stops[sorting]
        index = part.index(level)
        assert index is not None
        words = np.flatnonzero(np.diff(index))
        ids = numbers[words]
        kept = (ids >= limits[0]) & (ids < limits[1]) & (ids != BEGIN)
        places = np.full(len(self.vocabulary), -1, np.int64)
        places[ids[kept]] = words[kept]
        words = places[places >= 0]
        return numbers[words], index[words], index[words + 1]

    def save(self, path: PathLike) -> None:
        """Write the plan of the merge, for workers that make its ranges."""
        with open_output(path) as stream:
            writer = SectionWriter(stream, PLAN)
            writer.add("word bytes", self.vocabulary.blob)
            writer.add("word starts", self.vocabulary.starts)
            writer.add("first", self.first)
            writer.add("cuts", self.cuts)
            for number, numbers in enumerate(self.numbers):
                writer.add(f"numbers {number}", numbers)
            writer.finish({"parts": [part.sections.path for part in self.parts]})

    @classmethod
    def load(cls, path: PathLike) -> Merge:
        """Read a plan that `save` wrote."""
        sections = Sections(path, PLAN)
        arrays = sections.arrays
        names = sections.header["parts"]
        parts = [Part(name, len(names) - 1) for name in names]
        numbers = [arrays[f"numbers {number}"] for number in range(len(parts))]
        vocabulary = LmVocabulary(arrays["word bytes"], arrays["word starts"])
        return cls(parts, vocabulary, numbers, arrays["first"], arrays["cuts"])

    def write_range(self, index: int, path: PathLike, threads: int = 1, progress: Progress = silent) -> None:
        """Make a range of the merge into a file."""
        span = int(self.cuts[index]), int(self.cuts[index + 1])
        with open_output(path) as stream:
            writer = BinaryCountWriter(stream, PIECE)
            for level in range(2, self.order + 1):
                for grams, counts in self.pieces(level, span, threads):
                    writer.write(level, (grams, counts))
                    last = int(grams[-1, -1]) if len(grams) else span[0]
                    share = (last - span[0]) / max(span[1] - span[0], 1)
                    progress(Report("Merging", level - 2 + share, self.order - 1, "orders"))
            writer.finish({}, self.order)

    def write(
        self,
        output: PathLike,
        *,
        binary: bool,
        made: Sequence[PathLike] | None = None,
        threads: int = 1,
        progress: Progress = silent,
    ) -> list[int]:
        """Write the result: merging here, or from the files of all ranges; return how many n-grams it has."""
        unigrams = np.flatnonzero(self.first).astype(np.int32)
        sizes = [len(unigrams), *[0] * (self.order - 1)]
        ranges = [Sections(path, PIECE) for path in made] if made is not None else None
        with open_output(output) as stream:
            writer: Any = (BinaryCountWriter if binary else TextCountWriter)(stream)
            writer.begin(self.vocabulary)
            writer.write(1, writer.prepare(1, unigrams.reshape(-1, 1), self.first[unigrams]))
            for level in range(2, self.order + 1):
                pieces = (
                    self.pieces(level, (0, len(self.vocabulary)), threads)
                    if ranges is None
                    else _copies(ranges, level)
                )

                def prepare(piece: Piece, level: int = level) -> tuple[int, Any]:
                    return len(piece[0]), writer.prepare(level, *piece)

                for size, prepared in map_chunks(prepare, pieces, threads):
                    sizes[level - 1] += size
                    writer.write(level, prepared)
                    progress(Report("Merging", sum(sizes), None, "n-grams"))
            sentences = float(self.first[BEGIN])
            writer.finish({"order": self.order, "sentences": sentences, "sizes": sizes}, self.order)
        return sizes


def merge_sorted(
    paths: Sequence[PathLike],
    output: PathLike,
    *,
    binary: bool,
    threads: int = 1,
    memory: int | None = None,
    tmp_dir: str | None = None,
    progress: Progress = silent,
) -> list[int] | None:
    """Add binary count files up, as many at a time as there is `memory` for what their words take.

    Returns how many n-grams there are of every order; None where a file is not sorted, or there is nothing to add up.
    """
    room = sys.maxsize if memory is None else max(memory, _LEAST)
    with tempfile.TemporaryDirectory(prefix=".mlkit-merge-", dir=tmp_dir) as folder:
        made = 0
        while len(groups := _groups_of(paths, room)) > 1:
            paths = []
            for group in groups:
                if len(group) > 1:
                    merge = Merge.of(group)
                    if merge is None:
                        return None
                    merge.write(f"{folder}/{made}", binary=True, threads=threads, progress=progress)
                    for path in map(Path, group):
                        if path.parent == Path(folder):
                            path.unlink()
                    group = [f"{folder}/{made}"]
                    made += 1
                paths.append(group[0])
        merge = Merge.of(paths)
        return (
            None if merge is None else merge.write(output, binary=binary, threads=threads, progress=progress)
        )


def _groups_of(paths: Sequence[PathLike], room: int) -> list[list[PathLike]]:
    """Cut files into groups, of two at least, whose words fit in `room`."""
    groups: list[list[PathLike]] = []
    left = 0
    for path in paths:
        size = _WORD * len(Part(path))
        if not groups or (len(groups[-1]) >= 2 and (left < size or len(groups[-1]) == _FAN_IN)):
            groups.append([])
            left = room
        groups[-1].append(path)
        left -= size
    return groups


def _copies(ranges: Sequence[Sections], level: int) -> Iterator[Piece]:
    for sections in ranges:
        grams, counts = (sections.arrays[f"{name} {level}"] for name in ("grams", "counts"))
        for first in range(0, len(grams), _BLOCK):
            yield grams[first : first + _BLOCK].copy(), counts[first : first + _BLOCK].astype(np.float64)
            if first % (8 * _BLOCK) == 0:
                sections.release()
        sections.release()


def _add_words(names: WordNumbers, part: Part) -> Numbers:
    """Enter the words of a file; return their numbers (that of no word is 0)."""
    starts = part.starts
    keys, lengths = np.empty(len(part), np.uint64), np.empty(len(part), np.int32)
    with np.errstate(over="ignore"):
        kernels_words.key_words(part.blob, starts, keys, lengths)
    numbers = np.zeros(len(part), np.int32)
    numbers[1:] = names.add(part.blob, starts[1:-1], lengths[1:], keys[1:], np.zeros(len(part) - 1, np.int64))
    return numbers


def _ordered(
    names: WordNumbers, counts: npt.NDArray[np.float64], special: Numbers
) -> tuple[LmVocabulary, Numbers]:
    """Order words by descending count, then by bytes, as `choose_vocabulary` does; return the number of each, too.

    special: the places of the unknown word, `<s>` and `</s>`.
    """
    blob, starts = names.blob()
    kept = np.ones(len(blob), np.bool_)
    kept[starts[1:] - 1] = False
    ranked = counts.copy()
    ranked[special] = -1.0
    words = Vocabulary(blob[kept], starts - np.arange(len(starts)), cast(Ints, ranked))
    order = words.sorted_order()[: len(ranked) - len(special)]
    chosen = Vocabulary(blob, starts, cast(Ints, ranked)).select(order)
    numbers = np.empty(len(ranked), np.int32)
    numbers[special] = UNKNOWN, BEGIN, END
    numbers[order] = np.arange(FIRST_WORD, FIRST_WORD + len(order), dtype=np.int32)
    head = LmVocabulary.of([])
    offsets = np.concatenate((head.starts[:-1], chosen.offsets + len(head.blob)))
    return LmVocabulary(np.concatenate((head.blob, chosen.blob)), offsets), numbers


def _cuts(parts: list[Part], numbers: list[Numbers], words: int, ranges: int) -> Ints:
    """Cut the numbers of words into ranges of last words with about equally many n-grams."""
    rows = np.zeros(words)
    for part, found in zip(parts, numbers, strict=True):
        for level in range(2, part.order + 1):
            rows += np.bincount(found, np.diff(cast(Ints, part.index(level))), words)
    sums = np.cumsum(rows)
    inner = np.searchsorted(sums, np.arange(1, ranges) * (sums[-1] / ranges), "right")
    return np.concatenate(([0], inner, [words])).astype(np.int64)
