"""Learn merges in plain Python: for small texts, with the same result as the kernels."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

Symbols = list[int]


@dataclass
class PlainLearner:
    """Words as rows of symbols, the counts of pairs and the words where they stand.

    `ties_hf`: of equally frequent pairs the smaller ids come first and the count of a merged pair stays, as in
    `tokenizers`; else the larger strings, as in subword-nmt.
    """

    words: list[Symbols]
    counts: list[int]
    tokens: list[str]
    ties_hf: bool
    merges: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids: dict[str, int] = {}
        for number, token in enumerate(self.tokens):
            self.ids.setdefault(token, number)
        self.lengths = [1] * len(self.tokens)
        self.pairs: dict[tuple[int, int], int] = defaultdict(int)
        where: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, (word, count) in enumerate(zip(self.words, self.counts, strict=True)):
            for pair in pairwise(word):
                self.pairs[pair] += count
                where[pair].append(place)
        self._inverted: dict[int, tuple[int, ...]] = {}
        order = self._order()
        self.heap = [(-count, order(pair), pair, where[pair]) for pair, count in self.pairs.items()]
        heapq.heapify(self.heap)

    def _order(self) -> Callable[[tuple[int, int]], object]:
        if self.ties_hf:
            return lambda pair: pair
        return lambda pair: (self._inverse(pair[0]), self._inverse(pair[1]))

    def _inverse(self, token: int) -> tuple[int, ...]:
        """Return a key that sorts larger strings first."""
        key = self._inverted.get(token)
        if key is None:
            key = self._inverted[token] = (*(-ord(character) for character in self.tokens[token]), 1)
        return key

    def run(self, vocabulary: int, merges: int, minimum: int, limit: int) -> list[tuple[int, int, int]]:
        """Learn until so many tokens or merges, and return the merges as (left, right, new) symbols."""
        while len(self.tokens) < vocabulary and len(self.merges) < merges and self.heap:
            count, order, pair, places = heapq.heappop(self.heap)
            now = self.pairs[pair]
            if -count != now:
                if now > 0:
                    heapq.heappush(self.heap, (-now, order, pair, places))
                continue
            if now < max(1, minimum):
                break
            self._merge(pair, places, limit)
        return self.merges

    def _merge(self, pair: tuple[int, int], places: list[int], limit: int) -> None:
        token = self.tokens[pair[0]] + self.tokens[pair[1]]
        new = self.ids.get(token)
        if new is None:
            new = self.ids[token] = len(self.tokens)
            self.tokens.append(token)
            self.lengths.append(self.lengths[pair[0]] + self.lengths[pair[1]])
        self.merges.append((*pair, new))
        fresh: dict[tuple[int, int], list[int]] = {}
        last = -1
        for place in places:
            if place != last:
                self._merge_word(place, pair, new, limit, fresh)
            last = place
        if not self.ties_hf:
            self.pairs[pair] = 0
        order = self._order()
        for found, where in fresh.items():
            if self.pairs[found] > 0:
                heapq.heappush(self.heap, (-self.pairs[found], order(found), found, where))

    def _merge_word(
        self, place: int, pair: tuple[int, int], new: int, limit: int, fresh: dict[tuple[int, int], list[int]]
    ) -> None:
        word, count = self.words[place], self.counts[place]
        left, right = pair
        lengths, length = self.lengths, self.lengths[left] + self.lengths[right]
        k = 0
        while k + 1 < len(word):
            if word[k] == left and word[k + 1] == right:
                word[k : k + 2] = [new]
                if k > 0:
                    before = word[k - 1]
                    self.pairs[before, left] -= count
                    if lengths[before] + length < limit:
                        self.pairs[before, new] += count
                        fresh.setdefault((before, new), []).append(place)
                if k + 1 < len(word):
                    behind = word[k + 1]
                    self.pairs[right, behind] -= count
                    if lengths[behind] + length < limit:
                        self.pairs[new, behind] += count
                        fresh.setdefault((new, behind), []).append(place)
            k += 1
