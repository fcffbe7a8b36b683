"""Which columns matter: gain, number of splits, and loss of quality when a column is shuffled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.formats.table_files import Table
from mlkit.progress import Progress, Report, silent
from mlkit.tables.metrics import evaluate, main_metric
from mlkit.trees.model import TreeModel

Reals = NDArray[np.float64]
KINDS = ("gain", "split", "permutation")


def tree_importance(model: TreeModel, kind: str = "gain") -> Reals:
    """Return, for every column, the sum of its splits' gains, or how many splits it has."""
    inner = model.trees.left > 0
    gains = model.trees.gain[inner].astype(np.float64) if kind == "gain" else None
    found = np.bincount(model.trees.feature[inner], weights=gains, minlength=len(model.names))
    return found.astype(np.float64)


def permutation_importance(
    model: TreeModel,
    table: Table,
    target: Reals,
    *,
    weights: Reals | None = None,
    repeats: int = 5,
    seed: int = 1,
    threads: int = 1,
    progress: Progress = silent,
) -> Reals:
    """Return, for every column, how much log loss (or RMSE) rises on average when its values are shuffled."""
    bins = model.encoder.encode(table, threads)
    metric = main_metric(model.classes)

    def score() -> float:
        predictions = model.predict_bins(bins, threads)
        return float(evaluate(predictions, target, model.classes, weights)[metric])

    base = score()
    rises = np.zeros(len(model.names))
    for column in range(len(model.names)):
        kept = bins[:, column].copy()
        for repeat in range(repeats):
            bins[:, column] = np.random.default_rng((seed, column, repeat)).permutation(kept)
            rises[column] += (score() - base) / repeats
        bins[:, column] = kept
        progress(Report("shuffling", column + 1, len(model.names), "columns"))
    return rises


def check_kind(kind: str) -> None:
    """Raise `UsageError` for an unknown kind of importance."""
    if kind not in KINDS:
        raise UsageError(f"importance is by {', '.join(KINDS)}, not {kind!r}")


def ranked(names: list[str], values: Reals) -> list[tuple[str, float]]:
    """Return (column, importance), most important first."""
    order = np.argsort(-values, kind="stable")
    return [(names[k], float(values[k])) for k in order]
