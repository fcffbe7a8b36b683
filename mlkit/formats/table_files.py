"""Plain tables: CSV, TSV, LibSVM and Parquet in, CSV, TSV and Parquet out. Polars does the parsing.

Every field of a text table is kept as text until a column is asked for as numbers or as categories, so that no
guess about types is made twice or lost. Missing are: empty, NA, NaN, nan, ?, null, NULL, and what the caller adds.
Ragged rows, duplicate names and empty tables raise `DataError` with the line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.formats.streams import (
    Errors,
    PathLike,
    display_name,
    is_standard,
    open_input,
    open_output,
)  # fmt: skip
from mlkit.formats.table import MISSING, Table, TableFormat
from mlkit.formats.table_columns import Growing, NumberPart, Part, TextPart, WordPart, join_parts
from mlkit.formats.table_csv import csv_blocks, fill, sniff_delimiter, whole_rows

if TYPE_CHECKING:
    import polars

__all__ = [
    "MISSING", "Table", "TableFormat", "format_rows", "join_rows", "read_blocks", "read_table", "sniff_delimiter",
    "write_table",
]  # fmt: skip

BLOCK = 1 << 22
_COMPACT_BLOCK = 1 << 21
_LIBSVM = re.compile(rb"\s*[-+0-9.eE]+(\s+qid:\d+)?(\s+\d+:[-+0-9.eEinfa]+)*\s*(#.*)?")
_LOOK = 20  # lines by which LibSVM is recognised
_LABEL = "label"


def read_table(
    path: PathLike, form: TableFormat = TableFormat(), *, as_text: Collection[str] | None = None
) -> Table:
    """Read a whole table; "-" is stdin, compressed files are decompressed. Raises `DataError`.

    With `as_text`, columns other than these are kept as numbers or codes, block by block: a third of the memory.
    """
    if as_text is not None and not is_standard(path):
        compact = _read_compact(path, form, as_text)
        if compact is not None:
            return compact
    return next(read_blocks(path, form, block=None))


def _read_compact(path: PathLike, form: TableFormat, as_text: Collection[str]) -> Table | None:
    """Read a table with its numbers as numbers and its categories as codes; None when a number turns out a word."""
    parts: dict[str, Part] = {}
    lines = Growing(np.uint32)
    first: Table | None = None
    for table in read_blocks(path, form, _COMPACT_BLOCK):
        if first is None:
            if table.absent is not None:
                return None  # LibSVM: blocks have different columns
            if any(dtype != "String" for dtype in map(str, table.frame.dtypes)):
                return table  # Parquet: one block, typed already
            first = table
            for place, name in enumerate(table.names, 1):
                text = name in as_text or str(place) in as_text
                parts[name] = TextPart() if text else NumberPart() if table.is_numeric(name) else WordPart()
        for name, part in parts.items():
            if not part.add(table, name):
                return None
            table.forget(name)
        found = table.lines
        if found is None:
            found = np.arange(table.first_line, table.first_line + table.rows)
        lines.extend(found.astype(np.uint32) if found[-1] < 1 << 32 else found)
    if first is None:
        return None
    return join_parts(first, parts, lines)


def read_blocks(
    path: PathLike, form: TableFormat = TableFormat(), block: int | None = BLOCK
) -> Iterator[Table]:
    """Yield a table in blocks of about `block` bytes of whole rows (Parquet: one block)."""
    name = display_name(path)
    with open_input(path) as stream:
        data = stream.read() if block is None else fill(stream, block)
        if not data.strip():
            raise DataError("the table is empty", path=name)
        kind = form.kind or _kind_of(data, path)
        if kind == "parquet":
            yield _read_parquet(data + stream.read(), name, form)
            return
        quotes = kind == "csv"
        blocks = iter([data]) if block is None else whole_rows(data, stream, block, quotes=quotes)
        yield from csv_blocks(blocks, name, form) if quotes else _libsvm_blocks(blocks, name, form)


def write_table(path: PathLike, table: Table, *, delimiter: str | None = None) -> None:
    """Write a table: Parquet for a name that ends in .parquet, else CSV (TSV for .tsv and .tab)."""
    from mlkit.formats.streams import plain_suffix

    suffix = plain_suffix(path)
    with open_output(path) as stream:
        if suffix == ".parquet":
            memory = io.BytesIO()
            table.frame.write_parquet(memory)
            stream.write(memory.getbuffer())
        else:
            separator = delimiter or ("\t" if suffix in (".tsv", ".tab") else ",")
            stream.write(table.frame.write_csv(separator=separator).encode())


def _kind_of(data: bytes, path: PathLike) -> str:
    if data.startswith(b"PAR1"):
        return "parquet"
    if str(path).endswith((".libsvm", ".svm", ".svmlight")):
        return "libsvm"
    lines = data[: 1 << 16].split(b"\n")
    if len(lines) > 1:
        lines.pop()  # it may have been cut
    head = [line for line in lines[:_LOOK] if line.split(b"#", 1)[0].strip()]
    pairs = any(b":" in line.split(b"#", 1)[0] for line in head)
    return "libsvm" if pairs and all(map(_LIBSVM.fullmatch, head)) else "csv"


def _libsvm_blocks(blocks: Iterator[bytes], path: str, form: TableFormat) -> Iterator[Table]:
    first = 1
    empty = True
    for data in blocks:
        table = _read_libsvm(data, path, first, form)
        first += data.count(b"\n")
        if table is not None:
            empty = False
            yield table
    if empty:
        raise DataError("the table is empty", path=path)


def _read_libsvm(data: bytes, path: str, first: int, form: TableFormat) -> Table | None:
    """Read `label index:value ...`; a column is named after its index in the file, so base 0 or 1 is all the same.

    Indices that are nowhere in these lines make no column: `Table.absent` stands for them.
    """
    import polars as pl

    labels: list[float] = []
    indices: list[int] = []
    values: list[float] = []
    rows: list[int] = []
    lines: list[int] = []
    queries: list[bytes] = []
    for number, line in enumerate(data.split(b"\n"), first):
        parts = line.split(b"#", 1)[0].split()
        if not parts:
            continue
        try:
            labels.append(float(parts[0]))
            query = b""
            before = len(indices)
            for part in parts[1:]:
                index, mark, value = part.partition(b":")
                if index == b"qid":
                    query = value
                    continue
                if not mark or int(index) < 0:
                    raise ValueError
                indices.append(int(index))
                values.append(float(value))
                rows.append(len(lines))
        except ValueError:
            raise DataError("not a LibSVM row: label index:value ...", path=path, line=number) from None
        here = indices[before:]
        if len(set(here)) < len(here):
            twice = next(index for place, index in enumerate(here) if index in here[:place])
            raise DataError(f"index {twice} stands twice", path=path, line=number)
        queries.append(query)
        lines.append(number)
    if not lines:
        return None
    used, places = np.unique(np.array(indices, np.int64), return_inverse=True)
    if len(used) * len(lines) > 1 << 30:
        raise DataError(
            f"a table of {len(used):,} columns and {len(lines):,} rows is too wide", path=path,
            hint="mlkit works on dense columns",
        )  # fmt: skip
    dense = np.zeros((len(used), len(lines)))
    dense[places, rows] = values
    label = np.array(labels)
    if (np.rint(label) == label).all() and np.abs(label).max() < 1 << 53:
        label = label.astype(np.int64)  # classes are called 0 and 1, not 0.0 and 1.0
    columns = {_LABEL: label, **{f"f{index}": dense[k] for k, index in enumerate(used)}}
    return Table(
        pl.DataFrame(columns), path, 1, np.array(lines), (*MISSING, *form.missing), absent=0.0,
        groups=np.array(queries) if any(queries) else None,
    )  # fmt: skip


def _read_parquet(data: bytes, path: str, form: TableFormat) -> Table:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"damaged Parquet file ({str(error).splitlines()[0]})", path=path) from None
    if not (frame.height or form.may_be_empty) or not frame.width:
        raise DataError("the table holds no rows", path=path)
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    if nested:
        what = "structs" if isinstance(frame.schema[nested[0]], pl.Struct) else "lists"
        raise DataError(f"column {nested[0]!r} holds {what}; only plain columns can be used", path=path)
    frame, kept = _decoded(frame, path, form.errors)
    if kept is not None:
        return Table(frame, path, 1, kept, (*MISSING, *form.missing))
    return Table(frame, path, 1, None, (*MISSING, *form.missing))


def _decoded(
    frame: polars.DataFrame, path: str, errors: Errors
) -> tuple[polars.DataFrame, NDArray[np.int64] | None]:
    """Return a frame with its columns of bytes as text, and the rows (from 1) that are left if some were not UTF-8."""
    import polars as pl

    bad = np.zeros(frame.height, np.bool_)
    for name in [name for name, dtype in frame.schema.items() if dtype == pl.Binary]:
        texts: list[str | None] = []
        for row, value in enumerate(frame[name].to_list()):
            try:
                texts.append(None if value is None else value.decode("utf-8"))
            except UnicodeDecodeError as error:
                if errors == "strict":
                    raise DataError(
                        f"row {row + 1}, column {name!r}: invalid UTF-8 at byte {error.start + 1}", path=path,
                        hint="--errors replace or skip goes on",
                    ) from None  # fmt: skip
                bad[row] = errors == "skip"
                texts.append(value.decode("utf-8", "replace"))
        frame = frame.with_columns(pl.Series(name, texts, dtype=pl.String))
    if not bad.any():
        return frame, None
    return frame.filter(pl.Series(~bad)), np.flatnonzero(~bad) + 1


def format_rows(columns: Mapping[str, Any], *, header: bool = True) -> bytes:
    """Return columns as CSV text; floats are written in their shortest form."""
    import polars as pl

    return (
        pl.DataFrame({name: pl.Series(name, values) for name, values in columns.items()})
        .write_csv(include_header=header)
        .encode()
    )


def join_rows(first: Table, second: Table, names: Sequence[str]) -> Table:
    """Return the rows of two tables under each other, columns `names` only."""
    import polars as pl

    frames = [table.frame.select(names) for table in (first, second)]
    if frames[0].schema != frames[1].schema:
        frames = [frame.cast(pl.String) for frame in frames]
    return Table(pl.concat(frames), first.path, first.first_line, None, first.missing, first.absent)
