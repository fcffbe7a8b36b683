"""Fill missing values by mean, median, mode or a constant, or delete their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table

STRATEGIES = ("mean", "median", "mode", "constant", "delete")


def fill_values(
    table: Table, strategy: str, columns: Sequence[str] | None = None, constant: str | None = None
) -> dict[str, str]:
    """Return what to write into the gaps of every column; words and dates take their mode under mean and median.

    Raises `DataError` for a column without any value, where there is nothing to learn from.
    """
    if strategy not in STRATEGIES:
        raise UsageError(f"the strategy is one of {', '.join(STRATEGIES)}, not {strategy!r}")
    if (strategy == "constant") != (constant is not None):
        raise UsageError("--value goes with --strategy constant")
    names = table.names if columns is None else list(columns)
    table.require(names)
    if strategy == "delete":
        return {}
    found = {}
    for name in names:
        if constant is not None:
            found[name] = constant
            continue
        numeric = strategy != "mode" and table.is_numeric(name) and not table.holds_dates(name)
        counts = [] if numeric else table.counts(name)
        if counts:
            found[name] = counts[0][0]
        elif numeric:
            values = table.numbers(name)
            known = values[~np.isnan(values)]
            found[name] = repr(float(known.mean() if strategy == "mean" else np.median(known)))
            table.forget(name)
        elif columns is not None:
            raise DataError(f"column {name!r} holds nothing but missing values", path=table.path)
    return found


def impute(
    table: Table,
    values: Mapping[str, str],
    *,
    delete: Sequence[str] = (),
    indicators: bool = False,
    source: Table | None = None,
) -> tuple[Table, int]:
    """Return the table with gaps filled (or the rows with a gap in the columns `delete` left out), and their number.

    With `indicators`, a column NAME_missing of 0 and 1 is added for every column that has gaps in `source`, the table
    that the values come from (this one): training and test tables get the same columns.
    """
    if delete:
        table.require(delete)
        gaps = np.zeros(table.rows, np.bool_)
        for name in delete:
            gaps |= table.text(name).is_null().to_numpy()
        if gaps.all():
            raise DataError("every row has a missing value: nothing would be left", path=table.path)
        return table.take(~gaps), int(gaps.sum())
    table.require(list(values))
    filled = 0
    changed: dict[str, Any] = {}
    marks: dict[str, Any] = {}
    for name, value in values.items():
        text = table.text(name)
        gaps = text.is_null().to_numpy()
        here = int(gaps.sum())
        if here if source is None or source is table else source.text(name).null_count():
            marks[f"{name}_missing"] = gaps.astype(np.int64)
        if here:
            filled += here
            changed[name] = text.fill_null(value)
    if indicators:
        there = set(table.names)
        for name in marks:
            if name in there:
                raise DataError(f"the table has a column {name!r} already", path=table.path)
        changed |= marks
    return table.with_columns(changed) if changed else table, filled
