"""Pearson's and Spearman's correlation with two-sided p-values, equal to scipy's, without scipy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def pearson(x: Values, y: Values) -> float:
    """Return Pearson's r of two float64 vectors; nan for fewer than two values or a constant one."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    left, right = x - x.mean(), y - y.mean()
    r = float(np.dot(left / np.linalg.norm(left), right / np.linalg.norm(right)))
    return max(-1.0, min(1.0, r))


def spearman(x: Values, y: Values) -> float:
    """Return Spearman's rho: Pearson's r of the ranks, equal values sharing their mean rank."""
    return pearson(average_ranks(x), average_ranks(y))


def average_ranks(values: Values) -> Values:
    """Return ranks from 1 on, float64; equal values get the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = (last - (counts - 1) / 2)[inverse]
    return ranks


def correlation_p_value(r: float, count: int) -> float:
    """Return the two-sided p-value of a correlation of `count` pairs (Student's t with count - 2 degrees)."""
    if math.isnan(r) or count < 3:
        return math.nan
    if abs(r) == 1:
        return 0.0
    return incomplete_beta((count - 2) / 2, 0.5, (1 - r) * (1 + r))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d, tiny)
            c = _away_from_zero(1 + term / c, tiny)
            step = c * d
            fraction *= step
        if abs(step - 1) < 1e-15:
            break
    return math.exp(log_front) * fraction / a


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
