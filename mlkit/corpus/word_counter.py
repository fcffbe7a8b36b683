"""Count words in hash tables that spill to disk when they reach their share of the memory.

A `WordCounter` gives every new word the next number. Its content at one time, a *generation*, is a list of words
with counts; many generations (of several threads, or spilled ones) merge into one vocabulary by hash parts, so
that a part of all words at a time is in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from mlkit.formats import kernels_corpus as kernels
from mlkit.formats.text_chunks import Chunk
from mlkit.formats.vocabulary import Bytes, Ints, Vocabulary, raw

Ids = npt.NDArray[np.int32]

PARTS = 64
_SLOT = 32  # bytes
_FIRST_SLOTS = 1 << 15
_IDS = 1 << 20


class Table:
    """The hash table of the kernels with the words it holds; it grows up to `limit` bytes."""

    def __init__(self, slots: int = _FIRST_SLOTS, blob_size: int = 1 << 18, limit: int | None = None) -> None:
        self.limit = limit
        self.words = 0
        self._allocate(slots)
        self.blob: Bytes = np.empty(blob_size, np.uint8)
        self.offsets: Ints = np.zeros(self.room + 1, np.int64)

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Table:
        """Return a table in which every word has its id in `vocabulary`."""
        table = cls.for_words(len(vocabulary), len(vocabulary.blob))
        table.add(vocabulary)
        return table

    @classmethod
    def for_words(cls, words: int, blob_size: int) -> Table:
        """Return an empty table with room for `words` words of `blob_size` bytes in all."""
        slots = _FIRST_SLOTS
        while _room(slots) < words:
            slots *= 2
        return cls(slots, blob_size)

    def _allocate(self, slots: int) -> None:
        self.table: npt.NDArray[np.uint64] = np.zeros(4 * slots, np.uint64)
        self.shift = np.uint64(65 - slots.bit_length())
        self.room = _room(slots)

    def grow(self) -> bool:
        """Double what is full, table or room for bytes; return False when the limit forbids it."""
        full = self.words >= self.room
        slots = len(self.table) // 4
        used = int(self.offsets[self.words])
        new_slots = 2 * slots if full else slots
        new_blob = len(self.blob) if full else 2 * len(self.blob) + (1 << 16)
        # old and new are in memory together while they are copied
        need = (
            _SLOT * (new_slots + (slots if full else 0))
            + 8 * _room(new_slots)
            + new_blob
            + (0 if full else used)
        )
        if self.limit is not None and need > self.limit and self.words:
            return False
        self._resize(new_slots, new_blob)
        return True

    def takes(self, words: int, size: int) -> bool:
        """Say whether so many more words of `size` bytes in all keep the limit."""
        slots = len(self.table) // 4
        while _room(slots) < self.words + words:
            slots *= 2
        need = (
            _SLOT * (slots + len(self.table) // 4)
            + 8 * _room(slots)
            + 5 * (int(self.offsets[self.words]) + size) // 2
        )
        return self.limit is None or need <= self.limit

    def reserve(self, words: int, size: int) -> None:
        """Make room for so many more words of `size` bytes in all."""
        slots = len(self.table) // 4
        while _room(slots) < self.words + words:
            slots *= 2
        blob = int(self.offsets[self.words]) + size
        self._resize(slots, len(self.blob) if blob <= len(self.blob) else max(blob, len(self.blob) * 3 // 2))

    def _resize(self, slots: int, blob_size: int) -> None:
        if slots > len(self.table) // 4:
            old = self.table
            self._allocate(slots)
            with np.errstate(over="ignore"):
                kernels.rehash(old, self.table, self.shift)
            self.offsets = np.concatenate(
                (self.offsets, np.zeros(self.room + 1 - len(self.offsets), np.int64))
            )
        if blob_size > len(self.blob):
            used = int(self.offsets[self.words])
            blob = np.empty(blob_size, np.uint8)
            blob[:used] = self.blob[:used]
            self.blob = blob

    def add(self, words: Vocabulary) -> None:
        """Add words with their counts; there must be room."""
        with np.errstate(over="ignore"):
            self.words = int(
                kernels.add_words(
                    words.blob, words.offsets, words.counts,
                    self.table, self.shift, self.blob, self.offsets, self.words,
                )
            )  # fmt: skip

    def find(self, words: Vocabulary) -> Ids:
        """Return the id of every one of `words`, -1 for those that are not here."""
        found = np.empty(len(words), np.int32)
        with np.errstate(over="ignore"):
            kernels.find_words(
                words.blob, words.offsets, self.table, self.shift, self.blob, self.offsets, found
            )
        return found

    def content(self) -> tuple[Vocabulary, npt.NDArray[np.uint8]]:
        """Return the words in the order of their ids, and the part (a byte of the hash) of each."""
        counts, parts = np.zeros(self.words, np.int64), np.zeros(self.words, np.uint8)
        with np.errstate(over="ignore"):
            kernels.read_table(self.table, counts, parts)
        offsets = self.offsets[: self.words + 1]
        return Vocabulary(self.blob[: int(offsets[-1])], offsets, counts), parts % PARTS


def _room(slots: int) -> int:
    return slots * 5 // 8


@dataclass
class Generation:
    """The words that one counter numbered: in memory, or on disk by parts."""

    number: int
    words: Vocabulary | None = None
    spill: BinaryIO | None = None
    sections: list[tuple[int, int, int]] | None = None  # per part: position, words, bytes

    def part(self, part: int) -> tuple[Vocabulary, Ids]:
        """Return the words of one hash part, and their numbers in this generation."""
        assert self.spill is not None
        assert self.sections is not None
        position, count, size = self.sections[part]
        self.spill.seek(position)
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(_read(self.spill, np.int64, count), out=offsets[1:])
        counts = _read(self.spill, np.int64, count)
        numbers = _read(self.spill, np.int32, count)
        return Vocabulary(_read(self.spill, np.uint8, size), offsets, counts), numbers

    def spill_to(self, file: BinaryIO, parts: npt.NDArray[np.uint8]) -> None:
        """Write the words, ordered by part, to the end of `file`, and forget them here."""
        assert self.words is not None
        words, self.words = self.words, None
        self.spill, self.sections = file, []
        file.seek(0, 2)
        for part in range(PARTS):
            numbers = np.flatnonzero(parts == part)
            chosen = words.select(numbers)
            self.sections.append((file.tell(), len(numbers), len(chosen.blob)))
            for array in (np.diff(chosen.offsets), chosen.counts, numbers.astype(np.int32), chosen.blob):
                file.write(raw(array))

    def numbers_in(self, table: Table) -> Ids:
        """Return the id in `table` of every word of this generation, -1 for unknown ones."""
        if self.words is not None:
            return table.find(self.words)
        assert self.sections is not None
        found = np.empty(sum(count for _, count, _ in self.sections), np.int32)
        for part in range(PARTS):
            words, numbers = self.part(part)
            found[numbers] = table.find(words)
        return found


def _read(file: BinaryIO, kind: Any, count: int) -> npt.NDArray[Any]:
    array = np.empty(count, kind)
    if count and file.readinto(raw(array)) != array.nbytes:  # type: ignore[attr-defined]
        raise OSError("a temporary file was cut short")
    return array


class WordCounter:
    """Turn chunks of text into ids; new words are numbered and counted."""

    def __init__(self, group: CounterGroup) -> None:
        self.group = group
        self.ids: Ids = np.empty(_IDS + 2, np.int32)
        self._start()

    def _start(self) -> None:
        self.table = self.group.fixed or Table(limit=self.group.share)
        self.generation = self.group.next_generation()

    def tokenise(self, chunk: Chunk, keep: bool) -> list[tuple[int, Ids]]:
        """Return the ids of a chunk as (generation, ids) pieces; `keep` False only counts."""
        pieces = []
        frozen = self.group.fixed is not None
        state = np.array([self.table.words, 0, 0], np.int64)
        while True:
            table = self.table
            with np.errstate(over="ignore"):
                status = kernels.tokenise(
                    chunk.data, np.uint64(chunk.size), table.table, table.shift, table.blob, table.offsets,
                    self.ids, state, frozen,
                )  # fmt: skip
            table.words = int(state[0])
            if keep and state[2]:
                pieces.append((self.generation, self.ids[: state[2]].copy()))
            state[2] = 0
            if status == kernels.DONE:
                return pieces
            if status == kernels.TABLE_FULL and not table.grow():
                self.finish(spill=True)
                self._start()
                state[0] = 0

    def add(self, words: Vocabulary) -> None:
        """Add words that were counted elsewhere."""
        if self.table.words and not self.table.takes(len(words), len(words.blob)):
            self.finish(spill=True)
            self._start()
        self.table.reserve(len(words), len(words.blob))
        self.table.add(words)

    def finish(self, spill: bool = False) -> None:
        """Hand the words over to the group."""
        if self.group.fixed is None:
            words, parts = self.table.content()
            self.table = Table(2, 0)
            self.group.collect(Generation(self.generation, words), parts, spill)


class CounterGroup:
    """The counters of all threads, and what they have counted.

    memory: bytes that all counters together may use (None: as much as it takes). fixed: a table of known words; no
    others get an id.
    """

    def __init__(
        self, counters: int, memory: int | None = None, tmp_dir: str | None = None, fixed: Table | None = None
    ) -> None:
        import threading
        from queue import LifoQueue

        self.share = None if memory is None else max(memory // counters, 1 << 20)
        self.tmp_dir, self.fixed = tmp_dir, fixed
        self._lock = threading.Lock()
        self._numbers = 0
        self._file: BinaryIO | None = None
        self.generations: dict[int, Generation] = {}
        self.idle: LifoQueue[WordCounter] = LifoQueue()
        for _ in range(counters):
            self.idle.put(WordCounter(self))

    def next_generation(self) -> int:
        with self._lock:
            self._numbers += 1
            return self._numbers - 1

    def tokenise(self, chunk: Chunk, keep: bool) -> list[tuple[int, Ids]]:
        """Tokenise with any idle counter."""
        counter = self.idle.get()
        try:
            return counter.tokenise(chunk, keep)
        finally:
            self.idle.put(counter)

    def add(self, words: Vocabulary) -> None:
        """Add words that were counted elsewhere, with any idle counter."""
        counter = self.idle.get()
        try:
            counter.add(words)
        finally:
            self.idle.put(counter)

    def collect(self, generation: Generation, parts: npt.NDArray[np.uint8], spill: bool) -> None:
        with self._lock:
            if spill or self._file is not None:
                if self._file is None:
                    self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=self.tmp_dir))
                generation.spill_to(self._file, parts)
            self.generations[generation.number] = generation

    def finish(self, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
        """Merge all that was counted; the counters are used up."""
        while not self.idle.empty():
            self.idle.get().finish()
        kept = []
        for words in self._merged():
            kept.append(words.select(np.flatnonzero(words.counts >= min_count)) if min_count > 1 else words)
        total = kept[0] if len(kept) == 1 else _joined(kept)
        kept.clear()
        return total.frequent(1, max_size)

    def _merged(self) -> Iterator[Vocabulary]:
        """Yield the words of all generations, each word once, part by part where they are on disk."""
        generations = list(self.generations.values())
        if self._file is None:
            yield sum_of(generation.words for generation in generations if generation.words is not None)
            return
        for generation in generations:
            if generation.words is not None:  # was finished before the first spill
                table = Table.of(generation.words)
                generation.spill_to(self._file, table.content()[1])
        for part in range(PARTS):
            yield sum_of(generation.part(part)[0] for generation in generations)


def sum_of(lists: Iterable[Vocabulary]) -> Vocabulary:
    """Add up vocabularies: every word once, with the sum of its counts."""
    total: Vocabulary | None = None
    table: Table | None = None
    for words in lists:
        if total is None or (table is None and not len(total)):
            total = words
        elif len(words):
            if table is None:
                table = Table.of(total)
            table.reserve(len(words), len(words.blob))
            table.add(words)
    if table is not None:
        return table.content()[0]
    return total if total is not None else Vocabulary.from_words([], [])


def _joined(lists: list[Vocabulary]) -> Vocabulary:
    lengths = np.concatenate([np.diff(words.offsets) for words in lists])
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Vocabulary(
        np.concatenate([words.blob for words in lists]), offsets, np.concatenate([w.counts for w in lists])
    )
