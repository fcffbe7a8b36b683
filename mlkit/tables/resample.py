"""Rows again: more of rare classes, fewer of frequent ones, and splits that keep the shares of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table

Places = NDArray[np.int64]


def class_rows(table: Table, column: str) -> dict[str, Places]:
    """Return the rows of every value of a column, rarest value first; a missing one raises `DataError`."""
    table.require([column])
    counts = table.counts(column)
    names = [name for name, _ in counts]
    codes = table.codes(column, names)
    if (codes < 0).any():
        raise table.fault("the value is missing", column, int(np.argmax(codes < 0)))
    if len(names) < 2:
        raise DataError(f"column {column!r} holds one value", path=table.path)
    return {name: np.flatnonzero(codes == place) for place, name in reversed(list(enumerate(names)))}


def balance_rows(table: Table, column: str, how: str, *, ratio: float = 1.0, seed: int = 1) -> Places:
    """Return which rows to keep so that classes are balanced, in the order of the table.

    "over": every class gets at least `ratio` times the rows of the largest, some twice (its own rows all stay).
    "under": every class keeps at most 1 / `ratio` times the rows of the smallest.
    """
    if how not in ("over", "under"):
        raise UsageError(f"rows are sampled 'over' or 'under', not {how!r}")
    if not 0 < ratio <= 1:
        raise UsageError("the ratio must be above 0 and at most 1")
    groups = class_rows(table, column)
    sizes = [len(rows) for rows in groups.values()]
    rng = np.random.default_rng((seed, 3))
    kept = []
    for name in sorted(groups):
        rows = groups[name]
        if how == "over":
            more = max(0, round(ratio * max(sizes)) - len(rows))
            whole, rest = divmod(more, len(rows))
            kept += [rows] * (1 + whole) + [rng.choice(rows, rest, replace=False)]
        else:
            most = max(1, int(min(sizes) / ratio))
            kept.append(rows if len(rows) <= most else rng.choice(rows, most, replace=False))
    return np.sort(np.concatenate(kept))


def split_rows(
    table: Table, part: float, *, column: str | None = None, group: str | None = None, seed: int = 1
) -> NDArray[np.bool_]:
    """Return which rows go to the second part, about `part` of them.

    With `column` every value of it is split in the same proportion; with `group` rows of a group stay together.
    """
    if not 0 < part < 1:
        raise UsageError("the part must be between 0 and 1")
    if column is not None and group is not None:
        raise UsageError("--stratify and --group exclude each other")
    rng = np.random.default_rng((seed, 5))
    second = np.zeros(table.rows, np.bool_)
    if group is not None:
        table.require([group])
        names, members, sizes = np.unique(
            np.array(table.values(group)), return_inverse=True, return_counts=True
        )
        order = rng.permutation(len(names))
        taken = order[np.cumsum(sizes[order]) - sizes[order] / 2 <= part * table.rows]
        second = np.isin(members, taken)
    else:
        groups = class_rows(table, column) if column is not None else {"": np.arange(table.rows)}
        for name in sorted(groups):
            rows = groups[name]
            second[rng.permutation(rows)[: round(part * len(rows))]] = True
    if second.all() or not second.any():
        raise UsageError("one part would be empty")
    return second
