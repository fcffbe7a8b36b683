"""Jelinek-Mercer: interpolation weights by EM on held-out text, per order and size of the context's count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.ngram import kernels_hash_table
from mlkit.ngram.model import LanguageModel

BUCKETS = 32


def jelinek_mercer_weights(
    counts: LanguageModel, ids: npt.NDArray[np.int32], *, iterations: int = 50
) -> npt.NDArray[np.float64]:
    """Return float64[order, 32]: the weight of an order's relative frequency, by log2 of the count of the
    context.

    counts: an additive model of the training text; ids: held-out text, -1 at the ends of lines. p
    interpolates the relative frequencies of all orders with the uniform distribution (Jelinek and Mercer
    1980). A weight that the text says nothing about is 0.5.
    """
    if not len(ids):
        raise DataError("the held-out text is empty")
    order = counts.order
    seen = np.zeros((len(ids), order), np.float32)
    histories = np.zeros((len(ids), order), np.float32)
    tables = counts.tables
    with np.errstate(over="ignore"):
        kernels_hash_table.count_components(
            ids, order, tables.offsets, tables.sizes, tables.table, tables.values,
            counts.word_values, counts.word_contexts, seen, histories,
        )  # fmt: skip
    frequency = np.divide(seen, histories, out=np.zeros(seen.shape), where=histories > 0)
    used = histories > 0
    bucket = np.minimum(np.log2(np.maximum(histories, 1)).astype(np.int64), BUCKETS - 1)
    weights = np.full((order, BUCKETS), 0.5)
    uniform = 1.0 / counts.vocabulary.types
    rows = np.arange(order)
    for _ in range(iterations):
        here = np.where(used, weights[rows, bucket], 0.0)
        # p of the mixture of all orders up to k, from the shortest on
        lower = np.empty((len(ids), order + 1))
        lower[:, 0] = uniform
        for k in range(order):
            lower[:, k + 1] = here[:, k] * frequency[:, k] + (1 - here[:, k]) * lower[:, k]
        # the share of a token that order k had to explain, and did
        reach = np.ones(len(ids))
        new = np.zeros((order, BUCKETS))
        for k in range(order - 1, -1, -1):
            mine = reach * here[:, k] * frequency[:, k] / lower[:, k + 1]
            asked = np.where(used[:, k], reach, 0.0)
            # half a token of prior keeps weights inside (0, 1)
            top = np.bincount(bucket[:, k], weights=mine, minlength=BUCKETS) + 0.5
            new[k] = top / (np.bincount(bucket[:, k], weights=asked, minlength=BUCKETS) + 1.0)
            reach = reach - mine
        done = float(np.abs(new - weights).max()) < 1e-5
        weights = new
        if done:
            break
    return weights
