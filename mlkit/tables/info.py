"""What a table holds: one line per column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlkit.formats.table_files import Table


@dataclass(frozen=True)
class ColumnInfo:
    """One column: its kind, missing and distinct values, and its range or its most frequent value."""

    name: str
    kind: str  # number, date, time, category, empty
    missing: int
    distinct: int
    low: float | str | None = None
    high: float | str | None = None
    mean: float | None = None
    top: str | None = None
    top_count: int | None = None


def describe_columns(table: Table) -> Iterator[ColumnInfo]:
    """Yield what is known of every column, in order."""
    for name in table.names:
        if table.is_numeric(name):
            values = table.numbers(name)
            known = values[~np.isnan(values)]
            table.forget(name)
            gaps, distinct = len(values) - len(known), len(np.unique(known))
            low, high, mean = float(known.min()), float(known.max()), float(known.mean())
            if table.holds_times(name):
                yield ColumnInfo(name, "time", gaps, distinct, _time(low), _time(high))
            elif table.holds_dates(name):
                yield ColumnInfo(name, "date", gaps, distinct, _date(low), _date(high))
            else:
                yield ColumnInfo(name, "number", gaps, distinct, low, high, mean)
            continue
        counts = table.counts(name)
        missing = table.rows - sum(count for _, count in counts)
        if counts:
            yield ColumnInfo(name, "category", missing, len(counts), top=counts[0][0], top_count=counts[0][1])
        else:
            yield ColumnInfo(name, "empty", missing, 0)


def _time(days: float) -> str:
    """Return a part of a day as a time."""
    return str(np.datetime64(0, "s") + np.timedelta64(round(days * 86400), "s"))[-8:]


def _date(days: float) -> str:
    """Return days since 1970 as a date, with the time where there is one."""
    moment = np.datetime64(0, "s") + np.timedelta64(round(days * 86400), "s")
    return str(moment).removesuffix("T00:00:00")
