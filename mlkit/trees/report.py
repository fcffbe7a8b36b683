"""From files to results: predictions in blocks, metrics of a table, of folds, calibration of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table, TableFormat, format_rows, read_blocks
from mlkit.tables.calibration import fit_calibration
from mlkit.tables.metrics import evaluate, predicted_classes
from mlkit.tables.predictor import Predictor
from mlkit.tables.target import read_weights, target_values
from mlkit.tables.unseen import Unseen
from mlkit.trees.model import TreeModel

if TYPE_CHECKING:
    pass

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
    remark: Callable[[str], None] = lambda text: None,
) -> Iterator[bytes]:
    """Yield predictions as CSV, block by block, in the order of the rows; the first block begins with a header.

    what: "class" (or the value), "proba" (class and probabilities), "raw" (scores before the link) or "leaf".
    `remark` is told of columns whose categories are mostly new. A header without rows gives a header.
    """
    if what == "proba" and not model.classes:
        raise UsageError("--proba needs a classifier; this model predicts a number")
    unseen = Unseen()
    for number, table in enumerate(read_blocks(path, replace(form, may_be_empty=True))):
        table.require(keep)
        named: dict[str, Any] = {name: table.values(name) for name in keep}
        named |= _predicted(model, table, what, threshold, threads)
        unseen.watch(table)
        yield format_rows(named, header=number == 0)
    unseen.tell(remark)


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
