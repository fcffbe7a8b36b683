"""The table of distinct words that the counting and encoding kernels share, and the cutting of text into items."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlkit.bpe import kernels_words as kernels
from mlkit.bpe.unicode_classes import LETTER, NUMBER, SPACE, ranges

Kind = Literal["bytes", "chars", "metaspace"]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Items = npt.NDArray[np.int32]

NO_MARKS: Ints = np.zeros((0, 3), np.int64)


@cache
def class_table() -> Bytes:
    """Return the class of every code point (see `unicode_classes`), uint8, shape (0x110000,)."""
    table = np.zeros(0x110000, np.uint8)
    for kind in (LETTER, NUMBER, SPACE):
        for first, last in ranges(kind):
            table[first : last + 1] = kind
    table.flags.writeable = False
    return table


class WordTable:
    """Distinct words, numbered as they come, in one arena of bytes with a hash table over it.

    `arena` uint8; `starts` int64: word w is arena[starts[w]:starts[w + 1]]; `count` words.
    """

    def __init__(self, words: int = 1 << 14, arena_bytes: int = 1 << 18) -> None:
        self.state = np.zeros(5, np.int64)
        self.arena: Bytes = np.empty(arena_bytes, np.uint8)
        self.starts: Ints = np.zeros(words + 1, np.int64)
        self.slots: npt.NDArray[np.uint64] = np.zeros((4 * words, 2), np.uint64)

    @property
    def count(self) -> int:
        """Number of words."""
        return int(self.state[0])

    @property
    def used(self) -> int:
        """Bytes of all words."""
        return int(self.starts[self.count])

    def memory(self) -> int:
        """Bytes that the table occupies."""
        return int(self.arena.nbytes + self.starts.nbytes + self.slots.nbytes)

    def reserve(self, words: int, arena_bytes: int) -> None:
        """Make room for that many more words and bytes."""
        need = self.used + arena_bytes
        if arena_bytes and need > len(self.arena):
            larger = np.empty(max(need, 2 * len(self.arena)), np.uint8)
            larger[: self.used] = self.arena[: self.used]
            self.arena = larger
        room = len(self.starts) - 1
        if self.count + words > room:
            room = max(self.count + words, 2 * room)
            starts = np.zeros(room + 1, np.int64)
            starts[: self.count + 1] = self.starts[: self.count + 1]
            self.starts = starts
        if 2 * (self.count + words) > len(self.slots):
            size = len(self.slots)
            while size < 3 * (self.count + words):
                size *= 2
            self.slots = np.zeros((size, 2), np.uint64)
            kernels.refill(self.slots, self.arena, self.starts, self.count)

    def clear(self) -> None:
        """Forget all words, keep the memory."""
        self.state[0] = 0
        self.slots[:] = 0

    def words(self) -> list[bytes]:
        """Return the words."""
        text, starts = self.arena[: self.used].tobytes(), self.starts[: self.count + 1].tolist()
        return [text[starts[w] : starts[w + 1]] for w in range(self.count)]

    def items(
        self, text: Bytes, kind: Kind, newline: int = kernels.WITHOUT_NEWLINE, marks: Ints = NO_MARKS
    ) -> Items:
        """Cut `text` into items (see `kernels_words`), entering new words; `newline` matters for bytes only."""
        items: Items = np.empty(len(text) + 1, np.int32)
        self.state[1:] = 0
        while True:
            if kind == "bytes":
                used = kernels.gpt2_items(
                    text,
                    marks,
                    newline,
                    class_table(),
                    self.slots,
                    self.arena,
                    self.starts,
                    self.state,
                    items,
                )
            else:
                rule = kernels.METASPACE if kind == "metaspace" else kernels.CHARS
                used = kernels.space_items(
                    text, marks, rule, self.slots, self.arena, self.starts, self.state, items
                )
            if self.state[1] == len(text):
                return items[:used]
            if 2 * (self.count + 1) > len(self.slots) or self.count + 2 > len(self.starts):
                self.reserve(self.count, 0)
            else:
                self.reserve(0, len(self.arena) + 1)
