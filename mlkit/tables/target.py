"""What is to be learnt: the target column, weights, class weights, and which columns to learn from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table
from mlkit.formats.table_values import is_number, looks_like_date

Reals = NDArray[np.float64]
MOST = 1e36  # of a target: models compute in float32
MOST_CLASSES = 20  # whole numbers with at most so many values are taken for classes
_COMMAS = re.compile(r"[-+]?\d+([.,]\d+)*")
_LIKES = (
    ("dates are of a kind that is not understood (2024-02-29 is)", looks_like_date),
    ("numbers are written with commas", _COMMAS.fullmatch),
)
TASKS = ("auto", "classification", "regression")


@dataclass(frozen=True)
class Target:
    """The target column: its classes in order (none: regression) and values (places of classes, or numbers)."""

    name: str
    classes: tuple[str, ...]
    values: Reals

    @property
    def task(self) -> str:
        """Return "classification" or "regression"."""
        return "classification" if self.classes else "regression"


def column_named(table: Table, spec: str) -> str:
    """Return the column that a name or a number (from 1) means."""
    if spec in table.names:
        return spec
    if spec.isdigit() and 1 <= int(spec) <= len(table.names):
        return table.names[int(spec) - 1]
    table.require([spec])
    raise DataError(f"missing column {spec!r}", path=table.path)


def read_target(table: Table, name: str, task: str = "auto") -> Target:
    """Return the target column: words, two values or at most 20 whole numbers are classes, else numbers.

    A part of a table has the classes of the whole, if `settle` was told of it. Raises `DataError` for a missing value
    (with its line) and for a target with one value.
    """
    if task not in TASKS:
        raise UsageError(f"the task is one of {', '.join(TASKS)}, not {task!r}")
    settled = table.whole.classes.get(name)
    if settled is not None and (task == "auto" or bool(settled) == (task == "classification")):
        return Target(name, settled, target_values(table, name, settled))
    numeric = table.is_numeric(name)
    values = table.numbers(name) if numeric else np.empty(0)
    if task == "auto":
        task = "regression" if numeric and not _looks_like_classes(values) else "classification"
    if task == "regression":
        values = table.numbers(name)
        _refuse_missing(table, name, np.isnan(values))
        if (np.abs(values) > MOST).any():
            raise table.fault(
                f"the target is above {MOST:g}: make it smaller, by logarithms perhaps", name,
                int(np.argmax(np.abs(values) > MOST)),
            )  # fmt: skip
        if values.min() == values.max():
            raise DataError(f"column {name!r}: the target has one value, {values[0]:g}", path=table.path)
        return Target(name, (), values)
    classes = ordered_classes([value for value, _ in table.counts(name)])
    if len(classes) < 2:
        _refuse_missing(table, name, table.codes(name, classes) < 0)
        raise DataError(f"column {name!r}: the target has one value, {''.join(classes)!r}", path=table.path)
    if len(classes) > 1000:
        raise DataError(
            f"column {name!r}: {len(classes):,} classes are too many", path=table.path,
            hint="a number is learnt with --task regression",
        )  # fmt: skip
    return Target(name, classes, known_classes(table, name, classes))


def settle(table: Table, target: Target, names: Collection[str]) -> None:
    """Let parts of the table take classes and kinds of columns from it, not from their own rows."""
    table.whole.classes[target.name] = target.classes
    table.settle(names)


def known_classes(table: Table, name: str, classes: Sequence[str]) -> Reals:
    """Return the places of the target's classes; a missing or unknown one raises `DataError` with its line."""
    codes = table.codes(name, classes)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        found = table.text(name)[row]
        raise table.fault(
            "the target is missing" if found is None else f"{found!r} is no class of the model", name, row
        )
    return codes.astype(np.float64)


def target_values(table: Table, name: str, classes: Sequence[str]) -> Reals:
    """Return the target of another table for a model that knows its classes (none: regression)."""
    table.require([name])
    if classes:
        return known_classes(table, name, classes)
    values = table.numbers(name)
    _refuse_missing(table, name, np.isnan(values))
    return values


def ordered_classes(names: Collection[str]) -> tuple[str, ...]:
    """Return class names in order: as numbers if all are, else as text."""
    try:
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(names))


def _looks_like_classes(values: Reals) -> bool:
    distinct = np.unique(values[~np.isnan(values)])
    return len(distinct) <= 2 or (
        len(distinct) <= MOST_CLASSES and bool((distinct == np.round(distinct)).all())
    )


def _refuse_missing(table: Table, name: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        raise table.fault("the target is missing", name, int(np.argmax(missing)))


def read_weights(table: Table, name: str | None) -> Reals | None:
    """Return the column of weights, or None; a missing or negative weight raises `DataError` with its line."""
    if name is None:
        return None
    table.require([name])
    weights = table.numbers(name)
    wrong = ~(weights >= 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault("a weight must be a number from 0 on", name, row)
    if not weights.any():
        raise DataError(f"column {name!r}: all weights are 0", path=table.path)
    for row, side in ((int(weights.argmax()), "above"), (int((weights > 0).argmax()), "below")):
        extreme = weights[row] > MOST if side == "above" else weights.max() < 1 / MOST
        if extreme:
            bound = MOST if side == "above" else 1 / MOST
            raise table.fault(f"a weight {side} {bound:g}: multiply all by the same number", name, row)
    return weights


def even_weights(weights: Reals | None) -> Reals | None:
    """Return weights with a mean of 1, in single precision: a model does not change when all are multiplied.

    Least weights of leaves and penalties of linear models are per row.
    """
    if weights is None:
        return None
    scaled: Reals = (weights * (len(weights) / weights.sum())).astype(np.float32).astype(np.float64)
    return scaled


def class_weighted(target: Target, weights: Reals | None, spec: str | None) -> Reals | None:
    """Multiply weights by class weights: ``balanced`` (n / (classes * count)), or ``yes=2,no=1``."""
    if spec is None:
        return weights
    if not target.classes:
        raise UsageError("--class-weight needs classes; this is regression")
    places = target.values.astype(np.int64)
    if spec == "balanced":
        counts = np.bincount(places, weights=weights, minlength=len(target.classes))
        factors = counts.sum() / (len(counts) * np.maximum(counts, 1e-300))
    else:
        factors = np.ones(len(target.classes))
        for part in spec.split(","):
            name, _, value = part.rpartition("=")
            try:
                factors[target.classes.index(name)] = float(value)
            except ValueError:
                raise UsageError(
                    f"--class-weight {part!r}: neither 'balanced' nor CLASS=WEIGHT",
                    hint=f"the classes are {', '.join(target.classes)}",
                ) from None
    scaled: Reals = factors[places] if weights is None else weights * factors[places]
    return scaled


def input_columns(table: Table, target: str, weight: str | None, ignore: Collection[str]) -> list[str]:
    """Return the columns to learn from: all but target, weight and the ignored ones."""
    table.require([*ignore])
    left_out = {target, weight, *ignore}
    names = [name for name in table.names if name not in left_out]
    if not names:
        raise DataError("no column is left to learn from", path=table.path)
    return names


def mean_and_spread(values: Reals) -> tuple[float, float]:
    """Return mean and standard deviation of what is no NaN; the deviation of equal values is 0, not a rounding error.

    Values of any size: squares of large ones do not overflow. Without any value (0, 0).
    """
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return (float(known[0]) if len(known) else 0.0), 0.0
    scale = 2.0 ** np.floor(np.log2(np.abs(known).max()))  # a power of 2: nothing is rounded
    known = known / scale
    return float(known.mean() * scale), float(known.std() * scale)


def words_among_numbers(table: Table, names: Collection[str], categorical: Collection[str]) -> Iterator[str]:
    """Yield a remark for every column that was perhaps meant to hold numbers, but is taken for categories."""
    for name in names:
        if name in categorical or table.is_numeric(name):
            continue
        codes, words = table.coded_words(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        strange = np.array([not is_number(word) for word in words], np.bool_)
        few, total = int(counts[strange].sum()), int(counts.sum())
        if 0 < few <= total / 10:
            place = int(np.flatnonzero(strange)[0])
            word, line = words[place], table.line(int(np.argmax(codes == place)))
            yield (
                f"column {name!r} is used as categories: {few:,} of its {total:,} values are no numbers, such as "
                f"{word[:30]!r} in line {line}; --na {word[:30]} makes it missing"
            )
            continue
        for what, like in _LIKES:
            of_kind = np.array([bool(like(word)) for word in words], np.bool_)
            if few and counts[of_kind].sum() >= 0.9 * total:
                place = int(np.flatnonzero(of_kind & strange)[0])
                yield f"column {name!r} is used as categories: its {what}, such as {words[place]!r}"
                break
