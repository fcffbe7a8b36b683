"""Learn merges with the kernels: arrays that grow between their calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.bpe import kernels_learn as kernels
from mlkit.bpe.word_table import Bytes, Ints
from mlkit.progress import Progress, Report, silent

_STEPS = 2000
_CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Words:
    """Distinct words with counts: word w is arena[starts[w]:starts[w + 1]] and occurs counts[w] times."""

    arena: Bytes
    starts: Ints
    counts: Ints

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Spelling:
    """How words become symbols: the symbol of each byte or code point, inside and at the end; a first symbol or -1."""

    by_bytes: bool
    plain: npt.NDArray[np.int32]
    final: npt.NDArray[np.int32]
    first: int
    tokens: Sequence[bytes]  # the string of every symbol, for ties and equal strings


@dataclass(frozen=True)
class Limits:
    """Where learning stops: tokens in all, merges, the least count of a pair, the length of a token."""

    vocabulary: int
    merges: int
    minimum: int
    token_length: int
    ties: int


def characters_of(words: Words) -> tuple[list[int], list[int]]:
    """Return the code points of all words, and those that end a word, both sorted."""
    seen, last = np.zeros(_CODE_POINTS, np.bool_), np.zeros(_CODE_POINTS, np.bool_)
    kernels.mark_characters(words.arena, words.starts, len(words), seen, last)
    return np.flatnonzero(seen).tolist(), np.flatnonzero(last).tolist()


class Learner:
    """The state of one training: symbols of all words, pairs, lists, heap and tokens."""

    def __init__(self, words: Words, spelling: Spelling) -> None:
        bound = int(words.starts[len(words)]) + 2 * len(words) + 1
        self.symbols = np.empty(bound, np.int32)
        self.word_of = np.empty(bound, np.int32)
        self.counts = words.counts
        self.size = int(
            kernels.spell_words(
                words.arena, words.starts, len(words), spelling.by_bytes, spelling.plain, spelling.final,
                spelling.first, self.symbols, self.word_of,
            )
        )  # fmt: skip
        if self.size < bound // 2:
            self.symbols, self.word_of = self.symbols[: self.size].copy(), self.word_of[: self.size].copy()
        self.state = np.zeros(9, np.int64)
        self.heap = np.empty((1 << 12, 2), np.int64)
        self.fresh = np.empty((1 << 12, 2), np.int32)
        self.touched = np.empty((1 << 12, 2), np.int32)
        self._count()
        self._tokens(spelling.tokens)

    def _count(self) -> None:
        self.pairs = np.empty((1 << 14, 2), np.int64)
        self.lists = np.empty((1 << 14, 4), np.int32)
        self.slots = np.full(1 << 16, -1, np.int32)
        at = 0
        while True:
            at = int(
                kernels.count_pairs(
                    self.symbols, self.word_of, at, self.size, self.counts, self.slots, self.pairs, self.lists,
                    self.state,
                )
            )  # fmt: skip
            if at >= self.size:
                break
            self._grow_pairs(2 * len(self.pairs))
        total = int(self.lists[: self.state[kernels.PAIRS], kernels.LENGTH].sum())
        self.pool = np.empty(total + (1 << 14), np.int32)
        kernels.list_places(
            self.symbols, self.size, self.slots, self.pairs, self.lists, self.state, self.pool
        )
        highest = self.pairs[: self.state[kernels.PAIRS], kernels.COUNT].max(initial=0)
        # the heap is filled in steps, from the top
        self.state[kernels.THRESHOLD] = int(highest) + 1

    def _tokens(self, tokens: Sequence[bytes]) -> None:
        self.token_bytes = np.frombuffer(b"".join(tokens) + bytes(1 << 12), np.uint8).copy()
        self.token_starts = np.zeros(len(tokens) + (1 << 10), np.int64)
        np.cumsum([len(token) for token in tokens], out=self.token_starts[1 : len(tokens) + 1])
        self.lengths = np.ones(len(self.token_starts), np.int32)
        self.state[kernels.TOKENS] = len(tokens)
        self.state[kernels.TOKEN_BYTES] = self.token_starts[len(tokens)]
        self._enter_tokens()

    def _enter_tokens(self) -> None:
        size = 1 << 12
        while size < 3 * len(self.token_starts):
            size *= 2
        self.token_slots = np.full(size, -1, np.int32)
        kernels.enter_tokens(
            self.token_bytes, self.token_starts, int(self.state[kernels.TOKENS]), self.token_slots
        )

    def run(
        self, limits: Limits, forced: Sequence[tuple[int, int]] = (), progress: Progress = silent
    ) -> list[tuple[int, int, int]]:
        """Learn and return the merges as (left, right, new) symbols, the `forced` pairs first."""
        given = np.array(forced, np.int32).reshape(-1, 2)
        most = min(
            limits.merges, max(0, limits.vocabulary - int(self.state[kernels.TOKENS])) + len(given) + 4096
        )
        merges = np.empty((min(most, self.size + len(given)), 3), np.int32)
        while True:
            done = kernels.learn_steps(
                _STEPS, limits.vocabulary, max(1, limits.minimum), limits.token_length, limits.ties, given,
                self.symbols, self.word_of, self.counts, self.lengths, self.token_bytes, self.token_starts,
                self.token_slots, self.slots, self.pairs, self.lists, self.pool, self.heap, self.fresh,
                self.touched, self.state, merges,
            )  # fmt: skip
            if done == kernels.DONE:
                break
            if done == kernels.HEAP_ROOM:
                self.heap = _larger(self.heap, int(self.state[kernels.HEAP]), int(self.state[kernels.NEED]))
            elif done == kernels.ROOM:
                self._make_room()
            else:
                made = int(self.state[kernels.MERGES])
                progress(Report("learning merges", made, len(merges), "merges"))
        rows: list[tuple[int, int, int]] = [
            (a, b, c) for a, b, c in merges[: self.state[kernels.MERGES]].tolist()
        ]
        return rows

    def token(self, number: int) -> bytes:
        """Return the string of a symbol."""
        return self.token_bytes[self.token_starts[number] : self.token_starts[number + 1]].tobytes()

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return int(self.state[kernels.TOKENS])

    def _make_room(self) -> None:
        need = int(self.state[kernels.NEED]) + 1
        state = self.state
        if state[kernels.PAIRS] + need > len(self.pairs):
            self._grow_pairs(int(max(1.5 * len(self.pairs), state[kernels.PAIRS] + need)))
        elif 2 * (state[kernels.PAIRS] + need) > len(self.slots):
            self._grow_pairs(len(self.pairs))
        if state[kernels.POOL] + need > len(self.pool):
            self.pool = _larger(self.pool, int(state[kernels.POOL]), need)
        if state[kernels.HEAP] + need > len(self.heap):
            self.heap = _larger(self.heap, int(state[kernels.HEAP]), need)
        if need > len(self.fresh):
            self.fresh = np.empty((2 * need, 2), np.int32)
        if need > len(self.touched):
            self.touched = np.empty((2 * need, 2), np.int32)
        used = int(state[kernels.TOKEN_BYTES])
        longest = 2 * int(np.diff(self.token_starts[: state[kernels.TOKENS] + 1]).max())
        if used + longest > len(self.token_bytes):
            self.token_bytes = _larger(self.token_bytes, used, longest)
        if state[kernels.TOKENS] + 2 > len(self.token_starts):
            self.token_starts = _larger(self.token_starts, int(state[kernels.TOKENS]) + 1, 2)
            lengths = np.ones(len(self.token_starts), np.int32)
            lengths[: len(self.lengths)] = self.lengths
            self.lengths = lengths
            self._enter_tokens()

    def _grow_pairs(self, room: int) -> None:
        used = int(self.state[kernels.PAIRS])
        if room > len(self.pairs):
            for name in ("pairs", "lists"):
                old = getattr(self, name)
                larger = np.empty((room, old.shape[1]), old.dtype)
                larger[:used] = old[:used]
                setattr(self, name, larger)
        size = len(self.slots)
        while size < 2 * room:
            size *= 2
        if size != len(self.slots):
            self.slots = np.full(size, -1, np.int32)
            kernels.refill(self.slots, self.pairs, used)


def _larger(array: Any, used: int, need: int) -> Any:
    """Return the array with room for `need` more rows, and half as much again."""
    grown = np.empty((max(used + need, used + used // 2), *array.shape[1:]), array.dtype)
    grown[:used] = array[:used]
    return grown
