"""Translating words through aligned vectors, and how good that is by a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.alignment.csls import Scores, best_partners, neighbourhoods
from mlkit.alignment.dictionaries import Dictionary
from mlkit.alignment.mapping import Matrix, check_sides, prepared, procrustes
from mlkit.errors import UsageError
from mlkit.vectors.keyed_vectors import KeyedVectors

RETRIEVALS = ("csls", "nn", "softmax")
_BATCH = 512
_FAILED = 0.3


@dataclass(frozen=True)
class Precision:
    """Precision in percent at 1, 5, 10; mean reciprocal rank; how many of the dictionary's sources were asked."""

    at: dict[int, float]
    reciprocal: float
    asked: int
    listed: int

    @property
    def coverage(self) -> float:
        """Return the share of the dictionary's source words that could be asked, in percent."""
        return 100 * self.asked / self.listed if self.listed else 0.0


class Translator:
    """Words of two aligned spaces, ready to be asked; every side is prepared by itself (unit, centred, unit)."""

    def __init__(
        self,
        source: KeyedVectors,
        target: KeyedVectors,
        *,
        retrieval: str = "csls",
        neighbours: int = 10,
        temperature: float = 30.0,
        centre: bool = True,
    ) -> None:
        """Prepare both sides; csls and softmax look at all pairs of words once."""
        if retrieval not in RETRIEVALS:
            raise UsageError(f"no retrieval {retrieval!r}; choose one of {', '.join(RETRIEVALS)}")
        check_sides(source.matrix, target.matrix)
        self.source, self.target, self.retrieval = source, target, retrieval
        still = None if centre else np.zeros(source.dimension, np.float32)
        self.x, self.y = prepared(source.matrix, still)[0], prepared(target.matrix, still)[0]
        self._scale, self._own, self._other = self._terms(neighbours, temperature)

    def _terms(self, neighbours: int, temperature: float) -> tuple[float, Matrix, Matrix]:
        """Return scale, source term, target term: a score is scale * cosine - both terms."""
        nothing = np.zeros(len(self.x), np.float32), np.zeros(len(self.y), np.float32)
        if self.retrieval == "nn":
            return 1.0, *nothing
        scores = Scores(self.x, self.y)
        if self.retrieval == "csls":
            means = neighbourhoods(scores, neighbours)
            return 2.0, means.source, means.target
        # log of the sum over the source words of exp(temperature cos): cosines are at most 1, nothing overflows
        total = np.zeros(len(self.y))
        for _, block in scores.blocks():
            total += np.exp(temperature * (block - 1)).sum(axis=0, dtype=np.float64)
        return temperature, nothing[0], (np.log(total) + temperature).astype(np.float32)

    def best(self, rows: Sequence[int], k: int) -> tuple[NDArray[np.int64], Matrix]:
        """Return the `k` best target rows of each source row and their scores, best first: [rows, k] both.

        softmax: the inverted softmax of Smith et al. (2017), p(source | target), as a probability.
        """
        count = min(k, len(self.y))
        found = np.empty((len(rows), count), np.int64)
        values = np.empty((len(rows), count), np.float32)
        for begin in range(0, len(rows), _BATCH):
            part = np.asarray(rows[begin : begin + _BATCH], np.int64)
            scores = self._scale * (self.x[part] @ self.y.T) - self._own[part, None] - self._other
            chosen = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
            held = np.take_along_axis(scores, chosen, 1)
            order = np.argsort(-held, axis=1, kind="stable")
            found[begin : begin + _BATCH] = np.take_along_axis(chosen, order, 1)
            values[begin : begin + _BATCH] = np.take_along_axis(held, order, 1)
        return found, np.exp(values) if self.retrieval == "softmax" else values

    def translations(self, word: str, k: int = 5) -> list[tuple[str, float]]:
        """Return the best translations of a word with their scores; raises `UnknownWord`."""
        found, values = self.best([self.source.row(word)], k)
        return [
            (self.target.words[row], float(value)) for row, value in zip(found[0], values[0], strict=True)
        ]

    def precision(self, dictionary: Dictionary) -> Precision:
        """Return the precision: the share of source words with a listed translation among the k best, in percent.

        Asked are the source words that have a vector, and of whose translations at least one has; ranks
        beyond 1,000 count as 0 for the mean reciprocal rank.
        """
        rows, partners = dictionary.rows(self.source, self.target)
        wanted: dict[int, set[int]] = {}
        for row, partner in zip(rows.tolist(), partners.tolist(), strict=True):
            wanted.setdefault(row, set()).add(partner)
        asked = list(wanted)
        ranks = []
        for begin in range(0, len(asked), _BATCH):
            part = asked[begin : begin + _BATCH]
            for row, line in zip(part, self.best(part, 1000)[0].tolist(), strict=True):
                ranks.append(next((rank for rank, one in enumerate(line, 1) if one in wanted[row]), 0))
        right = {k: 100 * sum(0 < rank <= k for rank in ranks) / max(1, len(ranks)) for k in (1, 5, 10)}
        reciprocal = sum(1 / rank for rank in ranks if rank) / max(1, len(ranks))
        return Precision(right, reciprocal, len(asked), len(dictionary.sources))


@dataclass(frozen=True)
class Criterion:
    """Mutual CSLS pairs: how many, their share of words and mean cosine; `chance`: that after a random rotation."""

    pairs: int
    share: float
    cosine: float
    chance_share: float
    chance_cosine: float

    @property
    def failed(self) -> bool:
        """Say whether the spaces agree hardly better than after a random rotation.

        The cosine tells, as the share of the way from chance to 1: .43 for English-Spanish, .16 for a random
        dictionary after eight rounds of refinement. Of the words half choose each other even by chance.
        """
        return self.cosine - self.chance_cosine < _FAILED * (1 - self.chance_cosine)


def criterion(source: Matrix, target: Matrix, *, words: int = 5000, neighbours: int = 10) -> Criterion:
    """Return how well two spaces agree without a dictionary, among the first `words` of each.

    It catches a start that failed; vectors that are poor in themselves look no worse by it.
    """
    check_sides(source, target)
    x, y = prepared(source[:words])[0], prepared(target[:words])[0]
    noise = np.random.default_rng(1).standard_normal((2, x.shape[1], x.shape[1]))
    turned = x @ procrustes(noise[0].astype(np.float32), noise[1].astype(np.float32))
    (pairs, share, cosine), (_, chance_share, chance_cosine) = (
        _agreement(z, y, neighbours) for z in (x, turned)
    )
    return Criterion(pairs, share, cosine, chance_share, chance_cosine)


def _agreement(x: Matrix, y: Matrix, neighbours: int) -> tuple[int, float, float]:
    scores = Scores(np.ascontiguousarray(x), y)
    rows, partners = best_partners(scores, neighbourhoods(scores, neighbours)).mutual()
    if not len(rows):
        return 0, 0.0, 0.0
    cosine = float(np.einsum("ij,ij->i", x[rows], y[partners]).mean(dtype=np.float64))
    return len(rows), len(rows) / min(len(x), len(y)), cosine
