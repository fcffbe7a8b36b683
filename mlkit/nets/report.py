"""Predictions and metrics of a network, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from mlkit.errors import DataError
from mlkit.formats.table_files import Table, format_rows
from mlkit.nets.features import Feature
from mlkit.nets.model import NetModel
from mlkit.tables.metrics import evaluate, predicted_classes
from mlkit.tables.target import read_weights, target_values
from mlkit.tables.unseen import Unseen


class _Strange:
    """Columns of categories or words of which nothing so far was there in training: they may have changed."""

    def __init__(self, model: NetModel) -> None:
        self.features = [feature for feature in model.encoder.features if feature.kind == "text"]
        self.unseen = Unseen(model.target, "label")
        self.rows = 0

    def watch(self, table: Table) -> None:
        """Look at another part of the table, which the model has read."""
        self.rows += table.rows
        self.unseen.watch(table)
        self.features = [f for f in self.features if not self._known(table, f)]

    def _known(self, table: Table, feature: Feature) -> bool:
        words = set(feature.categories)
        return any(not words.isdisjoint(line.split()) for line in table.values(feature.name))

    def tell(self, remark: Callable[[str], None]) -> None:
        """Name the columns."""
        for feature in self.features if self.rows else ():
            remark(f"column {feature.name!r} has no value that was there in training: has it changed?")
        self.unseen.tell(remark)


def prediction_rows(
    model: NetModel,
    blocks: Iterable[Table],
    *,
    proba: bool = False,
    keep: tuple[str, ...] = (),
    threshold: float = 0.5,
    remark: Callable[[str], None] = lambda text: None,
) -> Iterator[bytes]:
    """Yield predictions as CSV in the order of the rows; the first part begins with a header."""
    strange = _Strange(model)
    for number, table in enumerate(blocks):
        table.require([*keep, *model.names])
        named: dict[str, Any] = {name: table.values(name) for name in keep}
        predictions = model.predict(table)
        strange.watch(table)
        if not model.classes:
            named["prediction"] = predictions
        else:
            places = predicted_classes(predictions, threshold).tolist()
            named["prediction"] = [model.classes[place] for place in places]
            if proba:
                named |= {f"p_{name}": predictions[:, k] for k, name in enumerate(model.classes)}
        yield format_rows(named, header=number == 0)
    strange.tell(remark)


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
    unknown, strange = 0, _Strange(model)
    for table in blocks:
        if model.reads_text:
            table = table.take(np.array([bool(label) for label in table.values("label")], np.bool_))
            known = table.codes("label", model.classes) >= 0
            unknown += int((~known).sum())
            table = table.take(known)
        if not table.rows:
            continue
        table.require(model.names)
        truth.append(target_values(table, target or model.target, model.classes))
        found = read_weights(table, weight)
        weights.append(np.ones(table.rows) if found is None else found)
        predictions.append(model.predict(table))
        strange.watch(table)
    if not truth:
        raise DataError("there are no rows to measure on")
    strange.tell(remark)
    if unknown:
        remark(f"{unknown:,} lines left out: their label is not one of the model's")
    return evaluate(
        np.concatenate(predictions), np.concatenate(truth), model.classes, np.concatenate(weights), threshold
    )
