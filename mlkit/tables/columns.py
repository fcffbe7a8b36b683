"""The roles of a table's columns, and reading them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.formats.table_files import Table
from mlkit.tables.target import Target, class_weighted, column_named, input_columns, read_target, read_weights

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """Which columns play which part; the target and the others by name, the target also by number from 1."""

    target: str
    weight: str | None = None
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    task: str = "auto"
    class_weight: str | None = None
    max_bins: int = 255
    min_bin_rows: int = 3


def read_parts(table: Table, columns: Columns) -> tuple[Target, Reals | None, list[str]]:
    """Return target, weights (with class weights) and the names of the columns to learn from."""
    name = column_named(table, columns.target)
    target = read_target(table, name, columns.task)
    weights = class_weighted(target, read_weights(table, columns.weight), columns.class_weight)
    return target, weights, input_columns(table, name, columns.weight, columns.ignore)
