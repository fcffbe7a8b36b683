"""Entropy, cross-entropy and divergences of two distributions over the same outcomes.

Conventions: 0 log 0 is 0; what A has and B has not makes cross-entropy and KL infinite. KL(A, B) is scipy's
entropy(a, b); js_distance is the square root of js_divergence, which scipy's jensenshannon returns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """The base of the logarithms: 2 (bits), e (nats) or 10."""

    base: float

    @classmethod
    def named(cls, text: str) -> Unit:
        """Return the unit of ``2``, ``e`` or ``10`` (or any number above 1)."""
        try:
            base = math.e if text == "e" else float(text)
        except ValueError:
            base = math.nan
        if not 1 < base < math.inf:
            raise UsageError(f"the base of logarithms is 2, e, 10 or another number above 1, not {text!r}")
        return cls(base)

    def of(self, nats: float) -> float:
        """Return nats in this unit."""
        return nats if self.base == math.e else nats / math.log(self.base)


def entropy(p: Reals) -> float:
    """Return -sum p log p in nats."""
    known = p[p > 0]
    return max(float(-(known * np.log(known)).sum()), 0.0)


def cross_entropy(p: Reals, q: Reals) -> float:
    """Return -sum p log q in nats; infinite where q is 0 and p is not."""
    known = p > 0
    if (q[known] == 0).any():
        return math.inf
    return float(-(p[known] * np.log(q[known])).sum())


def kl(p: Reals, q: Reals) -> float:
    """Return sum p log(p / q) in nats; infinite where q is 0 and p is not."""
    known = p > 0
    if (q[known] == 0).any():
        return math.inf
    return max(float((p[known] * (np.log(p[known]) - np.log(q[known]))).sum()), 0.0)


def js_divergence(p: Reals, q: Reals) -> float:
    """Return (KL(p, m) + KL(q, m)) / 2 with m = (p + q) / 2, in nats; at most log 2."""
    middle = (p + q) / 2
    return min(max((kl(p, middle) + kl(q, middle)) / 2, 0.0), math.log(2))


def total_variation(p: Reals, q: Reals) -> float:
    """Return half the sum of absolute differences."""
    return float(np.abs(p - q).sum() / 2)


def hellinger(p: Reals, q: Reals) -> float:
    """Return the Hellinger distance, between 0 and 1."""
    return math.sqrt(min(max(float(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2), 0.0), 1.0))


def psi(expected: Reals, actual: Reals, floor: float = 1e-4) -> float:
    """Return the population stability index, sum (a - e) ln(a / e); shares of 0 count as `floor`."""
    e, a = np.maximum(expected, floor), np.maximum(actual, floor)
    return float(((a - e) * np.log(a / e)).sum())


def compare_counts(
    a: Reals, b: Reals, *, base: str = "2", smooth: float = 0.0, corrected: bool = False
) -> dict[str, Any]:
    """Return all figures of two vectors of counts over the same outcomes.

    smooth: added to every count. corrected: entropies get Miller and Madow's (outcomes - 1) / 2n. Keys that are
    infinite have the value inf; ``unseen_a`` is the mass of A that B has never seen, which makes KL infinite.
    """
    if smooth < 0 or not math.isfinite(smooth):
        raise UsageError(f"--smooth is a number from 0 on, not {smooth}")
    totals = float(a.sum()), float(b.sum())
    if min(totals) <= 0:
        raise DataError("a distribution without any count")
    unit = Unit.named(base)
    unseen = float(a[b == 0].sum()) / totals[0], float(b[a == 0].sum()) / totals[1]
    p, q = (counts + smooth for counts in (a, b))
    p, q = p / p.sum(), q / q.sum()
    entropies = [entropy(p), entropy(q)]
    if corrected:
        entropies = [
            value + (np.count_nonzero(counts) - 1) / (2 * total)
            for value, counts, total in zip(entropies, (a, b), totals, strict=True)
        ]
    crossed = cross_entropy(p, q)
    js = unit.of(js_divergence(p, q))
    return {
        "total_a": totals[0], "total_b": totals[1], "outcomes_a": int(np.count_nonzero(a)),
        "outcomes_b": int(np.count_nonzero(b)), "outcomes_shared": int(np.count_nonzero((a > 0) & (b > 0))),
        "unseen_a": unseen[0], "unseen_b": unseen[1], "entropy_a": unit.of(entropies[0]),
        "entropy_b": unit.of(entropies[1]), "perplexity_a": math.exp(entropies[0]),
        "perplexity_b": math.exp(entropies[1]), "cross_entropy": unit.of(crossed),
        "perplexity": math.exp(crossed) if crossed < 700 else math.inf, "kl": unit.of(kl(p, q)),
        "kl_reverse": unit.of(kl(q, p)), "js_divergence": js, "js_distance": math.sqrt(js),
        "total_variation": total_variation(p, q), "hellinger": hellinger(p, q),
    }  # fmt: skip


def ks_statistic(a: Reals, b: Reals) -> float:
    """Return the largest difference of two empirical distribution functions."""
    a, b = np.sort(a), np.sort(b)
    values = np.concatenate([a, b])
    below = [np.searchsorted(part, values, side="right") / len(part) for part in (a, b)]
    return float(np.max(np.abs(below[0] - below[1])))


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Return the asymptotic p-value of the two-sample Kolmogorov-Smirnov test."""
    x = statistic * math.sqrt(n * m / (n + m))
    if x < 0.2:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return float(min(max(sum(terms), 0.0), 1.0))


def wasserstein(a: Reals, b: Reals) -> float:
    """Return the mean distance that mass must move from A to B, in the units of the values."""
    values = np.sort(np.concatenate([a, b]))
    a, b = np.sort(a), np.sort(b)
    below = [np.searchsorted(part, values[:-1], side="right") / len(part) for part in (a, b)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(values)))
