"""Words and their vectors, held for queries: rows by word, lengths, unit vectors."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.formats.streams import Errors, PathLike
from mlkit.formats.vectors import load_vectors

Matrix = NDArray[np.float32]
_ROWS = 1 << 16


class UnknownWord(DataError):
    """A word that has no vector."""

    def __init__(self, word: str) -> None:
        super().__init__(f"no vector for {word!r}", hint="--oov skip leaves out queries with unknown words")
        self.word = word


class KeyedVectors:
    """The vectors of a vocabulary; nothing is copied, so that a memory-mapped matrix stays on disk.

    Example::

        vectors = KeyedVectors.load("vectors.txt")
        vectors["king"]                     # float32 [dimension]
        neighbours(vectors, "king", k=10)   # in mlkit.vectors.queries
    """

    def __init__(self, words: Sequence[str], matrix: Matrix) -> None:
        """Hold `words` (unique) and `matrix`, float32 [words, dimension]."""
        if matrix.ndim != 2 or len(words) != len(matrix):
            raise ValueError(f"{len(words)} words for a matrix of shape {matrix.shape}")
        self.words = list(words)
        self.matrix = matrix
        self._lengths = np.empty(len(matrix), np.float32)
        self._measured = 0

    @classmethod
    def load(
        cls, path: PathLike, format: str | None = None, limit: int | None = None, *, errors: Errors = "strict"
    ) -> KeyedVectors:
        """Read a vector file as `mlkit.formats.vectors.load_vectors` does."""
        return cls(*load_vectors(path, format, limit, errors=errors))

    @cached_property
    def index(self) -> dict[str, int]:
        """Return word -> row."""
        return {word: row for row, word in enumerate(self.words)}

    @property
    def dimension(self) -> int:
        """Return how many numbers a vector has."""
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str) -> Matrix:
        vector: Matrix = self.matrix[self.row(word)]
        return vector

    def row(self, word: str) -> int:
        """Return the row of a word; raises `UnknownWord`."""
        found = self.index.get(word)
        if found is None:
            raise UnknownWord(word)
        return found

    def unknown(self, words: Iterable[str]) -> list[str]:
        """Return those of `words` that have no vector."""
        return [word for word in words if word not in self.index]

    def lengths(self, begin: int, end: int) -> Matrix:
        """Return the Euclidean lengths of rows begin..end, float32; measured once, when they are first needed."""
        for start in range(self._measured, end, _ROWS):
            stop = min(start + _ROWS, end)
            with np.errstate(over="ignore", invalid="ignore"):
                self._lengths[start:stop] = np.linalg.norm(self.matrix[start:stop], axis=1)
            self._measured = stop
        return self._lengths[begin:end]

    def length_range(self) -> tuple[float, float, float]:
        """Return the shortest, mean and longest length; zeros if there are no vectors."""
        lengths = self.lengths(0, len(self)).astype(np.float64)
        if not len(lengths):
            return 0.0, 0.0, 0.0
        return float(lengths.min()), float(lengths.mean()), float(lengths.max())

    def unit(self, rows: Sequence[int] | NDArray[np.int64]) -> Matrix:
        """Return rows scaled to length 1, float32 [rows, dimension]; a row of length 0 stays 0."""
        chosen = np.asarray(self.matrix[np.asarray(rows, np.int64)])
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(chosen, axis=1)
            lengths[lengths == 0] = 1
            unit: Matrix = chosen / lengths[:, None]
        return unit

    def similarity(self, first: str, second: str) -> float:
        """Return the cosine of two words, computed with the same roundings as gensim's `similarity`."""
        left, right = (_unit_as_gensim(self[word]) for word in (first, second))
        return float(np.dot(left, right))


def select(vectors: KeyedVectors, words: Container[str] | None, *, normalize: bool = False) -> KeyedVectors:
    """Return the vectors of those of `words` (None: all) that there are, in their order, scaled to 1 if wanted."""
    chosen = vectors
    if words is not None:
        rows = [row for row, word in enumerate(vectors.words) if word in words]
        chosen = KeyedVectors([vectors.words[row] for row in rows], vectors.matrix[np.array(rows, np.int64)])
    if normalize:
        chosen = KeyedVectors(chosen.words, chosen.unit(np.arange(len(chosen))))
    return chosen


def _unit_as_gensim(vector: Matrix) -> Matrix:
    """Scale in float64 and round to float32: ties between word pairs depend on it."""
    wide = vector.astype(np.float64)
    length = float(np.sqrt(np.dot(wide, wide)))
    return (wide * (1.0 / length)).astype(np.float32) if length > 0 else vector
