"""Tercom's greedy search for shifts, in plain Python, over two ways to get the edit distance.

`BitParallel` is exact without a beam: one row of the matrix is a handful of operations on Python integers, with a
bit per reference word. sacreBLEU explores a beam of 25 columns round the diagonal only; with d edits and lengths that
differ by D every best path stays within (d + D) / 2 + 1 of the diagonal, so that the beam cannot matter
while d + D <= 46, nor for 24 reference words and fewer. `Beam` follows the beam for the rest.

Words of the hypothesis are represented by the set of reference positions that hold the same word (an integer's bits).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_SHIFT_SIZE = 10
MAX_SHIFT_DISTANCE = 50
MAX_CANDIDATES = 1000
BEAM = 25
SAFE_EDITS = 46
SAFE_LENGTH = 24
_INFINITY = 1 << 60


@dataclass(frozen=True, slots=True)
class Shift:
    """Words [start, start + length) of the hypothesis (as shifted so far) move to before word `target`.

    A target within the block itself means `target - start` words further on, as in sacreBLEU.
    """

    start: int
    length: int
    target: int


@dataclass(frozen=True, slots=True)
class Edits:
    """Shifts, then the path of the edits that are left: ' ' match, S, I (hypothesis word too many), D (missing)."""

    shifts: tuple[Shift, ...]
    path: str

    @property
    def total(self) -> int:
        """Return the number of edits."""
        return len(self.shifts) + len(self.path) - self.path.count(" ")

    @property
    def shifted_words(self) -> int:
        """Return how many words the shifts move."""
        return sum(shift.length for shift in self.shifts)


class Distance(Protocol):
    """Edit distance to one reference, with cheap answers for orders that differ from the loaded one in a part."""

    exact: bool

    def load(self, words: Sequence[int]) -> int:
        """Return the distance of `words` and keep all rows of the matrix."""

    def moved(self, first: int, middle: Sequence[int], last: int) -> int:
        """Return the distance when words [first, last) of the loaded ones are replaced by `middle`."""

    def path(self) -> str:
        """Return the path of edits of the loaded words; of equals a match or substitution, then I, then D."""


def edits_to(hypothesis: Sequence[str], reference: Sequence[str]) -> Edits | None:
    """Return the edits that turn `hypothesis` into `reference`, or None if the beam may matter."""
    if hypothesis == reference:
        return Edits((), " " * len(reference))
    words = positions(hypothesis, reference)
    distance = BitParallel(len(reference))
    edits = distance.load(words)
    if edits + abs(len(hypothesis) - len(reference)) > SAFE_EDITS and len(reference) > SAFE_LENGTH:
        return None
    return search(distance, words, len(reference), edits)


def edits_within_beam(hypothesis: Sequence[str], reference: Sequence[str]) -> Edits:
    """Return the edits that sacreBLEU's beam finds; right for all lengths, slow."""
    words = positions(hypothesis, reference)
    distance = Beam(len(hypothesis), len(reference))
    return search(distance, words, len(reference), distance.load(words))


def positions(hypothesis: Sequence[str], reference: Sequence[str]) -> list[int]:
    """Return for each hypothesis word the set of reference positions with the same word, as bits."""
    where: dict[str, int] = {}
    bit = 1
    for word in reference:
        where[word] = where.get(word, 0) | bit
        bit <<= 1
    return [where.get(word, 0) for word in hypothesis]


def search(distance: Distance, words: list[int], reference_length: int, edits: int) -> Edits:
    """Shift while a shift reduces the distance; `edits` is the distance of the loaded `words`."""
    # No order of the words has fewer edits than this. A round that cannot gain ends the search, as does one that
    # has checked too many candidates, with the same result.
    common = sum(min(words.count(word), word.bit_count()) for word in set(words) if word)
    least = max(len(words), reference_length) - common
    shifts: list[Shift] = []
    checked = 0
    while edits > least:
        best, checked = _best_shift(distance, words, reference_length, edits, least, checked)
        if checked >= MAX_CANDIDATES or best is None:
            break
        shifts.append(best)
        words = shifted(words, best)
        edits = distance.load(words)
    return Edits(tuple(shifts), distance.path())


def _best_shift(
    distance: Distance, words: list[int], reference_length: int, edits: int, least: int, checked: int
) -> tuple[Shift | None, int]:
    """Return the best shift of a round and the number of candidates checked so far."""
    align, reference_errors, hypothesis_errors = alignment(distance.path(), reference_length)
    best: tuple[int, int, int, int] = (0, 0, 0, 0)
    for start, at, length in _matching_spans(words, reference_length):
        span = (1 << length) - 1
        # worth a try only if the words are wrong where they are, and wanted where they would go
        if not (hypothesis_errors >> start & span and reference_errors >> at & span):
            continue
        if start <= align[at] < start + length:
            continue
        previous = -1
        most = min(2 * length, edits - least) if distance.exact else edits - least
        for offset in range(-1, length):
            target = 0 if at + offset == -1 else align[at + offset] + 1
            if target == previous:
                continue
            previous = target
            checked += 1
            if target == start or (most, length) < best[:2]:
                continue
            first, middle, last = _moved_part(words, start, length, target)
            gain = edits - distance.moved(first, middle, last)
            if gain > 0:
                best = max(best, (gain, length, -start, -target))
        if checked >= MAX_CANDIDATES:
            break
    gain, length, start, target = best
    return (Shift(-start, length, -target) if gain else None), checked


def _matching_spans(words: Sequence[int], reference_length: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, start in the reference, length) of all common runs of up to 10 words, as Tercom orders them."""
    count = len(words)
    for start, places in enumerate(words):
        while places:
            lowest = places & -places
            places ^= lowest
            at = lowest.bit_length() - 1
            if abs(at - start) > MAX_SHIFT_DISTANCE:
                continue
            length = 1
            yield start, at, 1
            while length < MAX_SHIFT_SIZE and start + length < count and at + length < reference_length:
                if not words[start + length] >> (at + length) & 1:
                    break
                length += 1
                yield start, at, length


def alignment(path: str, reference_length: int) -> tuple[list[int], int, int]:
    """Return the hypothesis position of each reference word (of a missing word: the one before), and error bits."""
    align = [0] * reference_length
    reference_errors = hypothesis_errors = 0
    i = j = 0
    for edit in path:
        if edit == "I":
            hypothesis_errors |= 1 << i
            i += 1
            continue
        if edit != " ":
            reference_errors |= 1 << j
            if edit == "S":
                hypothesis_errors |= 1 << i
        if edit != "D":
            i += 1
        align[j] = i - 1
        j += 1
    return align, reference_errors, hypothesis_errors


def _moved_part(words: list[int], start: int, length: int, target: int) -> tuple[int, list[int], int]:
    """Return (first, words, last): what stands in [first, last) after the shift."""
    stop = start + length
    block = words[start:stop]
    if target < start:
        return target, block + words[target:start], stop
    end = target if target > stop else min(length + target, len(words))
    return start, words[stop:end] + block, end


def shifted(words: list[int], shift: Shift) -> list[int]:
    """Return the words after a shift."""
    first, middle, last = _moved_part(words, shift.start, shift.length, shift.target)
    return words[:first] + middle + words[last:]


class BitParallel:
    """Unit-cost edit distance by bit vectors (Hyyrö, 2003): bit j stands for reference word j."""

    exact = True

    def __init__(self, reference_length: int) -> None:
        self._all = (1 << reference_length) - 1
        self._length = reference_length
        self._words: Sequence[int] = ()
        # row i: where the distance grows (falls) from a reference word to the next, and from the row above;
        # where the diagonal step is free
        self._up: list[int] = []
        self._down: list[int] = []
        self._grows: list[int] = []
        self._free: list[int] = []

    def load(self, words: Sequence[int]) -> int:
        """Return the distance of `words` and keep all rows of the matrix."""
        everything = self._all
        up, down = everything, 0
        ups, downs, grows, free = [up], [down], [0], [0]
        for word in words:
            diagonal = ((word & up) + up ^ up) | word | down
            below = down | everything & ~(diagonal | up)
            raised = below << 1 | 1
            up, down = (
                everything & ((up & diagonal) << 1 | ~(diagonal | raised)),
                raised & diagonal & everything,
            )
            ups.append(up)
            downs.append(down)
            grows.append(below)
            free.append(diagonal)
        self._words, self._up, self._down, self._grows, self._free = words, ups, downs, grows, free
        return len(words) + up.bit_count() - down.bit_count()

    def moved(self, first: int, middle: Sequence[int], last: int) -> int:
        """Return the distance when words [first, last) of the loaded ones are replaced by `middle`."""
        everything, words, ups, downs = self._all, self._words, self._up, self._down
        up, down = ups[first], downs[first]
        for word in middle:
            diagonal = ((word & up) + up ^ up) | word | down
            raised = (down | everything & ~(diagonal | up)) << 1 | 1
            up, down = (
                everything & ((up & diagonal) << 1 | ~(diagonal | raised)),
                raised & diagonal & everything,
            )
        for i in range(last, len(words)):
            if up == ups[i] and down == downs[i]:  # the rest is as it was
                up, down = ups[-1], downs[-1]
                break
            word = words[i]
            diagonal = ((word & up) + up ^ up) | word | down
            raised = (down | everything & ~(diagonal | up)) << 1 | 1
            up, down = (
                everything & ((up & diagonal) << 1 | ~(diagonal | raised)),
                raised & diagonal & everything,
            )
        return len(words) + up.bit_count() - down.bit_count()

    def path(self) -> str:
        """Return the path of edits of the loaded words."""
        i, j = len(self._words), self._length
        bit = 1 << j >> 1
        edits: list[str] = []
        while i and j:
            if self._words[i - 1] & bit:
                edits.append(" ")
            elif not self._free[i] & bit:
                edits.append("S")
            elif self._grows[i] & bit:
                edits.append("I")
                i -= 1
                continue
            else:
                edits.append("D")
                j -= 1
                bit >>= 1
                continue
            i -= 1
            j -= 1
            bit >>= 1
        return "D" * j + "I" * i + "".join(reversed(edits))


class Beam:
    """Edit distance within 25 columns of the diagonal, as sacreBLEU's `BeamEditDistance` explores it."""

    exact = False

    def __init__(self, hypothesis_length: int, reference_length: int) -> None:
        self._length = reference_length
        ratio = reference_length / hypothesis_length if hypothesis_length else 1.0
        width = math.ceil(ratio / 2 + BEAM) if ratio / 2 > BEAM else BEAM
        self._ranges = [(0, reference_length + 1)]
        for i in range(1, hypothesis_length + 1):
            diagonal = math.floor(i * ratio)
            stop = (
                reference_length + 1
                if i == hypothesis_length
                else min(reference_length + 1, diagonal + width)
            )
            self._ranges.append((max(0, diagonal - width), stop))
        self._words: Sequence[int] = ()
        self._rows: list[list[int]] = []

    def load(self, words: Sequence[int]) -> int:
        """Return the distance of `words` and keep all rows of the matrix."""
        self._words = words
        self._rows = [list(range(self._length + 1))]
        for i, word in enumerate(words, 1):
            self._rows.append(self._row(self._rows[-1], word, i))
        return self._rows[-1][-1]

    def moved(self, first: int, middle: Sequence[int], last: int) -> int:
        """Return the distance when words [first, last) of the loaded ones are replaced by `middle`."""
        row = self._rows[first]
        for i, word in enumerate(middle, first + 1):
            row = self._row(row, word, i)
        for i in range(last, len(self._words)):
            if row == self._rows[i]:
                return self._rows[-1][-1]
            row = self._row(row, self._words[i], i + 1)
        return row[-1]

    def _row(self, above: list[int], word: int, i: int) -> list[int]:
        low, high = self._ranges[i]
        row = [_INFINITY] * (self._length + 1)
        left = _INFINITY
        if low == 0:
            left = row[0] = above[0] + 1
            low = 1
        for j in range(low, high):
            diagonal = above[j - 1]
            if word >> (j - 1) & 1:
                left = min(diagonal, above[j] + 1, left + 1)
            else:
                left = min(diagonal, above[j], left) + 1
            row[j] = left
        return row

    def path(self) -> str:
        """Return the path of edits of the loaded words."""
        rows = self._rows
        i, j = len(self._words), self._length
        edits: list[str] = []
        while i and j:
            here = rows[i][j]
            equal = self._words[i - 1] >> (j - 1) & 1
            if rows[i - 1][j - 1] + 1 - equal == here:
                edits.append(" " if equal else "S")
                i -= 1
                j -= 1
            elif rows[i - 1][j] + 1 == here:
                edits.append("I")
                i -= 1
            else:
                edits.append("D")
                j -= 1
        return "D" * j + "I" * i + "".join(reversed(edits))
