"""Scores of many rows of statistics at once, in the very arithmetic that sacreBLEU uses one row at a time.

Bootstrap totals are float32 there, and on numpy 2 so is all that follows up to a logarithm; randomization totals are
int64 (float64 for TER). Logarithms and exponentials are Python's: numpy's differ in the last digit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.metrics.formulas import LOG_ZERO, brevity_penalty, f_score

Array = npt.NDArray[Any]


def bleu_scores(
    totals: Array, orders: int, smooth_method: str, smooth_value: float, *, effective_order: bool
) -> Array:
    """Return BLEU (float64) of every row [hyp_len, ref_len, matches..., n-grams...], float32 or int64."""
    lengths = zip(*(totals[:, k].astype(np.int64).tolist() for k in (0, 1)), strict=True)
    correct, grams = totals[:, 2 : 2 + orders].copy(), totals[:, 2 + orders :].copy()
    matched = correct.any(axis=1)
    alive = np.ones(len(totals), np.bool_)
    divisor = np.ones(len(totals), correct.dtype)
    used = np.full(len(totals), orders)
    logs: list[list[float]] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for n in range(orders):
            if smooth_method == "add-k" and n > 0:
                # assigned back to an integer array, a fraction is cut off
                correct[:, n] = (correct[:, n] + smooth_value).astype(correct.dtype)
                grams[:, n] = (grams[:, n] + smooth_value).astype(grams.dtype)
            alive &= grams[:, n] != 0
            if effective_order:
                used[alive] = n + 1
            precision = 100.0 * correct[:, n] / grams[:, n]
            none = correct[:, n] == 0
            if smooth_method == "exp":
                divisor[none & alive] *= 2
                precision[none] = (100.0 / (divisor * grams[:, n]))[none]
            elif smooth_method == "floor":
                precision[none] = (100.0 * smooth_value / grams[:, n])[none]
            precision = np.where(alive, precision, 0)
            logs.append(_logarithms(precision))
    if effective_order:
        sums = [sum(row[:count]) / count for row, count in zip(zip(*logs), used.tolist(), strict=True)]  # noqa: B905
    else:
        sums = [total / orders for total in map(sum, zip(*logs))]  # noqa: B905
    values = [brevity_penalty(*pair) * math.exp(total) for pair, total in zip(lengths, sums, strict=True)]
    return np.where(matched, np.array(values), 0.0)


def _logarithms(values: Array) -> list[float]:
    zero = values == 0
    logs = list(map(math.log, np.where(zero, 1, values).tolist()))
    for k in np.flatnonzero(zero).tolist():
        logs[k] = LOG_ZERO
    return logs


def ter_scores(totals: Array) -> Array:
    """Return TER of every row [edits, reference length], in the precision of the rows."""
    edits, length = totals[:, 0], totals[:, 1]
    empty = length <= 0
    values = 100 * (edits / np.where(empty, 1, length))
    if empty.any():
        # these are Python's numbers in sacreBLEU, and then so are all
        values = np.where(empty, np.where(edits > 0, 100.0, 0.0), values.astype(np.float64))
    return np.asarray(values)


def chrf_scores(totals: Array, beta: int, *, eps_smoothing: bool) -> Array:
    """Return chrF of every row of (hypothesis, reference, match) triples, in the precision of the rows."""
    hypothesis, reference, match = (totals[:, k::3] for k in range(3))
    if not ((hypothesis > 0).all() and (reference > 0).all() and match.any(axis=1).all()):
        return np.array([f_score(row, beta, eps_smoothing=eps_smoothing) for row in totals])
    factor = beta**2
    rows, orders = hypothesis.shape
    kind = totals.dtype if totals.dtype == np.float32 else np.dtype(np.float64)
    value, precision, recall = np.zeros((3, rows), kind)
    with np.errstate(invalid="ignore"):
        for n in range(orders):
            p, r = match[:, n] / hypothesis[:, n], match[:, n] / reference[:, n]
            weighted = factor * p + r
            value = value + np.where(weighted > 0, (1 + factor) * p * r / weighted, kind.type(1e-16))
            precision = precision + p
            recall = recall + r
    if eps_smoothing:
        return np.asarray(100 * value / orders)
    precision = precision / orders
    recall = recall / orders
    value = (1 + factor) * precision * recall
    return np.asarray(100 * (value / (factor * precision + recall)))
