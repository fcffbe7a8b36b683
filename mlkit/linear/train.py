"""Train one linear model on a table."""

from __future__ import annotations

from mlkit.formats.table_files import Table
from mlkit.linear.model import LinearModel, fit_design, fit_weights
from mlkit.tables.columns import Columns, read_parts
from mlkit.tables.target import even_weights


def train_linear(table: Table, columns: Columns, l2: float = 1.0, kind: str = "stack") -> LinearModel:
    """Train one logistic (classes) or ridge (numbers) regression."""
    target, weights, names = read_parts(table, columns)
    design = fit_design(table, names, categorical=columns.categorical)
    beta = fit_weights(design.matrix(table), target.values, len(target.classes), even_weights(weights), l2)
    return LinearModel(target.name, target.classes, design, beta[None], kind, {"l2": l2, **table.own_marks})
