"""Hold-outs and cross-validation: k folds, stratified by class or whole by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.formats.table_files import Table
from mlkit.progress import Progress, Report, silent
from mlkit.tables.columns import Columns, read_parts
from mlkit.tables.metrics import evaluate
from mlkit.tables.predictor import Predictor
from mlkit.tables.target import settle, target_values

Reals = NDArray[np.float64]
Places = NDArray[np.int64]


def hold_out(target: Reals, part: float, seed: int, *, stratified: bool = False) -> NDArray[np.bool_]:
    """Return which rows to hold out: about `part` of all, of every class if stratified."""
    if not 0 < part < 1:
        raise UsageError("the held-out part must be between 0 and 1")
    rng = np.random.default_rng((seed, 7))
    out = np.zeros(len(target), np.bool_)
    groups = (
        [np.flatnonzero(target == value) for value in np.unique(target)]
        if stratified
        else [np.arange(len(target))]
    )
    for rows in groups:
        out[rng.permutation(rows)[: round(part * len(rows))]] = True
    if not out.any():
        out[rng.integers(len(target))] = True
    if out.all():
        raise UsageError("nothing would be left to train on")
    return out


def fold_places(
    target: Reals, folds: int, seed: int, *, stratified: bool = False, groups: Places | None = None
) -> Places:
    """Return the fold (from 0) of every row.

    Stratified: every class is dealt out evenly. Grouped: rows of a group share a fold, the largest groups
    are dealt first, each to the smallest fold.
    """
    if folds < 2 or folds > len(target):
        raise UsageError(f"{folds} folds of {len(target)} rows: at least 2, at most as many as rows")
    rng = np.random.default_rng((seed, 11))
    place = np.empty(len(target), np.int64)
    if groups is not None:
        names, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        if len(names) < folds:
            raise UsageError(f"{folds} folds need as many groups; there are {len(names)}")
        filled = np.zeros(folds)
        fold_of = np.empty(len(names), np.int64)
        shuffled = rng.permutation(len(names))
        for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            fold_of[group] = int(np.argmin(filled))
            filled[fold_of[group]] += sizes[group]
        return fold_of[members]
    start = 0
    parts = (
        [np.flatnonzero(target == value) for value in np.unique(target)]
        if stratified
        else [np.arange(len(target))]
    )
    for rows in parts:
        place[rng.permutation(rows)] = (start + np.arange(len(rows))) % folds
        start += len(rows)
    return place


def fold_result(
    table: Table,
    fit: Callable[[Table], Predictor],
    places: Places,
    fold: int,
    *,
    weights: Reals | None = None,
    threads: int = 1,
) -> dict[str, Any]:
    """Return the metrics of one fold: a model of the other folds, tried on this one."""
    model = fit(table.take(places != fold))
    part = table.take(places == fold)
    target = target_values(part, model.target, model.classes)
    chosen = None if weights is None else weights[places == fold]
    return evaluate(model.predict(part, threads), target, model.classes, chosen)


def cross_validate(
    table: Table,
    fit: Callable[[Table], Predictor],
    places: Places,
    *,
    weights: Reals | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> Iterator[dict[str, Any]]:
    """Yield the metrics of every fold."""
    folds = int(places.max()) + 1
    for fold in range(folds):
        yield fold_result(table, fit, places, fold, weights=weights, threads=threads)
        progress(Report("folds", fold + 1, folds, "folds"))


def summarise(results: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return mean and spread (sample standard deviation) over folds of every metric that is a number."""
    summary = {}
    for name, value in results[0].items():
        values = [result[name] for result in results]
        if name != "rows" and isinstance(value, float) and all(isinstance(v, float) for v in values):
            summary[name] = (float(np.mean(values)), float(np.std(values, ddof=1)))
    return summary


@dataclass(frozen=True)
class Folds:
    """How rows are dealt out to folds."""

    columns: Columns
    number: int = 5
    seed: int = 1
    group: str | None = None
    stratified: bool = True

    def plan(self, table: Table) -> tuple[NDArray[np.int64], Reals | None]:
        """Return the fold of every row, and the rows' weights; the table's parts have its classes from here on."""
        target, weights, names = read_parts(table, self.columns)
        settle(table, target, names)
        groups = None
        if self.group is not None:
            table.require([self.group])
            groups = np.unique(np.array(table.values(self.group)), return_inverse=True)[1]
        elif table.groups is not None:
            groups = np.unique(table.groups, return_inverse=True)[1]
        stratified = self.stratified and bool(target.classes)
        return fold_places(
            target.values, self.number, self.seed, stratified=stratified, groups=groups
        ), weights


def fold_metrics(
    table: Table,
    fit: Callable[[Table], Predictor],
    folds: Folds,
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Return the metrics of every fold; `validation.summarise` gives their mean and spread."""
    places, weights = folds.plan(table)
    return list(cross_validate(table, fit, places, weights=weights, threads=threads, progress=progress))
