"""From files to results: predictions in blocks, metrics of a table, of folds, calibration of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.formats.streams import PathLike
from mlkit.formats.tables import Table, TableFormat, format_rows, read_blocks
from mlkit.progress import Progress, silent
from mlkit.trees.calibration import fit_calibration
from mlkit.trees.evaluation import evaluate, predicted_classes
from mlkit.trees.model import Predictor, TreeModel
from mlkit.trees.target import read_weights, settle, target_values
from mlkit.trees.validation import cross_validate, fold_places

if TYPE_CHECKING:
    from mlkit.trees.train import Columns

Reals = NDArray[np.float64]


def prediction_blocks(
    model: Predictor,
    path: PathLike,
    form: TableFormat,
    what: str = "class",
    *,
    keep: tuple[str, ...] = (),
    threshold: float = 0.5,
    threads: int = 1,
) -> Iterator[bytes]:
    """Yield predictions as CSV, block by block, in the order of the rows; the first block begins with a header.

    what: "class" (or the value), "proba" (class and probabilities), "raw" (scores before the link) or "leaf".
    """
    if what == "proba" and not model.classes:
        raise UsageError("--proba needs a classifier; this model predicts a number")
    for number, table in enumerate(read_blocks(path, form)):
        table.require(keep)
        named: dict[str, Any] = {name: table.values(name) for name in keep}
        named |= _predicted(model, table, what, threshold, threads)
        yield format_rows(named, header=number == 0)


def _predicted(model: Predictor, table: Table, what: str, threshold: float, threads: int) -> dict[str, Any]:
    if what in ("raw", "leaf"):
        if not isinstance(model, TreeModel):
            raise UsageError(f"--{what} needs a model of trees")
        if what == "leaf":
            leaves = model.trees.leaves(model.encoder.encode(table, threads))
            return {f"tree{t}": leaves[:, t] for t in range(leaves.shape[1])}
        raw = model.raw(table, threads)
        names = [f"raw_{name}" for name in model.classes] if raw.shape[1] > 1 else ["raw"]
        return {name: raw[:, k] for k, name in enumerate(names)}
    predictions = model.predict(table, threads)
    if not model.classes:
        return {"prediction": predictions}
    named: dict[str, Any] = {
        "prediction": [model.classes[k] for k in predicted_classes(predictions, threshold).tolist()]
    }
    if what == "proba":
        named |= {f"p_{name}": predictions[:, k] for k, name in enumerate(model.classes)}
    return named


def evaluate_table(
    model: Predictor,
    path: PathLike,
    form: TableFormat,
    target: str | None = None,
    weight: str | None = None,
    threshold: float = 0.5,
    threads: int = 1,
) -> dict[str, Any]:
    """Return the metrics of a model on a table, read block by block."""
    predictions, truth, weights = [], [], []
    for table in read_blocks(path, form):
        truth.append(target_values(table, target or model.target, model.classes))
        found = read_weights(table, weight)
        weights.append(np.ones(table.rows) if found is None else found)
        predictions.append(model.predict(table, threads))
    return evaluate(
        np.concatenate(predictions), np.concatenate(truth), model.classes, np.concatenate(weights), threshold
    )


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
        from mlkit.trees.train import read_parts

        target, weights, names = read_parts(table, self.columns)
        settle(table, target, names)
        groups = None
        if self.group is not None:
            table.require([self.group])
            groups = np.unique(np.array(table.values(self.group)), return_inverse=True)[1]
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


def calibrate_model(
    model: TreeModel, table: Table, method: str, target: str | None, weight: str | None, threads: int = 1
) -> tuple[TreeModel, float, float]:
    """Return the calibrated model, and its log loss on these rows before and after."""
    if not model.classes:
        raise UsageError("calibration needs a classifier; this model predicts a number")
    bare = model.calibrated(None)
    truth = target_values(table, target or model.target, model.classes)
    weights = read_weights(table, weight)
    bins = model.encoder.encode(table, threads)
    before = bare.predict_bins(bins, threads)
    made = bare.calibrated(fit_calibration(method, before, truth, weights))
    losses = [
        float(evaluate(p, truth, model.classes, weights)["log_loss"])
        for p in (before, made.predict_bins(bins, threads))
    ]
    return made, losses[0], losses[1]
