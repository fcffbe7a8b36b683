"""What is clustered: the number columns of a table, scaled if wanted, or word vectors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import PathLike, open_input, plain_suffix
from mlkit.formats.table_files import Table
from mlkit.tables.target import mean_and_spread

Reals = NDArray[np.float64]
VECTOR_SUFFIXES = (".bin", ".vec", ".glove", ".safetensors")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".libsvm", ".svm", ".svmlight")
KINDS = ("auto", "table", "vectors")


@dataclass(frozen=True)
class Space:
    """Which columns of a table are coordinates, and how they are scaled: (value - mean) / spread."""

    names: tuple[str, ...]
    means: Reals
    spreads: Reals

    @property
    def scaled(self) -> bool:
        """Say whether columns are scaled at all."""
        return bool((self.spreads != 1).any() or self.means.any())

    def points(self, table: Table) -> Reals:
        """Return the rows of a table as points, float64 [rows, columns]; a missing value raises `DataError`."""
        table.require(self.names)
        found = np.empty((table.rows, len(self.names)))
        for place, name in enumerate(self.names):
            values = table.numbers(name)
            missing = np.isnan(values)
            if missing.any():
                fault = table.fault("the value is missing", name, int(np.argmax(missing)))
                fault.hint = (
                    "'mlkit impute' fills missing values or deletes their rows; --ignore leaves columns out"
                )
                raise fault
            found[:, place] = (values - self.means[place]) / self.spreads[place]
            table.forget(name)
        return found

    def original(self, points: Reals) -> Reals:
        """Return points in the units of the table."""
        found: Reals = points * self.spreads + self.means
        return found


def choose_columns(table: Table, left_out: Collection[str], *, scale: bool) -> tuple[Space, list[str]]:
    """Return the space of a table's number columns, and the names of the columns that hold words.

    left_out: labels, weights, names of rows. With `scale` every column gets mean 0 and spread 1; one that never
    changes keeps its spread.
    """
    if table.absent is None:
        table.require([*left_out])
    names = [name for name in table.names if name not in left_out]
    numeric = [name for name in names if table.is_numeric(name)]
    if not numeric:
        raise DataError("no column of numbers is left to cluster by", path=table.path)
    means, spreads = np.zeros(len(numeric)), np.ones(len(numeric))
    if scale:
        for place, name in enumerate(numeric):
            mean, spread = mean_and_spread(table.numbers(name))
            means[place], spreads[place] = mean, spread if spread > 0 else 1.0
    return Space(tuple(numeric), means, spreads), [name for name in names if name not in numeric]


def space_of(names: Sequence[str], means: Sequence[float], spreads: Sequence[float]) -> Space:
    """Return the space that a model was trained in."""
    return Space(tuple(names), np.array(means, np.float64), np.array(spreads, np.float64))


def unit_vectors(words: Sequence[str], matrix: NDArray[Any], path: PathLike) -> NDArray[np.float32]:
    """Return vectors at length 1, float32; one of length 0 raises `DataError` with its word."""
    lengths = np.sqrt((matrix.astype(np.float64) ** 2).sum(axis=1))
    if (lengths == 0).any():
        row = int(np.argmin(lengths))
        name = words[row] if len(words) else f"row {row + 1}"
        raise DataError(f"the vector of {name!r} is 0: it has no direction", path=path)
    return np.ascontiguousarray(matrix / lengths[:, None], np.float32)


def kind_of_input(path: str, kind: str = "auto") -> str:
    """Return "table" or "vectors": by `kind`, by the file's suffix, or by its first line."""
    if kind not in KINDS:
        raise UsageError(f"the kind of input is one of {', '.join(KINDS)}, not {kind!r}")
    if kind != "auto":
        return kind
    suffix = plain_suffix(path).lower()
    if suffix in TABLE_SUFFIXES:
        return "table"
    if suffix in VECTOR_SUFFIXES:
        return "vectors"
    if path == "-":
        return "table"  # a pipe can be looked at once only
    with open_input(path) as stream:
        line = stream.readline(1 << 16).rstrip(b"\r\n")
    fields = line.split(b" ")
    if b"\t" in line or b"," in line or len(fields) < 2:
        return "table"
    if len(fields) == 2:
        return "vectors" if all(field.isdigit() for field in fields) else "table"
    return "vectors" if all(map(_is_number, fields[1:])) and not _is_number(fields[0]) else "table"


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
