"""GloVe's update in double precision, record by record, as glove.c makes it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]


class Model:
    """Vectors with the bias in the last column, and sums of squared gradients, for words and contexts."""

    def __init__(self, word: Rows, context: Rows) -> None:
        self.word, self.context = word.copy(), context.copy()
        self.word_squares, self.context_squares = np.ones_like(word), np.ones_like(context)

    def train(
        self,
        records: Iterable[tuple[int, int, float]],
        x_max: float = 100.0,
        alpha: float = 0.75,
        rate: float = 0.05,
        clip: float = 100.0,
    ) -> float:
        """Go through the records once, in order; return the mean cost."""
        cost, count = 0.0, 0
        for i, j, weight in records:
            w, c, ws, cs = self.word[i], self.context[j], self.word_squares[i], self.context_squares[j]
            difference = w[:-1] @ c[:-1] + w[-1] + c[-1] - math.log(weight)
            gradient = (1.0 if weight > x_max else (weight / x_max) ** alpha) * difference
            cost += 0.5 * gradient * difference
            count += 1
            for_word = np.clip(gradient * c[:-1], -clip, clip) * rate
            for_context = np.clip(gradient * w[:-1], -clip, clip) * rate
            w[:-1] -= for_word / np.sqrt(ws[:-1])
            c[:-1] -= for_context / np.sqrt(cs[:-1])
            ws[:-1] += for_word**2
            cs[:-1] += for_context**2
            for row, squares in ((w, ws), (c, cs)):
                row[-1] -= gradient / math.sqrt(squares[-1])
                squares[-1] += gradient**2
        return cost / count
