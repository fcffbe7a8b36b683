"""Formulas of BLEU and chrF that single scores and resampling share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

LOG_ZERO = -9999999999  # what sacreBLEU takes for the logarithm of zero
EPSILON = 1e-16


def brevity_penalty(hypothesis_length: int, reference_length: int) -> float:
    """Return exp(1 - reference/hypothesis) for a hypothesis that is too short, else 1."""
    if hypothesis_length >= reference_length:
        return 1.0
    return math.exp(1 - reference_length / hypothesis_length) if hypothesis_length > 0 else 0.0


def f_score(row: Sequence[Any], beta: int, *, eps_smoothing: bool) -> Any:
    """Return 100 F of one row of statistics; numpy's float32 numbers stay float32, as in sacreBLEU's resampling."""
    factor = beta**2
    value: Any = 0.0
    precision: Any = 0.0
    recall: Any = 0.0
    present = 0
    for at in range(0, len(row), 3):
        hypothesis, reference, match = row[at : at + 3]
        p = match / hypothesis if hypothesis > 0 else EPSILON
        r = match / reference if reference > 0 else EPSILON
        weighted = factor * p + r
        value += ((1 + factor) * p * r / weighted) if weighted > 0 else EPSILON
        if hypothesis > 0 and reference > 0:
            precision += p
            recall += r
            present += 1
    if eps_smoothing:
        return 100 * value / (len(row) // 3)
    if present:
        precision /= present
        recall /= present
    if precision + recall:
        value = (1 + factor) * precision * recall
        value /= factor * precision + recall
        return 100 * value
    return 0.0
