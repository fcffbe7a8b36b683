"""Counts of words from files: lists of counts, or texts."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from mlkit.distributions.measures import Reals
from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import Errors, PathLike, decode_lines, display_name, open_input

KINDS = ("auto", "counts", "text")
_COUNT = re.compile(r"#words \w+|.*[^\s].*\t\d+|\S+ \d+")
_LOOK = 50


def read_counts(path: PathLike, kind: str = "auto", errors: Errors = "strict") -> Counter[str]:
    """Return how often every word is in a file: ``word<TAB>count`` (or ``word count``) lines, or a text.

    "auto" takes a file for counts if each of its first lines is one. Raises `DataError` for a file without words.
    """
    if kind not in KINDS:
        raise UsageError(f"a file is one of {', '.join(KINDS)}, not {kind!r}")
    name = display_name(path)
    found: Counter[str] = Counter()
    with open_input(path) as stream:
        lines = decode_lines(stream, name, errors)
        head = [line for line, _ in zip(lines, range(_LOOK), strict=False)]
        if kind == "auto":
            told = [line for line in head if line]
            kind = "counts" if told and all(map(_COUNT.fullmatch, told)) else "text"
        rest = iter(lines)
        number = 0
        for part in (head, rest):
            for line in part:
                number += 1
                if kind == "text":
                    found.update(line.split())
                elif line and not (number == 1 and line.startswith("#words ")):
                    word, count = _pair(line, name, number)
                    found[word] += count
    if not found.total():
        raise DataError("no words", path=name)
    return found


def _pair(line: str, name: str, number: int) -> tuple[str, int]:
    word, mark, count = line.rpartition("\t")
    if not mark:
        word, _, count = line.rpartition(" ")
    if not word or not count.isascii() or not count.isdigit() or len(count) > 18:
        raise DataError(
            "expected a word, a tab or space, and its count", path=name, line=number,
            hint="--kind text counts the words of texts",
        )  # fmt: skip
    return word, int(count)


def aligned(a: Counter[str], b: Counter[str]) -> tuple[list[str], Reals, Reals]:
    """Return all words, sorted, and both counts of each."""
    words = sorted(a.keys() | b.keys())
    first = np.array([a[word] for word in words], np.float64)
    return words, first, np.array([b[word] for word in words], np.float64)
