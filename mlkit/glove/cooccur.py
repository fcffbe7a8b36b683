"""Count which words occur near which (Pennington, Socher, Manning 2014, section 3 and 4.2).

The corpus is encoded first. Then the positions of every word are listed (a counting sort), and the matrix is made row
by row: all neighbours of all occurrences of a word are added into a table that stays in the cache, and the row is
written. Nothing is sorted. When the positions of the whole corpus exceed the memory limit, segments of the corpus
are counted into runs, and the runs are added up row by row.

Weights are counted in whole units of 1/scale; the scale is the least common multiple of all distances up to a
window of 18 (so that sums are exact), and 2**30 beyond. Sums do not depend on the order, hence neither on threads,
memory limit or shards.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from queue import LifoQueue
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from mlkit.corpus.prepare import EncodedCorpus, encode_corpus, memory_left, prepare_corpus
from mlkit.errors import DataError, ModelError, UsageError
from mlkit.formats.cooccurrence import RECORD, Bytes, Cooccurrences, RowWriter, row_writer
from mlkit.formats.streams import Errors, PathLike, is_standard, open_output
from mlkit.formats.vocabulary import Ints, Vocabulary, raw
from mlkit.glove import kernels_cooccur as kernels
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks

FORMATS = ("mlkit", "glove")
Rows = tuple[
    Bytes, Ints, int
]  # the bytes of some rows, the length of each, the number of records they stand for
FAN_IN = 32
_SEGMENT = 1 << 30  # positions are int32
_OUT = 1 << 21
_MERGE = 2 << 20
_RECORDS = 1 << 24  # a buffer that stays in the cache; new memory costs more than decoding twice


@dataclass(frozen=True)
class CooccurrenceCounts:
    """What was counted: words of the vocabulary, tokens of the corpus, non-zero weights of the full matrix."""

    words: int
    tokens: int
    records: int


def count_cooccurrences(
    sources: Sequence[PathLike],
    output: PathLike,
    *,
    window: int = 15,
    symmetric: bool = True,
    distance_weighting: bool = True,
    vocabulary: Vocabulary | None = None,
    min_count: int = 5,
    max_size: int | None = None,
    lower: bool = False,
    errors: Errors = "strict",
    format: str = "mlkit",
    threads: int = 1,
    memory: int | None = None,
    tmp_dir: str | None = None,
    shard: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> CooccurrenceCounts:
    """Count the co-occurrences of words in texts and write them to `output`.

    A word counts the words up to `window` to its left and right (symmetric) or to its right, with the weight
    1/distance, or 1 without `distance_weighting`. Words that are not in the vocabulary are left out before distances
    are measured, and windows end at line ends, as in GloVe's cooccur. memory: bytes for the whole process. shard:
    (index, number) of the part of the texts to count, which needs a `vocabulary`.
    """
    if window < 1:
        raise UsageError(f"the window must be at least 1, not {window}")
    if format == "mlkit" and is_standard(output):
        raise UsageError("mlkit's co-occurrence format needs a file; --format glove can be written to a pipe")
    if shard is not None and vocabulary is None:
        raise UsageError("--shard needs --vocab: all shards must number words alike")
    if vocabulary is None:
        vocabulary, corpus = prepare_corpus(
            sources, min_count=min_count, max_size=max_size, lower=lower, errors=errors, threads=threads,
            memory=memory, tmp_dir=tmp_dir, progress=progress,
        )  # fmt: skip
    else:
        corpus = encode_corpus(
            sources, vocabulary, lower=lower, errors=errors, threads=threads, tmp_dir=tmp_dir, shard=shard,
            progress=progress,
        )  # fmt: skip
    scale, weights = _weights(window, distance_weighting)
    if corpus.tokens * scale * 2 >= 1 << 64:
        raise DataError("the corpus is too large for exact sums with this window")
    facts = {
        "scale": scale, "window": window, "symmetric": symmetric, "distance_weighting": distance_weighting,
    }  # fmt: skip
    counter = _RowCounter(corpus, len(vocabulary), weights, symmetric, threads)
    with _target(output, format, tmp_dir, memory) as target:
        segment = counter.segment(memory)
        runs = []
        for first in range(0, max(len(corpus.ids), 1), segment):
            last = min(first + segment, len(corpus.ids))
            whole = first == 0 and last == len(corpus.ids)
            writer = target if whole else RowWriter(_temporary(tmp_dir))
            for rows in counter.rows(first, last, progress):
                writer.write(*rows)
            if not whole:
                writer.finish(vocabulary, facts)
                runs.append(Cooccurrences.map(writer.file, "run"))
        if runs:
            _add_up(runs, target, vocabulary, facts, tmp_dir, progress)
        target.finish(vocabulary, facts)
    return CooccurrenceCounts(len(vocabulary), corpus.tokens, target.records)


def merge_cooccurrences(
    paths: Sequence[PathLike],
    output: PathLike,
    *,
    format: str = "mlkit",
    memory: int | None = None,
    tmp_dir: str | None = None,
    progress: Progress = silent,
) -> CooccurrenceCounts:
    """Add up co-occurrence files of the same vocabulary and settings, such as those of shards."""
    parts = [Cooccurrences.open(path) for path in paths]
    first = parts[0]
    names = ("vocabulary", "window", "symmetric", "distance_weighting", "scale")
    facts = {name: first.header[name] for name in names if name != "vocabulary"}
    for part in parts:
        check_rows(part)
        for name in names:
            if part.header[name] != first.header[name]:
                raise ModelError(f"differs from {first.path} in its {name}", path=part.path)
    vocabulary = first.vocabulary()
    with _target(output, format, tmp_dir, memory) as target:
        _add_up(parts, target, vocabulary, facts, tmp_dir, progress)
        target.finish(vocabulary, facts)
    return CooccurrenceCounts(len(vocabulary), vocabulary.tokens, target.records)


def _weights(window: int, distance_weighting: bool) -> tuple[int, npt.NDArray[np.uint64]]:
    """Return the scale, and the weight in units at every distance (0 at distance 0)."""
    distances = range(1, window + 1)
    if not distance_weighting:
        return 1, np.array([0] + [1] * window, np.uint64)
    scale = math.lcm(*distances)
    if window > 18:
        scale = 1 << 30
    return scale, np.array([0] + [round(scale / k) for k in distances], np.uint64)


def _tables(words: int) -> tuple[npt.NDArray[np.uint64], Bytes, npt.NDArray[np.uint64]]:
    """Return an empty row in the making: weights, a flag for every 8 of them, the flags 8 at a time."""
    flags = np.zeros((words + 63) // 64 * 8, np.uint8)
    return np.zeros(8 * len(flags), np.uint64), flags, flags.view(np.uint64)


def check_rows(matrix: Cooccurrences) -> Ints:
    """Check that every row can be read safely; return the number of entries of each row of the full matrix."""
    degrees = np.zeros(matrix.words, np.int64)
    for first, last, data in matrix.blocks():
        faulty = int(kernels.check_rows(data, first, last, matrix.words, matrix.symmetric, degrees))
        if faulty >= 0:
            raise ModelError(f"is damaged in row {faulty + 1}", path=matrix.path)
    return degrees


def _temporary(tmp_dir: str | None) -> BinaryIO:
    return cast(BinaryIO, tempfile.TemporaryFile(dir=tmp_dir))


class _RowCounter:
    """Make the rows of a corpus with a pool of tables, one a thread."""

    def __init__(
        self,
        corpus: EncodedCorpus,
        words: int,
        weights: npt.NDArray[np.uint64],
        symmetric: bool,
        threads: int,
    ) -> None:
        self.corpus, self.words, self.weights, self.symmetric = corpus, words, weights, symmetric
        self.threads = threads
        self.groups = (words + 63) // 64 * 8

    def segment(self, memory: int | None) -> int:
        """Return how many ids may be counted at a time: 4 bytes for an id, 4 for its position."""
        if memory is None:
            return _SEGMENT
        out = self.threads * 4 * max(_OUT, self.words * kernels.ENTRY)
        tables = self.threads * 73 * self.groups + 80 * self.words + 4 * _MERGE
        kernels.count_rows.compile()
        left = memory_left(memory, out + tables, "co-occurrences of this vocabulary")
        return max(min(left // 8, _SEGMENT), 1 << 10)

    def rows(self, first: int, last: int, progress: Progress) -> Iterator[Rows]:
        """Yield all rows, counting the occurrences in ids[first:last]."""
        window = len(self.weights) - 1
        low, high = max(first - window, 0), min(last + window, len(self.corpus.ids))
        ids = self.corpus.read(low, high)
        counts = np.zeros(self.words, np.int64)
        kernels.count_ids(ids, first - low, last - low, counts)
        starts = np.zeros(self.words + 1, np.int64)
        np.cumsum(counts, out=starts[1:])
        positions = np.empty(int(starts[-1]), np.int32)
        kernels.place_ids(ids, first - low, last - low, starts[:-1].copy(), positions)
        idle: LifoQueue[tuple[Any, ...]] = LifoQueue()
        widest = 10 + kernels.ENTRY * min(8 * self.groups, int(counts.max(initial=0)) * 2 * window)
        for _ in range(self.threads):
            idle.put((*_tables(self.words), np.empty(max(_OUT, widest), np.uint8)))

        def work(block: tuple[int, int]) -> list[Rows]:
            table, flags, eights, out = workspace = idle.get()
            row, pieces = block[0], []
            while row < block[1]:
                lengths, records = np.empty(block[1] - row, np.int64), np.zeros(1, np.int64)
                done = int(
                    kernels.count_rows(
                        ids, positions, starts, row, block[1], self.weights, self.symmetric, table, flags, eights, out,
                        lengths, records,
                    )
                )  # fmt: skip
                pieces.append(
                    (out[: int(lengths[:done].sum())].copy(), lengths[:done].copy(), int(records[0]))
                )
                row += done
            idle.put(workspace)
            return pieces

        done = 0
        for pieces in map_chunks(work, self._blocks(starts), self.threads):
            for piece in pieces:
                done += len(piece[1])
                yield piece
            # line ends are no words, but places in the text
            at = first + (last - first) * int(starts[done]) / max(int(starts[-1]), 1)
            progress(Report("counting", at, len(self.corpus.ids), "tokens"))

    def _blocks(self, starts: Ints) -> list[tuple[int, int]]:
        """Cut the rows into blocks of about equal work."""
        work = starts + np.arange(len(starts)) * 16
        cuts = np.searchsorted(work, np.arange(1, 65) * (work[-1] / 64)).tolist()
        return list(pairwise(sorted({0, *(min(cut, self.words) for cut in cuts), self.words})))


def _add_up(
    parts: list[Cooccurrences],
    target: RowWriter,
    vocabulary: Vocabulary,
    facts: dict[str, Any],
    tmp_dir: str | None,
    progress: Progress,
) -> None:
    """Write the sum of matrices, with at most FAN_IN of them at a time."""
    while len(parts) > FAN_IN:
        writer = RowWriter(_temporary(tmp_dir))
        _add_rows(parts[:FAN_IN], writer, progress)
        writer.finish(vocabulary, facts)
        parts = [*parts[FAN_IN:], Cooccurrences.map(writer.file, "run")]
    _add_rows(parts, target, progress)


def _add_rows(parts: list[Cooccurrences], target: RowWriter, progress: Progress) -> None:
    words = parts[0].words
    tables = _tables(words)
    sizes = np.zeros(words + 1, np.int64)
    for part in parts:
        sizes += part.ends
        part.release()
    first = 0
    while first < words:
        # as many rows as make some megabytes, at least one
        last = max(int(np.searchsorted(sizes, sizes[first] + _MERGE, "right")) - 1, first + 1)
        starts = np.empty((len(parts), last - first), np.int64)
        pieces, at = [], 0
        for number, part in enumerate(parts):
            begin, end = int(part.ends[first]), int(part.ends[last])
            starts[number] = part.ends[first:last] - begin + at
            pieces.append(part.rows(first, last))
            at += end - begin
        data = np.concatenate(pieces)
        out, lengths, records = (
            np.empty(len(data), np.uint8),
            np.empty(last - first, np.int64),
            np.zeros(1, np.int64),
        )
        symmetric = parts[0].symmetric
        size = int(kernels.add_rows(data, starts, first, symmetric, *tables, out, lengths, records))
        target.write(out[:size], lengths, int(records[0]))
        progress(Report("merging", last, words, "rows"))
        first = last


@contextmanager
def _target(output: PathLike, format: str, tmp_dir: str | None, memory: int | None) -> Iterator[RowWriter]:
    """Give the writer of rows: of the output itself, or of a temporary file that GloVe's records are made from."""
    if format not in FORMATS:
        raise UsageError(f"no co-occurrence format {format!r}; choose one of {', '.join(FORMATS)}")
    if format == "mlkit":
        with row_writer(output) as writer:
            yield writer
        return
    with _temporary(tmp_dir) as file:
        yield RowWriter(file)
        block = _RECORDS
        if memory is not None:
            block = min(block, memory_left(memory, 16 << 20, "GloVe's records", least=-(1 << 60)))
        write_glove(Cooccurrences.map(file, "rows"), output, max(block, 1 << 20), bounded=memory is not None)


def write_glove(
    matrix: Cooccurrences, output: PathLike, block: int = _RECORDS, *, bounded: bool = True
) -> None:
    """Write a matrix just made as GloVe's records, sorted by word and context; `block` bytes of records at a time.

    bounded: the pages of the matrix do not stay in memory.
    """
    degrees = np.zeros(matrix.words, np.int64)
    for first, last, data in matrix.blocks(stay=not bounded):
        kernels.count_entries(data, first, last, matrix.symmetric, degrees)
    ends = np.zeros(matrix.words + 1, np.int64)
    np.cumsum(degrees, out=ends[1:])
    room = max(block // RECORD.itemsize, int(degrees.max(initial=0)))
    records = np.empty(min(room, int(ends[-1])), RECORD)
    # how far each row was read for the words of earlier blocks: nothing is decoded more than twice
    places, columns = matrix.ends[:-1].copy(), np.zeros(matrix.words, np.int64)
    with open_output(output) as target:
        first = 0
        while first < matrix.words:
            last = max(int(np.searchsorted(ends, ends[first] + room, "right")) - 1, first + 1)
            heads = ends[first:last] - ends[first]
            # of a symmetric matrix all rows from `first` on have something to say
            for begin, end, data in matrix.blocks(first=first, stay=not bounded):
                if matrix.symmetric or begin < last:
                    kernels.write_records(
                        data, matrix.ends, begin, end if matrix.symmetric else min(end, last), matrix.symmetric, first,
                        last, matrix.scale, places, columns, heads, records.view(np.int32), records.view(np.float64),
                    )  # fmt: skip
            target.write(raw(records[: int(ends[last] - ends[first])]))
            first = last
