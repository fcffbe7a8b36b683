"""Count files as a source of n-grams, and the commands that write them: count and merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError, ModelError, UsageError
from mlkit.formats.lm_binary import Sections, is_binary
from mlkit.formats.lm_words import BEGIN, END, UNKNOWN, LmVocabulary
from mlkit.formats.ngram_counts import KIND, BinaryCountWriter, TextCountWriter
from mlkit.formats.streams import Errors, PathLike, display_name, open_output
from mlkit.ngram import kernels_count
from mlkit.ngram.count import Levels, Packing, Source, TextSource, choose_vocabulary, count_parts
from mlkit.ngram.merge import Merge, merge_sorted
from mlkit.ngram.number_words import WordNumbers, number_text, weighted_counts
from mlkit.ngram.spill import Shelf, Shelves
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks

Grams = npt.NDArray[np.int32]


@dataclass
class CountTable:
    """N-grams with counts from files: blocks of (int32[n, k] numbers of words, float64[n]) on a shelf.

    words: by number; word_counts: of the 1-grams (or of the last words of longer ones, where there are no
    1-grams).
    """

    words: list[bytes]
    word_counts: npt.NDArray[np.float64]
    blocks: Shelf
    order: int


def read_counts(
    paths: Sequence[PathLike], shelves: Shelves, *, threads: int = 1, errors: Errors = "strict"
) -> CountTable:
    """Read count files, text or binary. Raises `DataError` with file for lines that are no counts."""
    names = WordNumbers()
    blocks = shelves.shelf()
    shapes: list[int] = []
    word_counts: dict[int, npt.NDArray[np.float64]] = {}

    def take(grams: Grams, counts: npt.NDArray[Any]) -> None:
        blocks.put(grams, counts)
        order = grams.shape[1]
        shapes.append(order)
        size = max(names.words, 1)
        held = np.bincount(grams[:, -1], weights=counts, minlength=size).astype(np.float64)
        if order not in word_counts:
            word_counts[order] = held
        else:
            grown = np.zeros(max(size, len(word_counts[order])))
            grown[: len(word_counts[order])] = word_counts[order]
            grown[: len(held)] += held
            word_counts[order] = grown

    for path in paths:
        reader = _read_binary if is_binary(path) else _read_text
        for grams, counts in reader(path, names, shelves, threads, errors):
            take(grams, counts)
    if not shapes:
        raise DataError("there are no counts", path=display_name(paths[0]) if paths else None)
    chosen = word_counts.get(1, word_counts[max(word_counts)])
    padded = np.zeros(names.words)
    padded[: len(chosen)] = chosen[: names.words]
    # words that are met in longer n-grams only
    for held in word_counts.values():
        short = np.flatnonzero((padded[: len(held)] == 0) & (held[: len(padded)] > 0))
        padded[short] = held[short]
    return CountTable(names.content()[0], padded, blocks, max(shapes))


def _read_text(
    path: PathLike, names: WordNumbers, shelves: Shelves, threads: int, errors: Errors
) -> Iterator[tuple[Grams, npt.NDArray[np.float64]]]:
    """Yield the n-grams of a text file, by order: all but the last field of a line are words, the last is the count."""
    text = number_text([path], shelves, threads=threads, errors=errors, skip_symbols=True)
    values = np.full(len(text.words), np.nan)
    for number, word in enumerate(text.words):
        try:
            values[number] = float(word)
        except ValueError:
            continue
    used = np.full(len(text.words), -1, np.int32)
    line = 0
    for ids, _, local in text:
        ends = np.flatnonzero(ids < 0)
        starts = np.concatenate((np.zeros(1, np.int64), ends + 1))[:-1]
        lengths = ends - starts
        numbers = np.where(ids < 0, 0, local[np.maximum(ids, 0)]) if len(local) else ids
        counts = np.where(lengths > 0, values[numbers[np.maximum(ends - 1, 0)]] if len(local) else 0.0, 0.0)
        wrong = np.flatnonzero((lengths == 1) | ((lengths > 1) & ~((counts >= 0) & (counts < np.inf))))
        if len(wrong):
            raise DataError(
                "not a line of words, a tab and a count",
                path=display_name(path),
                line=line + int(wrong[0]) + 1,
            )
        line += len(ends)
        for length in np.unique(lengths[lengths > 1]):
            rows = np.flatnonzero(lengths == length)
            grams = numbers[starts[rows, None] + np.arange(length - 1)]
            fresh = np.unique(grams)
            fresh = fresh[used[fresh] < 0]
            if len(fresh):
                used[fresh] = _add_words(names, [text.words[number] for number in fresh])
            yield used[grams], counts[rows]
    text.close()


def _add_words(names: WordNumbers, words: list[bytes]) -> npt.NDArray[np.int32]:
    vocabulary = LmVocabulary.of(words)
    _, keys, lengths = vocabulary.index
    special = len(vocabulary) - len(words)
    return names.add(
        vocabulary.blob, vocabulary.starts[special:-1], lengths[special:], keys[special:],
        np.zeros(len(words), np.int64),
    )  # fmt: skip


def _read_binary(
    path: PathLike, names: WordNumbers, shelves: Shelves, threads: int, errors: Errors
) -> Iterator[tuple[Grams, npt.NDArray[np.float64]]]:
    """Yield the n-grams of a binary file in pieces."""
    sections = Sections(path, KIND)
    try:
        words = LmVocabulary(sections.arrays["word bytes"], sections.arrays["word starts"])
        listed = words.blob.tobytes().split(b"\n")[:-1]
        used = np.full(len(words), -1, np.int32)
        used[1:] = _add_words(names, listed[1:])
        order = 1
        while f"grams {order}" in sections.arrays:
            grams, counts = sections.arrays[f"grams {order}"], sections.arrays[f"counts {order}"]
            if len(grams) != len(counts):
                raise ValueError(f"grams {order}")
            for start in range(0, len(grams), 1 << 18):
                part = slice(start, start + (1 << 18))
                piece = grams[part]
                if not 0 < piece.min() <= piece.max() < len(words):
                    raise ValueError(f"grams {order}")
                yield used[piece], counts[part].astype(np.float64)
                sections.release()
            order += 1
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"the counts are damaged ({error})", path=display_name(path)) from None


@dataclass
class CountSource:
    """The n-grams of a count table under a vocabulary: rows with the counts as weights."""

    table: CountTable
    vocabulary: LmVocabulary
    numbers: npt.NDArray[np.int32]
    order: int
    explicit: bool = True
    weighted: bool = True
    sentences: float = 0.0

    def __post_init__(self) -> None:
        if self.order > self.table.order:
            raise DataError(
                f"the counts go up to order {self.table.order}, --order {self.order} asks for more",
                hint=f"choose --order {self.table.order} or count again",
            )
        ids = self.numbers.copy()
        for number, word in enumerate(self.table.words):
            if word == b"<s>":
                ids[number] = BEGIN
            elif word == b"</s>":
                ids[number] = END
        self._ids = ids
        self._endings = np.zeros(len(self.vocabulary), np.int64)
        for grams, counts in self._blocks():
            last = grams[:, -1]
            begins = (last == BEGIN) & (grams.shape[1] == 1)
            self.sentences += float(counts[begins].sum())
            self._endings += np.bincount(last[last != BEGIN], minlength=len(self.vocabulary))
        # every word of an order that is read must have a part, those that only begin n-grams, too
        if not self._endings.any():
            raise DataError("the counts hold no n-gram of the orders that are asked for")

    def _blocks(self) -> Iterator[tuple[Grams, npt.NDArray[np.float64]]]:
        for block in range(len(self.table.blocks)):
            grams, counts = self.table.blocks.get(block)
            if grams.shape[1] <= self.order:
                kept = counts > 0
                yield self._ids[grams[kept]], counts[kept]

    def endings(self) -> npt.NDArray[np.int64]:
        """Return how many rows end in every word."""
        return self._endings

    def scatter(
        self, order: int, packing: Packing, part_of: Any, parts: int, threads: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (rows, weights, offsets) of every block, grouped by part."""

        def block(piece: tuple[Grams, npt.NDArray[np.float64]]) -> tuple[Any, ...]:
            grams, counts = piece
            usable = grams[:, -1] != BEGIN
            grams, counts = grams[usable], counts[usable]
            owners = part_of[grams[:, -1]]
            order_of = np.argsort(owners, kind="stable")
            offsets = np.zeros(parts + 1, np.int64)
            offsets[1:] = np.cumsum(np.bincount(owners, minlength=parts))
            padded = np.zeros((len(grams), order), np.int32)
            padded[:, order - grams.shape[1] :] = grams[order_of]
            rows = np.empty((len(grams), packing.columns(order)), np.uint64)
            kernels_count.pack_rows(padded, order, packing.bits, packing.fields, rows)
            return rows, counts[order_of], offsets

        yield from map_chunks(block, self._blocks(), threads)


def write_counts(
    source: Source,
    order: int,
    output: PathLike,
    *,
    binary: bool,
    threads: int = 1,
    shelves: Shelves | None = None,
    progress: Progress = silent,
) -> list[int]:
    """Count the n-grams of a source and write them; return how many there are of every order."""
    room = shelves or Shelves()
    packing = Packing.of(source.vocabulary)
    kept = room.shelf()
    sizes = np.zeros(order, np.int64)
    first = np.zeros(len(source.vocabulary))
    finish: Callable[[Levels, Any, int], Levels] = lambda levels, part_of, parts: levels  # noqa: E731
    for levels in count_parts(source, order, packing, room, threads, finish):
        sizes += np.diff(levels.offsets)
        here = levels.of(1)
        first[levels.words[here]] = levels.counts[here]
        kept.put(levels.offsets, levels.words, levels.parents, levels.counts)
        progress(Report("Counting", len(kept), None, "parts"))
    first[BEGIN] = source.sentences
    unigrams = np.flatnonzero(first).astype(np.int32)
    sizes[0] = len(unigrams)
    with open_output(output) as stream:
        writer: Any = (BinaryCountWriter if binary else TextCountWriter)(stream)
        writer.begin(source.vocabulary)
        writer.write(1, writer.prepare(1, unigrams.reshape(-1, 1), first[unigrams]))
        for level in range(2, order + 1):

            def piece(part: int, level: int = level) -> Any:
                offsets, words, parents, counts = kept.get(part)
                here = slice(int(offsets[level - 1]), int(offsets[level]))
                grams = np.empty((here.stop - here.start, level), np.int32)
                kernels_count.read_level(offsets, words, parents, level, grams)
                return writer.prepare(level, grams, counts[here])

            for prepared in map_chunks(piece, range(len(kept)), threads):
                writer.write(level, prepared)
        writer.finish({"order": order, "sentences": source.sentences, "sizes": sizes.tolist()}, order)
    kept.close()
    return [int(size) for size in sizes]


def count_text(
    sources: Sequence[PathLike],
    output: PathLike,
    *,
    order: int = 3,
    binary: bool = False,
    threads: int = 1,
    shelves: Shelves | None = None,
    errors: Errors = "strict",
    shard: tuple[int, int] | None = None,
    weighted: bool = False,
    skip_symbols: bool = False,
    progress: Progress = silent,
) -> list[int]:
    """Count the n-grams of texts into a file; return how many there are of every order."""
    if order < 1:
        raise UsageError(f"--order must be at least 1, not {order}")
    room = shelves or Shelves()
    text = number_text(
        sources, room, threads=threads, errors=errors, shard=shard, weighted=weighted,
        skip_symbols=skip_symbols, progress=progress,
    )  # fmt: skip
    word_counts = weighted_counts(text) if weighted else text.counts
    vocabulary, numbers = choose_vocabulary(text.words, word_counts)
    source = TextSource(text, vocabulary, numbers)
    return write_counts(
        source, order, output, binary=binary, threads=threads, shelves=room, progress=progress
    )


def merge_counts(
    paths: Sequence[PathLike],
    output: PathLike,
    *,
    binary: bool = False,
    threads: int = 1,
    shelves: Shelves | None = None,
    errors: Errors = "strict",
    progress: Progress = silent,
) -> list[int]:
    """Add count files up; the result has the same bytes as the count of all their texts in one run."""
    room = shelves or Shelves()
    if paths and all(map(is_binary, paths)):
        sizes = merge_sorted(
            paths, output, binary=binary, threads=threads, memory=room.limit, tmp_dir=room.directory,
            progress=progress,
        )  # fmt: skip
        if sizes is not None:
            return sizes
    table = read_counts(paths, room, threads=threads, errors=errors)
    vocabulary, numbers = choose_vocabulary(table.words, table.word_counts)
    source = CountSource(table, vocabulary, numbers, table.order)
    return write_counts(
        source, table.order, output, binary=binary, threads=threads, shelves=room, progress=progress
    )


def write_merged(
    parts: Sequence[PathLike],
    plan: PathLike | None,
    pieces: Sequence[PathLike],
    output: PathLike,
    *,
    binary: bool = False,
    threads: int = 1,
    shelves: Shelves | None = None,
    progress: Progress = silent,
) -> list[int]:
    """Write a merge whose ranges were made elsewhere, from its `plan` and `pieces`; without a plan, merge `parts`."""
    if plan is None:
        return merge_counts(parts, output, binary=binary, threads=threads, shelves=shelves, progress=progress)
    return Merge.load(plan).write(output, binary=binary, made=pieces, threads=threads, progress=progress)


__all__ = [
    "UNKNOWN",
    "CountSource",
    "CountTable",
    "count_text",
    "merge_counts",
    "read_counts",
    "write_counts",
    "write_merged",
]
