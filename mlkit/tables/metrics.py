"""How good predictions are: accuracy, log loss, AUC, F1, confusion matrix; RMSE, MAE, R2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import TableFormat, read_blocks
from mlkit.tables.predictor import Predictor
from mlkit.tables.target import read_weights, target_values
from mlkit.tables.unseen import Unseen

Reals = NDArray[np.float64]


def evaluate(
    predictions: Reals,
    target: Reals,
    classes: Sequence[str],
    weights: Reals | None = None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Return the metrics of predictions (probabilities [rows, classes], or values [rows]).

    With two classes precision, recall, F1 and AUC are of the second one, which is predicted from `threshold` on;
    with more they are means over classes that are there or predicted (of AUC and balanced accuracy: that are there).
    """
    weights = np.ones(len(target)) if weights is None else weights
    if not classes:
        return _regression(predictions, target, weights)
    return _classification(predictions, target.astype(np.int64), classes, weights, threshold)


def predicted_classes(probabilities: Reals, threshold: float = 0.5) -> NDArray[np.int64]:
    """Return the place of the predicted class of every row."""
    if probabilities.shape[1] == 2 and threshold != 0.5:
        return (probabilities[:, 1] >= threshold).astype(np.int64)
    places: NDArray[np.int64] = probabilities.argmax(axis=1)
    return places


def _regression(values: Reals, target: Reals, weights: Reals) -> dict[str, Any]:
    off = values - target
    mean = np.average(target, weights=weights)
    spread = np.average((target - mean) ** 2, weights=weights)
    squared = np.average(off**2, weights=weights)
    return {
        "rows": len(target),
        "rmse": float(np.sqrt(squared)),
        "mae": float(np.average(np.abs(off), weights=weights)),
        "median_absolute_error": float(np.median(np.abs(off))),
        "r2": float(1 - squared / spread) if spread > 0 else None,
        "bias": float(np.average(off, weights=weights)),
    }


def _classification(
    p: Reals, target: NDArray[np.int64], classes: Sequence[str], weights: Reals, threshold: float
) -> dict[str, Any]:
    count = len(classes)
    predicted = predicted_classes(p, threshold)
    confusion = np.bincount(target * count + predicted, weights=weights, minlength=count * count)
    confusion = confusion.reshape(count, count)
    right = np.diag(confusion)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.nan_to_num(right / confusion.sum(axis=0))
        recall = np.nan_to_num(right / confusion.sum(axis=1))
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    present = confusion.sum(axis=1) > 0
    named = present | (confusion.sum(axis=0) > 0)
    of_row = np.clip(p[np.arange(len(p)), target], np.finfo(np.float64).eps, 1)
    hits = np.zeros_like(p)
    hits[np.arange(len(p)), target] = 1

    def summary(values: Reals) -> float:
        return float(values[1]) if count == 2 else float(values[named].mean())

    areas = [area_under_curve(p[:, k], target == k, weights) for k in ([1] if count == 2 else range(count))]
    known = [area for area in areas if area is not None]
    whole = bool((weights == np.round(weights)).all())
    return {
        "rows": len(target),
        **({"positive": classes[1]} if count == 2 else {}),
        "accuracy": float(right.sum() / weights.sum()),
        "balanced_accuracy": float(recall[present].mean()),
        "log_loss": float(np.average(-np.log(of_row), weights=weights)),
        "auc": float(np.mean(known)) if known else None,
        "precision": summary(precision),
        "recall": summary(recall),
        "f1": summary(f1),
        "brier": float(np.average(((p - hits) ** 2).sum(axis=1), weights=weights)) / (2 if count == 2 else 1),
        "classes": list(classes),
        "confusion": confusion.astype(np.int64).tolist() if whole else confusion.tolist(),
    }


def area_under_curve(scores: Reals, positive: NDArray[np.bool_], weights: Reals) -> float | None:
    """Return the area under the ROC curve (ties count half), or None when only one class is there."""
    distinct, place = np.unique(scores, return_inverse=True)
    hits = np.bincount(place, weights=weights * positive, minlength=len(distinct))
    misses = np.bincount(place, weights=weights * ~positive, minlength=len(distinct))
    if hits.sum() <= 0 or misses.sum() <= 0:
        return None
    below = np.cumsum(misses) - misses
    return float((hits * (below + misses / 2)).sum() / (hits.sum() * misses.sum()))


def main_metric(classes: Sequence[str]) -> str:
    """Return the name of the metric by which models are compared: log_loss or rmse (less is better)."""
    return "log_loss" if classes else "rmse"


def evaluate_table(
    model: Predictor,
    path: PathLike,
    form: TableFormat,
    target: str | None = None,
    weight: str | None = None,
    threshold: float = 0.5,
    threads: int = 1,
    remark: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return the metrics of a model on a table, read block by block; `remark` hears of columns that are mostly new."""
    predictions, truth, weights = [], [], []
    unseen = Unseen(target or model.target)
    for table in read_blocks(path, form):
        truth.append(target_values(table, target or model.target, model.classes))
        found = read_weights(table, weight)
        weights.append(np.ones(table.rows) if found is None else found)
        predictions.append(model.predict(table, threads))
        unseen.watch(table)
    unseen.tell(remark)
    return evaluate(
        np.concatenate(predictions), np.concatenate(truth), model.classes, np.concatenate(weights), threshold
    )
