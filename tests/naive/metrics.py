"""Counting n-grams and TER's search, the obvious way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence


def clipped_matches(
    hypothesis: Sequence[object], references: Sequence[Sequence[object]], orders: int
) -> list[int]:
    """Return for n = 1..orders how many n-grams are matched, each at most as often as in one reference."""

    def grams(tokens: Sequence[object], n: int) -> Counter[tuple[object, ...]]:
        return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))

    found = []
    for n in range(1, orders + 1):
        own = grams(hypothesis, n)
        others = [grams(reference, n) for reference in references]
        found.append(
            sum(min(count, max((o[gram] for o in others), default=0)) for gram, count in own.items())
        )
    return found


def mteval_tokens(line: str) -> list[str]:
    """Return the tokens of a line by the rules of mteval-v13a, as they are written down."""
    line = line.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        line = line.replace(entity, character)
    line = re.sub(r"([{-~[-` -&(-+:-@/])", r" \1 ", f" {line} ")
    line = re.sub(r"([^0-9])([.,])", r"\1 \2 ", line)
    line = re.sub(r"([.,])([^0-9])", r" \1 \2", line)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", line).split()


def edit_distance(left: Sequence[object], right: Sequence[object]) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row = row, [i]
        for j, b in enumerate(right, 1):
            row.append(min(above[j - 1] + (a != b), above[j] + 1, row[-1] + 1))
    return row[-1]


def apply_path(words: Sequence[str], reference: Sequence[str], path: str) -> list[str]:
    """Follow a path of edits from words to the reference; every letter must be possible where it stands."""
    own, wanted = list(words), list(reference)
    result: list[str] = []
    for edit in path:
        if edit == "I":
            own.pop(0)
            continue
        word = wanted.pop(0)
        result.append(word)
        if edit != "D":
            given = own.pop(0)
            assert (given == word) == (edit == " ")
    assert not own
    assert not wanted
    return result
