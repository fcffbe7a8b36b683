"""Bilingual dictionaries: lines "source target", several lines for several translations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.formats.streams import Errors, PathLike, read_lines
from mlkit.vectors.keyed_vectors import KeyedVectors

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Dictionary:
    """Pairs of words in the order of the file; `skipped` lines had another form.

    Empty lines and lines with # count as neither.
    """

    pairs: list[tuple[str, str]]
    skipped: int

    @property
    def sources(self) -> list[str]:
        """Return the source words, each once."""
        return list(dict.fromkeys(source for source, _ in self.pairs))

    def rows(self, source: KeyedVectors, target: KeyedVectors) -> tuple[Rows, Rows]:
        """Return the rows of the pairs whose words both have vectors, each pair once."""
        known = dict.fromkeys(
            (source.index[one], target.index[other])
            for one, other in self.pairs
            if one in source.index and other in target.index
        )
        return _rows(known)


def read_dictionary(path: PathLike, errors: Errors = "strict") -> Dictionary:
    """Read a dictionary: two fields a line, between them a tab, or blanks where there is no tab.

    Raises `DataError` for a file without a pair.
    """
    pairs, skipped = [], 0
    for line in read_lines(path, errors):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
        if len(fields) == 2 and all(fields):
            pairs.append((fields[0], fields[1]))
        else:
            skipped += 1
    if not pairs:
        raise DataError("no pairs of the form 'source target'", path=path)
    return Dictionary(pairs, skipped)


def identical(source: KeyedVectors, target: KeyedVectors) -> tuple[Rows, Rows]:
    """Return the rows of the words that both languages spell alike."""
    return _rows((row, target.index[word]) for row, word in enumerate(source.words) if word in target.index)


def _rows(pairs: Iterable[tuple[int, int]]) -> tuple[Rows, Rows]:
    table = np.array(list(pairs), np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()
