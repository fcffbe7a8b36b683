"""Byte pair encoding, slowly and obviously."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from mlkit.bpe.unicode_classes import LETTER, NUMBER, SPACE, ranges

Pair = tuple[str, str]

_CLASSES = {
    point: kind
    for kind in (LETTER, NUMBER, SPACE)
    for first, last in ranges(kind)
    for point in range(first, last + 1)
}


def gpt2_words(text: str) -> list[str]:
    """Cut text as GPT-2's expression does: its alternatives, tried in order at every place."""
    kinds = [_CLASSES.get(ord(character), 0) for character in text]
    words, i = [], 0

    def run(start: int, kind: int) -> int:
        while start < len(text) and kinds[start] == kind:
            start += 1
        return start

    while i < len(text):
        stop = 0
        for contraction in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
            if text.startswith(contraction, i):
                stop = i + len(contraction)
                break
        if not stop:
            start = i + 1 if text[i] == " " else i
            if start < len(text) and kinds[start] != SPACE:
                stop = run(start, kinds[start])
            elif kinds[i] == SPACE:
                end = run(i, SPACE)
                stop = end if end == len(text) or end - i == 1 else end - 1
            else:
                stop = run(i, kinds[i])
        words.append(text[i:stop])
        i = stop
    return words


def merge_everywhere(symbols: Sequence[str], pair: Pair) -> list[str]:
    """Replace a pair from left to right."""
    out, k = [], 0
    while k < len(symbols):
        if tuple(symbols[k : k + 2]) == pair:
            out.append(pair[0] + pair[1])
            k += 2
        else:
            out.append(symbols[k])
            k += 1
    return out


def learn(
    words: dict[tuple[str, ...], int], merges: int, *, ids: dict[str, int] | None = None, minimum: int = 2
) -> list[Pair]:
    """Learn merges by counting all pairs anew for each.

    With `ids` (and ids for new tokens as they come) ties go to the smaller ids, else to the larger strings.
    """
    found: list[Pair] = []
    while len(found) < merges:
        counts: Counter[Pair] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                counts[pair] += count
        if not counts:
            break
        if ids is None:
            best = max(counts, key=lambda pair: (counts[pair], pair))
        else:
            best = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        if counts[best] < max(1, minimum):
            break
        found.append(best)
        if ids is not None:
            ids.setdefault(best[0] + best[1], len(ids))
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in words.items():
            merged[tuple(merge_everywhere(word, best))] += count
        words = dict(merged)
    return found


def encode(symbols: Sequence[str], merges: Sequence[Pair]) -> list[str]:
    """Apply the merges one after the other."""
    for pair in merges:
        symbols = merge_everywhere(symbols, pair)
    return list(symbols)


def decoded_ids(text: bytes, table: dict[int, bytes], *, strip_first: bool, strip_last: bool) -> bytes | int:
    """Put lines of ids together; return the place of the first thing that is no id instead, if there is one."""
    lines, place = [], 0
    for line in text.split(b"\n"):
        parts = []
        for part in re.split(rb"([ \t\r])", line):
            if part.strip(b" \t\r"):
                if not (part.isdigit() and str(int(part)).encode() == part and int(part) in table):
                    return place
                parts.append(table[int(part)])
            place += len(part)
        place += 1
        if parts and strip_first:
            parts[0] = parts[0].removeprefix(b" ")
        joined = b"".join(parts)
        lines.append(joined[:-1] if strip_last and joined.endswith(b" ") else joined)
    return b"\n".join(lines)


def is_utf8(text: bytes) -> bool:
    """Say whether Python decodes a text."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
