"""Count the distinct words of a text, with threads, within a bound of memory."""

from __future__ import annotations

import itertools
import struct
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mlkit.bpe import text_blocks as texts
from mlkit.bpe.encode_plain import WORDS
from mlkit.bpe.model import Kind
from mlkit.bpe.text_blocks import Piece
from mlkit.errors import UsageError
from mlkit.formats.input_shards import input_size
from mlkit.formats.streams import Errors, PathLike, expand_sources
from mlkit.formats.word_counts import Count, add_sorted
from mlkit.progress import Progress, Report, silent

if TYPE_CHECKING:
    from mlkit.bpe.learn_compiled import Words
    from mlkit.bpe.word_table import WordTable

# below this many bytes of text plain Python is faster than importing numba
SMALL = 1 << 19
_RECORD = struct.Struct("<IQ")


def count_words(
    sources: Sequence[PathLike],
    kind: Kind,
    *,
    weights: Sequence[int] = (),
    threads: int = 1,
    errors: Errors = "strict",
    shard: tuple[int, int] | None = None,
    memory: int | None = None,
    tmp_dir: str | None = None,
    progress: Progress = silent,
) -> Counts:
    """Count the words of files, each times its weight (default 1).

    `memory` bounds the tables in bytes: when they reach it, their sorted content goes to a file in `tmp_dir`.
    Raises `DataError` for invalid UTF-8.
    """
    files = expand_sources(sources)
    factors = list(weights) or [1] * len(files)
    if len(factors) != len(files):
        raise UsageError(f"{len(factors)} weights for {len(files)} files")
    total = input_size(files, shard)
    stream = texts.pieces(files, errors=errors, lossless=kind == "bytes", shard=shard, chunk_bytes=1 << 20)
    taken, small = texts.split_small(stream, SMALL)
    if small:
        return _count_plain(taken, kind, factors)
    return _count_fast(
        itertools.chain(taken, stream), kind, factors, threads, memory, tmp_dir, total, progress
    )


class Counts:
    """Distinct words with counts: in a dict, in tables, or partly in sorted files."""

    def __init__(
        self, plain: Counter[str] | None = None, tables: Sequence[Any] = (), spills: Sequence[BinaryIO] = ()
    ) -> None:
        self.plain, self._tables, self._spills = plain, tables, list(spills)

    def rows(self) -> Iterator[Count]:
        """Yield (word, count), sorted by the words' bytes."""
        if self.plain is not None:
            return iter(sorted((word.encode(), count) for word, count in self.plain.items()))
        streams = [iter(table.sorted_rows()) for table in self._tables if table.words.count]
        return add_sorted([*streams, *(_read_spill(file) for file in self._spills)])

    def arrays(self) -> Words:
        """Return the words as arrays for the kernels, once: the tables are given up."""
        if self.plain is not None:
            return words_from_rows(self.rows())
        if len(self._tables) == 1 and not self._spills:
            return self._of_table()
        if self._tables and not self._spills:
            first, *others = self._tables
            self._tables = [first]
            while others:
                first.add(others.pop(0))
            return self._of_table()
        return words_from_rows(self.rows())

    def _of_table(self) -> Words:
        """Return the words of the only table, and forget it: learning needs the memory."""
        from mlkit.bpe.learn_compiled import Words

        table = self._tables[0]
        self._tables = []
        count = table.words.count
        return Words(table.words.arena, table.words.starts, table.counts[:count].copy())


def words_from_rows(rows: Iterable[Count]) -> Words:
    """Return words and counts as arrays."""
    import numpy as np

    from mlkit.bpe.learn_compiled import Words

    arena = bytearray()
    ends, counts = [0], []
    for word, count in rows:
        arena += word
        ends.append(len(arena))
        counts.append(count)
    return Words(
        np.frombuffer(bytes(arena) + b"\0", np.uint8), np.array(ends, np.int64), np.array(counts, np.int64)
    )


def _count_plain(pieces: Sequence[Piece], kind: Kind, factors: Sequence[int]) -> Counts:
    counts: Counter[str] = Counter()
    words = WORDS[kind]
    for piece in pieces:
        text = piece.text.decode("utf-8")
        found: Counter[str] = Counter()
        if kind == "bytes":
            # a line keeps its newline, as in HF's training from files
            for line in text.split("\n")[:-1]:
                found.update(words(line + "\n"))
            if rest := text.rpartition("\n")[2]:
                found.update(words(rest))
        else:
            for line in text.split("\n"):
                found.update(words(line))
        factor = factors[piece.source]
        for word, count in found.items():
            counts[word] += count * factor
    return Counts(plain=counts)


class _Table:
    """A table of words with counts."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        import numpy as np

        from mlkit.bpe.word_table import WordTable

        self.words: WordTable = WordTable()
        self.counts = np.zeros(1 << 14, np.int64)

    def count(self, piece: Piece, kind: Kind, factor: int) -> int:
        import numpy as np

        from mlkit.bpe import kernels_words

        newline = kernels_words.WITH_NEWLINE
        items = self.words.items(np.frombuffer(piece.text, np.uint8), kind, newline)
        self._fit()
        kernels_words.add_counts(items, len(items), self.counts, factor)
        return len(piece.text)

    def _fit(self) -> None:
        import numpy as np

        if self.words.count > len(self.counts):
            larger = np.zeros(2 * self.words.count, np.int64)
            larger[: len(self.counts)] = self.counts
            self.counts = larger

    def add(self, other: _Table) -> None:
        """Add the words of another table."""
        import numpy as np

        from mlkit.bpe import kernels_words

        words = other.words
        self.words.reserve(words.count + 1, words.used + 1)
        if self.words.count + words.count > len(self.counts):
            larger = np.zeros(self.words.count + words.count, np.int64)
            larger[: len(self.counts)] = self.counts
            self.counts = larger
        kernels_words.add_words(
            words.arena, words.starts, other.counts, words.count, self.words.slots, self.words.arena,
            self.words.starts, self.words.state, self.counts,
        )  # fmt: skip

    def memory(self) -> int:
        return self.words.memory() + int(self.counts.nbytes)

    def sorted_rows(self) -> list[Count]:
        return sorted(zip(self.words.words(), self.counts[: self.words.count].tolist(), strict=True))


def _count_fast(
    pieces: Iterator[Piece],
    kind: Kind,
    factors: Sequence[int],
    threads: int,
    memory: int | None,
    tmp_dir: str | None,
    total: int | None,
    progress: Progress,
) -> Counts:
    import queue

    from mlkit.threads import map_chunks

    free: queue.SimpleQueue[_Table] = queue.SimpleQueue()
    tables: list[_Table] = []
    spills: list[BinaryIO] = []
    # text in flight, sorting in Python and the table's copies while it grows take their part
    bound = None if memory is None else max(1 << 20, memory // (6 * threads))

    def count(piece: Piece) -> int:
        try:
            table = free.get_nowait()
        except queue.Empty:
            table = _Table()
            tables.append(table)
        if bound is not None and table.memory() > bound and table.words.count:
            spills.append(_spill(table, tmp_dir))
            table.clear()
        size = table.count(piece, kind, factors[piece.source])
        free.put(table)
        return size

    done = 0
    for size in map_chunks(count, pieces, threads):
        done += size
        progress(Report("counting words", done, total, "B"))
    return Counts(tables=tables, spills=spills)


def _spill(table: _Table, tmp_dir: str | None) -> BinaryIO:
    """Write the sorted words of a table to a nameless file."""
    file = cast(BinaryIO, tempfile.TemporaryFile(dir=tmp_dir))
    for word, count in table.sorted_rows():
        file.write(_RECORD.pack(len(word), count) + word)
    file.seek(0)
    return file


def _read_spill(file: BinaryIO) -> Iterator[Count]:
    while head := file.read(_RECORD.size):
        length, count = _RECORD.unpack(head)
        yield file.read(length), count
