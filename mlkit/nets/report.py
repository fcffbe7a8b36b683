"""Predictions and metrics of a network, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from mlkit.errors import DataError
from mlkit.formats.tables import Table, format_rows
from mlkit.nets.model import NetModel
from mlkit.trees.evaluation import evaluate, predicted_classes
from mlkit.trees.target import read_weights, target_values


def prediction_rows(
    model: NetModel,
    blocks: Iterable[Table],
    *,
    proba: bool = False,
    keep: tuple[str, ...] = (),
    threshold: float = 0.5,
) -> Iterator[bytes]:
    """Yield predictions as CSV in the order of the rows; the first part begins with a header."""
    for number, table in enumerate(blocks):
        table.require(keep)
        named: dict[str, Any] = {name: table.values(name) for name in keep}
        predictions = model.predict(table)
        if not model.classes:
            named["prediction"] = predictions
        else:
            places = predicted_classes(predictions, threshold).tolist()
            named["prediction"] = [model.classes[place] for place in places]
            if proba:
                named |= {f"p_{name}": predictions[:, k] for k, name in enumerate(model.classes)}
        yield format_rows(named, header=number == 0)


def evaluate_blocks(
    model: NetModel,
    blocks: Iterable[Table],
    target: str | None = None,
    weight: str | None = None,
    threshold: float = 0.5,
    remark: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return the metrics of a model on a table.

    Lines of text without a label are passed over, and (with a remark) those with one that training never saw.
    """
    predictions, truth, weights = [], [], []
    unknown = 0
    for table in blocks:
        if model.reads_text:
            table = table.take(np.array([bool(label) for label in table.values("label")], np.bool_))
            known = table.codes("label", model.classes) >= 0
            unknown += int((~known).sum())
            table = table.take(known)
        if not table.rows:
            continue
        truth.append(target_values(table, target or model.target, model.classes))
        found = read_weights(table, weight)
        weights.append(np.ones(table.rows) if found is None else found)
        predictions.append(model.predict(table))
    if not truth:
        raise DataError("there are no rows to measure on")
    if unknown:
        remark(f"{unknown:,} lines left out: their label is not one of the model's")
    return evaluate(
        np.concatenate(predictions), np.concatenate(truth), model.classes, np.concatenate(weights), threshold
    )
