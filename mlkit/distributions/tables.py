"""Has a table changed? Every column of two tables side by side, and a classifier that tries to tell them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.distributions import measures
from mlkit.distributions.measures import Reals, Unit
from mlkit.errors import DataError
from mlkit.formats.table_files import Table
from mlkit.progress import Progress, Report, silent
from mlkit.trees.reweight import judge_domains

BINS = 10
SHUFFLES = 200


@dataclass(frozen=True)
class ColumnShift:
    """How a column differs. psi_expected: what PSI is on average without any shift, for these numbers of rows.

    p: the part of seeded shuffles of the rows between the tables with a PSI at least as large. ks and w1 (in the
    column's units): of numbers only. new: the share of the second table's rows with a value that the first has not
    (numbers: outside its range).
    """

    column: str
    kind: str
    psi: float
    psi_expected: float
    p: float
    js: float
    ks: float | None
    ks_p: float | None
    w1: float | None
    missing_a: float
    missing_b: float
    new: float


def shared_columns(a: Table, b: Table, ignore: Sequence[str], columns: Sequence[str] = ()) -> list[str]:
    """Return the columns that both tables have, in the first one's order; `columns`: only these."""
    a.require([*columns])
    b.require([*columns])
    names = [name for name in a.names if name in b.names and name not in ignore]
    names = [name for name in names if name in columns] if columns else names
    if not names:
        raise DataError("the tables have no column in common", path=b.path)
    return names


def column_shifts(
    a: Table, b: Table, names: Sequence[str], *, base: str = "2", seed: int = 1, progress: Progress = silent
) -> list[ColumnShift]:
    """Compare columns; the most shifted one (by PSI) comes first."""
    unit = Unit.named(base)
    found = []
    for done, name in enumerate(names):
        progress(Report("columns", done, len(names), "columns"))
        rng = np.random.default_rng((seed, 23, done))
        found.append(_column_shift(a, b, name, unit, rng))
    return sorted(found, key=lambda shift: (-shift.psi, shift.column))


def _column_shift(a: Table, b: Table, name: str, unit: Unit, rng: np.random.Generator) -> ColumnShift:
    numeric = a.is_numeric(name) and b.is_numeric(name)
    ks = ks_p = w1 = None
    if numeric:
        first, second = a.numbers(name), b.numbers(name)
        missing = float(np.isnan(first).mean()), float(np.isnan(second).mean())
        known = first[~np.isnan(first)], second[~np.isnan(second)]
        counts = _binned(first, second)
        new = float(((known[1] < known[0].min()) | (known[1] > known[0].max())).sum()) / b.rows
        ks = measures.ks_statistic(*known)
        ks_p = measures.ks_p_value(ks, len(known[0]), len(known[1]))
        w1 = measures.wasserstein(*known)
        a.forget(name)
        b.forget(name)
    else:
        words = sorted({value for table in (a, b) for value, _ in table.counts(name)})
        codes = a.codes(name, words), b.codes(name, words)
        missing = float((codes[0] < 0).mean()), float((codes[1] < 0).mean())
        counts = np.array([np.bincount(part + 1, minlength=len(words) + 1) for part in codes])
        new = float(counts[1, 1:][counts[0, 1:] == 0].sum()) / b.rows
    counts = counts[:, counts.sum(axis=0) > 0]
    shares = counts / counts.sum(axis=1, keepdims=True)
    value = measures.psi(shares[0], shares[1])
    cells = counts.shape[1]
    return ColumnShift(
        name, "number" if numeric else "category", value, (cells - 1) * (1 / a.rows + 1 / b.rows),
        _shuffled_p(counts, value, rng), unit.of(measures.js_divergence(shares[0], shares[1])), ks, ks_p, w1,
        *missing, new,
    )  # fmt: skip


def _binned(first: Reals, second: Reals) -> NDArray[np.int64]:
    """Return the counts of both samples in the first one's tenths; missing values have a cell of their own."""
    known = first[~np.isnan(first)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
    rows = []
    for values in (first, second):
        here = np.searchsorted(edges, values[~np.isnan(values)], side="left")
        rows.append(np.append(np.bincount(here, minlength=len(edges) + 1), np.isnan(values).sum()))
    return np.array(rows)


def _shuffled_p(counts: NDArray[np.int64], value: float, rng: np.random.Generator) -> float:
    """Return the p-value of a PSI: rows are dealt out anew, which draws cells without replacement."""
    both = counts.sum(axis=0)
    n = int(counts[0].sum())
    drawn = rng.multivariate_hypergeometric(both, n, size=SHUFFLES, method="marginals")
    at_least = 0
    for first in drawn:
        second = both - first
        at_least += measures.psi(first / n, second / second.sum()) >= value
    return (1 + at_least) / (1 + SHUFFLES)


@dataclass(frozen=True)
class TwoSampleTest:
    """The area under the ROC curve of a classifier that tells tables apart, on rows it has not seen.

    p: of an AUC at least as large without any shift (Mann and Whitney's normal approximation). columns: (name, share
    of the gain of all splits), most telling first.
    """

    auc: float
    p: float
    columns: list[tuple[str, float]]


def classifier_test(
    a: Table, b: Table, names: Sequence[str], *, seed: int = 1, threads: int = 1
) -> TwoSampleTest:
    """Train boosted trees to tell two tables apart, in 5 folds. Source: Lopez-Paz and Oquab (2017)."""
    ignore = tuple(name for name in a.names if name not in names)
    found = judge_domains(a, b, ignore=ignore, classifier="boost", seed=seed, threads=threads)
    n, m = a.rows, b.rows
    z = (found.auc - 0.5) / math.sqrt((n + m + 1) / (12.0 * n * m))
    gains = sorted(found.importance.items(), key=lambda item: (-item[1], item[0]))
    total = sum(gain for _, gain in gains) or 1.0
    return TwoSampleTest(
        found.auc, 0.5 * math.erfc(z / math.sqrt(2)), [(name, gain / total) for name, gain in gains]
    )


def as_json(shifts: Sequence[ColumnShift], test: TwoSampleTest | None) -> dict[str, Any]:
    """Return what was found as JSON holds it."""
    found: dict[str, Any] = {"columns": [asdict(shift) for shift in shifts]}
    if test is not None:
        found["classifier"] = {"auc": test.auc, "p": test.p, "gain": dict(test.columns)}
    return found
