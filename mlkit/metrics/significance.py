"""Bootstrap confidence intervals and paired tests with sacreBLEU's random stream, by matrix products.

A resample is a row of counts (how often each segment was drawn), a trial a row of signs: the totals of all systems
come out of one product with the segments' statistics, a bounded number of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.metrics.metric import Metric, Statistics, total
from mlkit.threads import blas_threads

Array = npt.NDArray[Any]

SEED = 12345
RESAMPLES = 1000
TRIALS = 10_000
# random numbers drawn at a time; a multiple of 32, as one draw of 32 bits gives 32 signs
BLOCK = 1 << 18


@dataclass(frozen=True)
class TestResult:
    """A system in a paired test: its score, the p-value against the baseline, mean and 95 % interval."""

    __test__ = False

    score: float
    p_value: float | None = None
    mean: float | None = None
    interval: float | None = None


def confidence(
    metric: Metric, statistics: Statistics, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """Return the mean and half the width of the 95 % interval of a score, by bootstrap over segments."""
    scores = np.sort(_bootstrap(metric, [statistics], resamples, seed)[0])
    return _exact_mean(scores), _half_interval(scores)


def paired_bootstrap(
    metric: Metric, systems: Sequence[Statistics], resamples: int = RESAMPLES, seed: int = SEED
) -> list[TestResult]:
    """Compare systems with the first one by paired bootstrap resampling (Koehn, 2004)."""
    actual = [metric.score(total(rows)).value for rows in systems]
    sampled = _bootstrap(metric, systems, resamples, seed)
    results: list[TestResult] = []
    for score, scores in zip(actual, sampled, strict=True):
        ordered = np.sort(scores)
        p_value = None
        if results:
            differences = np.abs(scores - sampled[0])
            p_value = _p_value(differences - differences.mean(), abs(actual[0] - score))
        results.append(TestResult(score, p_value, float(ordered.mean()), _half_interval(ordered)))
    return results


def paired_randomization(
    metric: Metric, systems: Sequence[Statistics], trials: int = TRIALS, seed: int = SEED
) -> list[TestResult]:
    """Compare systems with the first one by approximate randomization (Riezler and Maxwell, 2005)."""
    actual = [metric.score(total(rows)).value for rows in systems]
    matrices = [_matrix(rows) for rows in systems]
    baseline = matrices[0]
    whole = all(np.issubdtype(matrix.dtype, np.integer) for matrix in matrices)
    scale = _scale(np.concatenate(matrices, axis=1))
    width = baseline.shape[1]
    others = np.concatenate(matrices[1:], axis=1).astype(np.float64)
    gain = np.tile(baseline.astype(np.float64), len(systems) - 1) - others
    sums = others.sum(axis=0), np.tile(baseline.sum(axis=0), len(systems) - 1) + others.sum(axis=0)
    differences: list[list[Array]] = [[] for _ in systems[1:]]
    for signs in _signs(len(baseline), trials, seed):
        if scale is not None:  # all sums are exact: what the first has gained the second has lost
            first = sums[0] + _product(signs, gain)
            second = sums[1] - first
        else:
            tiled = np.tile(baseline, len(systems) - 1)
            first, second = signs @ tiled + ~signs @ others, ~signs @ tiled + signs @ others
        if whole:
            first, second = first.astype(np.int64), second.astype(np.int64)
        for k, found in enumerate(differences):
            part = slice(k * width, (k + 1) * width)
            found.append(np.abs(metric.scores(first[:, part]) - metric.scores(second[:, part])))
    results = [TestResult(actual[0])]
    for score, found in zip(actual[1:], differences, strict=True):
        results.append(TestResult(score, _p_value(np.concatenate(found), abs(actual[0] - score))))
    return results


def _bootstrap(metric: Metric, systems: Sequence[Statistics], resamples: int, seed: int) -> list[Array]:
    """Return the scores of each system on every resample."""
    matrices = [_matrix(rows).astype(np.float32) for rows in systems]
    width = matrices[0].shape[1]
    parts: list[list[Array]] = [[] for _ in systems]
    for totals in _resampled_totals(np.concatenate(matrices, axis=1), resamples, seed):
        for k, found in enumerate(parts):
            found.append(totals[:, k * width : (k + 1) * width])
    return [metric.scores(np.concatenate(found)) for found in parts]


def _resampled_totals(statistics: Array, resamples: int, seed: int) -> Iterator[Array]:
    """Yield float32 totals of resamples, as adding the drawn rows one by one in float32 gives them."""
    segments = len(statistics)
    rng = np.random.default_rng(seed)
    scale = _scale(statistics)
    wide, narrow = statistics.astype(np.float64), statistics.astype(np.float32)
    for count in _block_sizes(resamples, max(1, BLOCK // segments)):
        drawn = rng.choice(segments, size=(count, segments), replace=True)
        if scale is None:
            yield np.array([narrow[rows].sum(0) for rows in drawn])
            continue
        flat = drawn + (np.arange(count) * segments)[:, None]
        counts = np.bincount(flat.ravel(), minlength=count * segments).reshape(count, segments)
        exact = _product(counts, wide)
        totals = exact.astype(np.float32)
        # beyond 24 bits the order of additions shows
        for k in np.flatnonzero((exact * scale >= 1 << 24).any(axis=1)):
            totals[k] = narrow[drawn[k]].sum(0)
        yield totals


def _signs(segments: int, trials: int, seed: int) -> Iterator[npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    for count in _block_sizes(trials, max(32, BLOCK // segments // 32 * 32)):
        yield rng.integers(2, size=(count, segments), dtype=np.bool_)


def _block_sizes(rows: int, block: int) -> Iterator[int]:
    for begin in range(0, rows, block):
        yield min(block, rows - begin)


def _product(left: Array, right: Array) -> Array:
    """Return left @ right in float64, which is exact for sums below 2^53, on one thread."""
    with blas_threads(1):
        return left.astype(np.float64) @ right


def _matrix(rows: Statistics) -> Array:
    """Return statistics as an array, of integers if all of them are."""
    return np.array(rows)


def _scale(statistics: Array) -> int | None:
    """Return the smallest power of two (up to 1024) that makes all numbers whole, else None."""
    wide = statistics.astype(np.float64)
    for scale in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        if (wide * scale == np.floor(wide * scale)).all():
            return scale
    return None


def _p_value(differences: Array, actual: float) -> float:
    """Return (exceeding + 1) / (all + 1); compared in the precision of the differences."""
    exceeding = int((differences > differences.dtype.type(actual)).sum())
    return (exceeding + 1) / (len(differences) + 1)


def _half_interval(ordered: Array) -> float:
    lower = len(ordered) // 40
    return float(0.5 * (ordered[len(ordered) - lower - 1] - ordered[lower]))


def _exact_mean(scores: Array) -> float:
    """Return the mean without any rounding but the last one, as statistics.mean does."""
    ratios = [value.as_integer_ratio() for value in scores.tolist()]
    denominator = max(bottom for _, bottom in ratios)
    top = sum(number * (denominator // bottom) for number, bottom in ratios)
    return float(scores.dtype.type(top / (denominator * len(ratios))))
