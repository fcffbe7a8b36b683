"""Cross-domain similarity local scaling (Conneau et al. 2018): 2 cos(x, y) - r(x) - r(y).

r is the mean cosine of a word with its k nearest words of the other language: words that are near to everything
(hubs) stop being everyone's translation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.alignment.kernels_csls import keep_best, keep_highest

Matrix = NDArray[np.float32]
_BLOCK = 1 << 24  # scores held at a time, 64 MB


class Scores:
    """The cosines of two sets of unit rows [n, d] and [m, d], in blocks of rows; one block is kept if it is all."""

    def __init__(self, source: Matrix, target: Matrix) -> None:
        self.source, self.target = source, target
        self.height = max(1, _BLOCK // max(1, len(target)))
        self._whole: Matrix | None = None

    def blocks(self) -> Iterator[tuple[int, Matrix]]:
        """Yield (number of the first row, float32 [rows, m])."""
        for begin in range(0, len(self.source), self.height):
            if self._whole is not None:
                yield 0, self._whole
                return
            block: Matrix = self.source[begin : begin + self.height] @ self.target.T
            if len(block) == len(self.source):
                self._whole = block
            yield begin, block


@dataclass(frozen=True)
class Neighbourhoods:
    """Mean cosine with the k nearest words of the other side, and the highest: float32 [n] and [m] each."""

    source: Matrix
    target: Matrix
    source_best: Matrix
    target_best: Matrix


def neighbourhoods(scores: Scores, k: int = 10) -> Neighbourhoods:
    """Return the means of CSLS for both sides, in one pass; k is lowered to what there is."""
    n, m = len(scores.source), len(scores.target)
    rows = np.full((n, min(k, m)), -np.inf, np.float32)
    columns = np.full((m, min(k, n)), -np.inf, np.float32)
    last = np.full(m, -np.inf, np.float32)
    for begin, block in scores.blocks():
        keep_highest(block, rows[begin : begin + len(block)], columns, last)
    return Neighbourhoods(rows.mean(axis=1), columns.mean(axis=1), rows[:, 0].copy(), columns[:, 0].copy())


@dataclass(frozen=True)
class BestPartners:
    """The best partner by CSLS of each word, -1 where all were dropped, and its lead over the next one."""

    of_source: NDArray[np.int32]
    source_lead: Matrix
    of_target: NDArray[np.int32]
    target_lead: Matrix

    def union(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows (source, target) of all pairs, those that both directions chose twice."""
        forth, back = np.flatnonzero(self.of_source >= 0), np.flatnonzero(self.of_target >= 0)
        return (
            np.concatenate([forth, self.of_target[back]]).astype(np.int64),
            np.concatenate([self.of_source[forth], back]).astype(np.int64),
        )

    def mutual(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows (source, target) of the pairs that chose each other."""
        rows = np.flatnonzero(self.of_source >= 0)
        partners = self.of_source[rows].astype(np.int64)
        both = self.of_target[partners] == rows
        return rows[both], partners[both]


def best_partners(scores: Scores, means: Neighbourhoods, *, drop: float = 0.0, seed: int = 0) -> BestPartners:
    """Return everybody's best partner; each score is passed over with probability `drop`, by `seed`."""
    n, m = len(scores.source), len(scores.target)
    rows, columns = np.full(n, -1, np.int32), np.full(m, -1, np.int32)
    lows = [np.full(size, -np.inf, np.float32) for size in (n, n, m, m)]
    dropped = np.uint32(min(round(drop * 2**32), 2**32 - 1))
    for begin, block in scores.blocks():
        keep_best(
            block, begin, means.source, means.target, np.uint64(seed), dropped, rows, lows[0], lows[1],
            columns, lows[2], lows[3],
        )  # fmt: skip
    with np.errstate(invalid="ignore"):
        return BestPartners(rows, lows[0] - lows[1], columns, lows[2] - lows[3])
