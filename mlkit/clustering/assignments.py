"""Files of assignments: a table with its clusters beside it, or ``word<TAB>cluster<TAB>distance``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.clustering.inputs import Reals, unit_vectors
from mlkit.clustering.kmeans import assign
from mlkit.clustering.model import KMeansModel
from mlkit.clustering.rows import Labels, Rows
from mlkit.errors import DataError
from mlkit.formats.streams import Errors, PathLike, plain_suffix
from mlkit.formats.table_files import Table, TableFormat, read_blocks
from mlkit.formats.vectors import load_vectors

_LINES = 1 << 16


def separator_of(form: TableFormat, *paths: PathLike) -> str:
    """Return what separates columns of a written table: as it was said, a tab for .tsv and .tab, else a comma."""
    if form.delimiter is not None:
        return form.delimiter
    return "\t" if any(plain_suffix(path) in (".tsv", ".tab") for path in paths) else ","


def with_columns(table: Table, columns: Mapping[str, Any], separator: str, *, header: bool) -> bytes:
    """Return a table and more columns as text; a column that is there already raises `DataError`."""
    for name, values in columns.items():
        if name in table.names:
            raise DataError(f"the table has a column {name!r} already", path=table.path)
        table = table.with_column(name, values)
    return table.frame.write_csv(separator=separator, include_header=header).encode()


def table_blocks(
    path: str, form: TableFormat, separator: str, columns_of: Callable[[Table], Mapping[str, Any]]
) -> Iterator[bytes]:
    """Yield a table with more columns, block by block; a row's values do not depend on the rows beside it."""
    header = True
    for table in read_blocks(path, form):
        yield with_columns(table, columns_of(table), separator, header=header)
        header = False


def vector_lines(words: Sequence[str], labels: Labels, distances: Reals) -> Iterator[bytes]:
    """Yield lines ``word<TAB>cluster<TAB>distance`` under a header."""
    yield b"word\tcluster\tdistance\n"
    for start in range(0, len(words), _LINES):
        rows = zip(
            words[start : start + _LINES], labels[start : start + _LINES].tolist(),
            distances[start : start + _LINES].tolist(), strict=True,
        )  # fmt: skip
        yield "".join(f"{word}\t{label}\t{distance:.6g}\n" for word, label, distance in rows).encode()


def shown_distances(squared: Reals, *, cosine: bool) -> Reals:
    """Return distances as they are shown: 1 - cosine of unit vectors, else Euclidean."""
    found: Reals = squared / 2.0 if cosine else np.sqrt(squared)
    return found


def assigned(
    model: KMeansModel, path: str, form: TableFormat, separator: str, *, distance: bool = False, threads: int = 1,
    errors: Errors = "strict",
) -> Iterator[bytes]:  # fmt: skip
    """Yield what `mlkit kmeans assign` writes: clusters of the rows of a table, or of words."""
    if model.space is None:
        words, points = vector_points(path, model.cosine, errors)
        model.require_dimension(points.shape[1], path)
        labels, squared = assign(Rows(points, threads=threads), model.centres)
        yield from vector_lines(words, labels, shown_distances(squared, cosine=model.cosine))
        return

    def columns_of(table: Table) -> dict[str, Any]:
        labels, squared = assign(Rows(points_of(model, table), threads=threads), model.centres)
        far = {"distance": shown_distances(squared, cosine=model.cosine)} if distance else {}
        return {"cluster": labels, **far}

    yield from table_blocks(path, form, separator, columns_of)


def points_of(model: KMeansModel, table: Table) -> Reals:
    """Return the rows of a table in the space of a model."""
    assert model.space is not None
    points = model.space.points(table)
    return unit_vectors([], points, table.path).astype(np.float64) if model.cosine else points


def vector_points(
    path: str, cosine: bool, errors: Errors = "strict"
) -> tuple[list[str], NDArray[np.float32]]:
    """Return words and points of a vector file: at length 1 with `cosine`, else as they are."""
    words, matrix = load_vectors(path, errors=errors)
    if not len(words):
        raise DataError("there are no vectors", path=path)
    if not np.isfinite(matrix).all():
        row = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise DataError(f"the vector of {words[row]!r} holds a value that is no finite number", path=path)
    points = unit_vectors(words, matrix, path) if cosine else np.ascontiguousarray(matrix, np.float32)
    return list(words), points
