"""Plain tables: CSV, TSV, LibSVM and Parquet in, CSV, TSV and Parquet out. Polars does the parsing.

Every field of a text table is kept as text until a column is asked for as numbers or as categories, so that no
guess about types is made twice or lost. Missing are: empty, NA, NaN, nan, ?, null, NULL, and what the caller adds.
Ragged rows, duplicate names and empty tables raise `DataError` with the line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import (
    Errors,
    PathLike,
    display_name,
    invalid_utf8,
    is_standard,
    open_input,
    open_output,
)  # fmt: skip

if TYPE_CHECKING:
    import polars

MISSING = ("", "NA", "NaN", "nan", "?", "null", "NULL")
BLOCK = 1 << 22
_SCAN = 1 << 20
_LIBSVM = re.compile(rb"^\s*[-+0-9.eE,]+(\s+qid:\d+)?(\s+\d+:[-+0-9.eEinfa]+)+\s*(#.*)?$")
_LABEL = "label"
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class TableFormat:
    """How a table is written down; None means: find out from the first lines."""

    kind: str | None = None  # csv, libsvm, parquet
    delimiter: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
    errors: Errors = "strict"

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise UsageError(f"a delimiter is one character, not {self.delimiter!r}")


@dataclass(frozen=True)
class Table:
    """A part of a table, or all of it: named columns of equal length, and where its rows stand in the file."""

    frame: polars.DataFrame
    path: str
    first_line: int = 2
    lines: NDArray[np.int64] | None = None  # per row, where rows and lines differ
    missing: tuple[str, ...] = MISSING
    absent: float | None = None  # what a column that is not there holds (LibSVM: 0)
    numeric: dict[str, Numbers] = field(default_factory=dict, repr=False, compare=False)
    coded: dict[str, tuple[NDArray[np.int32], list[str]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def names(self) -> list[str]:
        """Return the names of the columns, in the order of the file."""
        return list(self.frame.columns)

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.frame.height)

    def line(self, row: int) -> int:
        """Return the line of the file (from 1) on which a row begins."""
        return int(self.lines[row]) if self.lines is not None else self.first_line + row

    def fault(self, message: str, column: str, row: int) -> DataError:
        """Return the error for one field."""
        return DataError(f"column {column!r}: {message}", path=self.path, line=self.line(row))

    def require(self, names: Sequence[str]) -> None:
        """Raise `DataError` naming the columns that are not there."""
        missing = [name for name in names if name not in self.frame.columns]
        if missing and self.absent is None:
            raise DataError(
                f"missing column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}",
                path=self.path, hint=f"the table has {', '.join(self.names[:20])}",
            )  # fmt: skip

    def text(self, name: str) -> polars.Series:
        """Return a column as text, null where it is missing."""
        import polars as pl

        series = self.frame[name]
        if series.dtype == pl.String:
            series = series.str.strip_chars()
            return series.to_frame().select(
                pl.when(~pl.col(name).is_in(list(self.missing))).then(pl.col(name)).alias(name)
            )[name]
        return series.cast(pl.String)

    def is_numeric(self, name: str) -> bool:
        """Say whether every field of a column is a number or missing (and at least one is a number)."""
        import polars as pl

        series = self.frame[name]
        if series.dtype != pl.String:
            return bool(series.dtype.is_numeric() or series.dtype.is_temporal())
        values, first_bad = self._parse(name)
        return first_bad is None and bool((~np.isnan(values)).any())

    def numbers(self, name: str) -> Numbers:
        """Return a column as float64, NaN where it is missing; a word or an infinity raises `DataError`."""
        if name not in self.frame.columns and self.absent is not None:
            return np.full(self.rows, self.absent)
        values, first_bad = self._parse(name)
        if first_bad is not None:
            raise self.fault(f"{self.frame[name][first_bad]!r} is not a number", name, first_bad)
        infinite = np.isinf(values)
        if infinite.any():
            raise self.fault("an infinite number", name, int(np.argmax(infinite)))
        return values

    def _parse(self, name: str) -> tuple[Numbers, int | None]:
        """Return the numbers of a column, and the first row that holds something else."""
        import polars as pl

        if name in self.numeric:
            return self.numeric[name], None
        series = self.frame[name]
        if series.dtype != pl.String:
            if series.dtype.is_temporal():
                series = series.to_physical()
            values = series.cast(pl.Float64, strict=False)
        else:
            values = series.cast(pl.Float64, strict=False)
            if values.null_count() > series.null_count():  # missing marks, blanks, or words
                text = self.text(name)
                values = text.cast(pl.Float64, strict=False)
                if values.null_count() > text.null_count():
                    bad = values.is_null() & text.is_not_null()
                    return np.empty(0), int(bad.arg_true()[0])
        found = np.ascontiguousarray(values.fill_null(float("nan")).to_numpy(), dtype=np.float64)
        self.numeric[name] = found
        return found, None

    def forget(self, name: str) -> None:
        """Drop the parsed form of a column: it is kept until it has been used."""
        self.numeric.pop(name, None)
        self.coded.pop(name, None)

    def _coded(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """Return a column as places in a list of its distinct values, -1 for missing.

        Blanks and marks of missing values are looked at once per distinct value, not once per row.
        """
        import polars as pl

        if name in self.coded:
            return self.coded[name]
        series = self.frame[name]
        if series.dtype not in (pl.String, pl.Categorical):
            series = series.cast(pl.String)
        null = series.is_null().to_numpy()
        physical = series.cast(pl.Categorical).to_physical().cast(pl.Int64).fill_null(0).to_numpy()
        first = np.full(int(physical.max(initial=0)) + 1, -1, np.int64)
        rows = np.flatnonzero(~null)
        first[physical[rows[::-1]]] = rows[::-1]
        used = np.flatnonzero(first >= 0)
        words = [word.strip() for word in series[first[used]].cast(pl.String).to_list()]
        names = [word for word in dict.fromkeys(words) if word not in self.missing]
        place_of = {word: place for place, word in enumerate(names)}
        table = np.full(len(first), -1, np.int32)
        table[used] = [place_of.get(word, -1) for word in words]
        codes = table[physical]
        codes[null] = -1
        self.coded[name] = codes, names
        return self.coded[name]

    def counts(self, name: str) -> list[tuple[str, int]]:
        """Return the values of a column as text with their counts, most frequent first, then by name."""
        codes, names = self._coded(name)
        found = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
        return sorted(zip(names, found, strict=True), key=lambda pair: (-pair[1], pair[0]))

    def codes(self, name: str, categories: Sequence[str]) -> NDArray[np.int32]:
        """Return the place of every field in `categories`, -1 for missing and for what is not among them."""
        if name not in self.frame.columns and self.absent is not None:
            return np.full(self.rows, -1, np.int32)
        codes, names = self._coded(name)
        places = {category: place for place, category in enumerate(categories)}
        table = np.array([*(places.get(word, -1) for word in names), -1], np.int32)
        found: NDArray[np.int32] = table[codes]  # -1 takes the last
        return found

    def values(self, name: str) -> list[str]:
        """Return a column as it stands, empty where it is missing."""
        import polars as pl

        return list(self.frame[name].cast(pl.String).fill_null("").to_list())

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Table:
        """Return some rows of the table (in the order of `rows`)."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        lines = self.lines if self.lines is not None else self.first_line + np.arange(self.rows)
        return Table(self.frame[rows], self.path, self.first_line, lines[rows], self.missing, self.absent)

    def with_column(self, name: str, values: Any) -> Table:
        """Return the table with a column added or replaced; floats are written shortest."""
        import polars as pl

        frame = self.frame.with_columns(pl.Series(name, values))
        return Table(frame, self.path, self.first_line, self.lines, self.missing, self.absent)


def read_table(
    path: PathLike, form: TableFormat = TableFormat(), *, as_text: Collection[str] | None = None
) -> Table:
    """Read a whole table; "-" is stdin, compressed files are decompressed. Raises `DataError`.

    With `as_text`, columns of numbers other than these are kept as numbers, block by block: half the memory.
    """
    if as_text is not None and not is_standard(path):
        compact = _read_compact(path, form, as_text)
        if compact is not None:
            return compact
    return next(read_blocks(path, form, block=None))


def _read_compact(path: PathLike, form: TableFormat, as_text: Collection[str]) -> Table | None:
    """Read a table with its numbers as numbers; None when a column of numbers turns out to hold words."""
    import polars as pl

    parts: list[Table] = []
    numeric: list[str] | None = None
    for table in read_blocks(path, form):
        if numeric is None:
            numeric = [
                name for place, name in enumerate(table.names, 1)
                if name not in as_text and str(place) not in as_text and table.is_numeric(name)
            ]  # fmt: skip
        typed = []
        for name in numeric:
            values, fault = table._parse(name)
            if fault is not None:
                return None
            typed.append(pl.Series(name, values))
            table.forget(name)
        lines = table.lines
        if lines is None:
            lines = np.arange(table.first_line, table.first_line + table.rows)
        parts.append(
            Table(table.frame.with_columns(typed), table.path, 0, lines, table.missing, table.absent)
        )
    if len(parts) == 1:
        return parts[0]
    frame = pl.concat([part.frame for part in parts])
    lines = np.concatenate([part.lines for part in parts if part.lines is not None])
    return Table(frame, parts[0].path, 0, lines, parts[0].missing, parts[0].absent)


def read_blocks(
    path: PathLike, form: TableFormat = TableFormat(), block: int | None = BLOCK
) -> Iterator[Table]:
    """Yield a table in blocks of about `block` bytes of whole rows (LibSVM and Parquet: one block)."""
    name = display_name(path)
    with open_input(path) as stream:
        data = stream.read() if block is None else _fill(stream, block)
        if not data.strip():
            raise DataError("the table is empty", path=name)
        kind = form.kind or _kind_of(data, path)
        if kind != "csv":
            data += stream.read()
            yield _read_parquet(data, name, form) if kind == "parquet" else _read_libsvm(data, name, form)
            return
        if block is None:
            yield from _csv_blocks(iter([data]), name, form)
        else:
            yield from _csv_blocks(_whole_rows(data, stream, block), name, form)


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


def _fill(stream: Any, size: int) -> bytes:
    """Read until `size` bytes are there or the stream ends (a pipe gives less than was asked for)."""
    parts = []
    while size > 0 and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def _kind_of(data: bytes, path: PathLike) -> str:
    if data.startswith(b"PAR1"):
        return "parquet"
    if str(path).endswith((".libsvm", ".svm", ".svmlight")):
        return "libsvm"
    head = data[: 1 << 16].split(b"\n", 2)[:2]
    return (
        "libsvm" if head[0].strip() and all(_LIBSVM.match(line) for line in head if line.strip()) else "csv"
    )


# CSV


def _whole_rows(data: bytes, stream: Any, block: int) -> Iterator[bytes]:
    """Yield blocks that end with a row; a quoted newline does not end one."""
    while data:
        following = _fill(stream, block)
        if not following:
            yield data
            return
        cut = len(data)
        while cut > 0:
            cut = data.rfind(b"\n", 0, cut)
            if cut < 0 or data.count(b'"', 0, cut) % 2 == 0:
                break
        if cut < 0:
            data += following
            continue
        yield data[: cut + 1]
        data = data[cut + 1 :] + following


def _csv_blocks(blocks: Iterator[bytes], name: str, form: TableFormat) -> Iterator[Table]:
    names: list[str] = []
    delimiter = b","
    line = 1
    any_rows = False
    for data in blocks:
        if line == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
            delimiter = (form.delimiter or sniff_delimiter(data, name)).encode()
            names, used = _header(data, delimiter, name, form)
            if used:
                line += data.count(b"\n", 0, used) or 1
                data = data[used:]
        lines_here = data.count(b"\n")
        table = _read_csv(data, names, delimiter, name, line, form)
        line += lines_here
        if table is not None and table.rows:
            any_rows = True
            yield table
    if not any_rows:
        raise DataError("the table holds no rows", path=name)


def sniff_delimiter(data: bytes, path: PathLike) -> str:
    """Choose among comma, tab, semicolon and bar: the one that the first record has most of, outside of quotes."""
    if str(path).split(".gz")[0].endswith((".tsv", ".tab")):
        return "\t"
    first = re.sub(rb'"[^"]*"', b"", data[: 1 << 16]).split(b"\n", 1)[0]
    counts = {mark: first.count(mark.encode()) for mark in (",", "\t", ";", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ","


def _header(data: bytes, delimiter: bytes, path: str, form: TableFormat) -> tuple[list[str], int]:
    """Return the names of the columns and the length of the header in bytes (0 without one)."""
    import csv

    if not data.strip():
        raise DataError("the table is empty", path=path)
    end = _record_end(data, 0)
    try:
        text = data[:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_utf8(path, 1, error.start + 1) from None
    try:
        record = next(csv.reader([text], delimiter=delimiter.decode(), strict=True), [])
    except csv.Error as error:
        raise DataError(f"unreadable header ({error})", path=path, line=1) from None
    fields = [part.strip() for part in record]
    missing = {*MISSING, *form.missing}
    has_header = form.header
    if has_header is None:
        has_header = not any(part not in missing and _is_number(part) for part in fields)
    if not has_header:
        return [f"c{number}" for number in range(1, len(fields) + 1)], 0
    seen: dict[str, int] = {}
    for number, part in enumerate(fields, 1):
        if part in seen:
            raise DataError(f"columns {seen[part]} and {number} are both named {part!r}", path=path, line=1)
        if not part:
            fields[number - 1] = part = f"c{number}"
        seen[part] = number
    return fields, end


def _record_end(data: bytes, start: int) -> int:
    """Return where the record that begins at `start` ends (after its newline)."""
    end = start
    while True:
        end = data.find(b"\n", end) + 1
        if end == 0:
            return len(data)
        if data.count(b'"', start, end) % 2 == 0:
            return end


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_csv(
    data: bytes, names: list[str], delimiter: bytes, path: str, line: int, form: TableFormat
) -> Table | None:
    import polars as pl

    if not data:
        return None
    lines, blanks = _check_records(data, delimiter, len(names), path, line)
    if blanks is not None:
        data = b"".join(data[start:stop] for start, stop in blanks)
        if not data:
            return None
    try:
        frame = _parse_csv(data, names, delimiter)
    except pl.exceptions.PolarsError as error:
        _check_utf8(data, path, lines, line, form)
        if form.errors != "strict":
            return _read_csv(data.decode("utf-8", "replace").encode(), names, delimiter, path, line, form)
        raise DataError(f"unreadable: {str(error).splitlines()[0]}", path=path, line=line) from None
    return Table(frame, path, line, lines, (*MISSING, *form.missing))


def _parse_csv(data: bytes, names: list[str], delimiter: bytes) -> polars.DataFrame:
    import polars as pl

    return pl.read_csv(
        io.BytesIO(data), has_header=False, separator=delimiter.decode(),
        schema={name: pl.String for name in names}, infer_schema=False,
    )  # fmt: skip


def _check_utf8(data: bytes, path: str, lines: Any, line: int, form: TableFormat) -> None:
    if form.errors != "strict":
        return
    for number, record in enumerate(data.split(b"\n"), line):
        try:
            record.decode("utf-8")
        except UnicodeDecodeError as error:
            raise invalid_utf8(path, number, error.start + 1) from None


def _check_records(
    data: bytes, delimiter: bytes, expected: int, path: str, line: int
) -> tuple[NDArray[np.int64] | None, list[tuple[int, int]] | None]:
    """Raise `DataError` for the first record that has not the expected number of fields.

    Returns the line of each record where records and lines differ, else None; and the spans of the
    records that are not blank if some are, else None.
    """
    quoted = b'"' in data
    mark = delimiter[0]
    position = 0
    before = 0  # newlines so far
    spans: list[tuple[int, int]] = []
    numbers: list[NDArray[np.int64]] = []
    irregular = False
    blank_lines = False
    while position < len(data):
        end = position + _SCAN
        end = len(data) if end >= len(data) else data.rfind(b"\n", position, end) + 1
        if end <= position or (quoted and data.count(b'"', position, end) % 2):
            end = _record_end(data, position) if end <= position else _balanced(data, position, end)
        codes = np.frombuffer(data, np.uint8, end - position, position)
        newlines = codes == 10
        marks = codes == mark
        if quoted:
            outside = (np.cumsum(codes == 34, dtype=np.uint8) & 1) == 0
            all_newlines = np.cumsum(newlines)
            newlines &= outside
            marks &= outside
        stops = np.flatnonzero(newlines) + 1
        if not len(stops) or stops[-1] != len(codes):
            if quoted and not outside[-1]:
                raise DataError("a quote is not closed", path=path, line=line + before)
            stops = np.append(stops, len(codes))
        starts = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
        fields = np.add.reduceat(marks.view(np.int8), starts, dtype=np.int32) + 1
        lengths = stops - starts
        blank = (lengths == 1) | ((lengths == 2) & (codes[starts] == 13)) if expected > 1 else lengths < 0
        if quoted and len(starts) != all_newlines[-1]:
            irregular = True
            at = np.concatenate([np.zeros(1, np.int64), all_newlines[starts[1:] - 1]])
        else:
            at = np.arange(len(starts))
        wrong = (fields != expected) & ~blank
        if wrong.any():
            row = int(np.argmax(wrong))
            noun = "field" if fields[row] == 1 else "fields"
            raise DataError(
                f"{fields[row]} {noun}, expected {expected}", path=path, line=line + before + int(at[row]),
            )  # fmt: skip
        if blank.any() and not blank_lines:
            blank_lines = irregular = True
        numbers.append(line + before + at[~blank])
        if blank.any():
            kept = np.flatnonzero(~blank)
            spans += [(position + int(starts[row]), position + int(stops[row])) for row in kept]
        else:
            spans.append((position, end))
        before += int(all_newlines[-1]) if quoted else int(newlines.sum())
        position = end
    lines = np.concatenate(numbers) if irregular and numbers else None
    return lines, spans if blank_lines else None


def _balanced(data: bytes, start: int, end: int) -> int:
    """Return the end of the record that `end` cuts in two."""
    while end < len(data):
        following = data.find(b"\n", end) + 1
        end = following or len(data)
        if data.count(b'"', start, end) % 2 == 0:
            break
    return end


# LibSVM and Parquet


def _read_libsvm(data: bytes, path: str, form: TableFormat) -> Table:
    """Read `label index:value ...`; a column is named after its index in the file, so base 0 or 1 is all the same."""
    import polars as pl

    labels: list[float] = []
    indices: list[int] = []
    values: list[float] = []
    rows: list[int] = []
    lines: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        parts = line.split(b"#", 1)[0].split()
        if not parts:
            continue
        try:
            labels.append(float(parts[0]))
            for part in parts[1:]:
                index, mark, value = part.partition(b":")
                if index == b"qid":
                    continue
                if not mark or int(index) < 0:
                    raise ValueError
                indices.append(int(index))
                values.append(float(value))
                rows.append(len(lines))
        except ValueError:
            raise DataError("not a LibSVM row: label index:value ...", path=path, line=number) from None
        lines.append(number)
    if not lines:
        raise DataError("the table is empty", path=path)
    first, last = (min(indices), max(indices)) if indices else (1, 0)
    if (last - first + 1) * len(lines) > 1 << 30:
        raise DataError(
            f"index {last}: a table of {last - first + 1:,} columns is too wide", path=path,
            hint="mlkit trains on dense columns",
        )  # fmt: skip
    dense = np.zeros((last - first + 1, len(lines)))
    dense[np.array(indices, np.int64) - first, rows] = values
    columns = {_LABEL: np.array(labels), **{f"f{first + k}": dense[k] for k in range(len(dense))}}
    return Table(
        pl.DataFrame(columns), path, 1, np.array(lines), (*MISSING, *form.missing), absent=0.0
    )  # fmt: skip


def _read_parquet(data: bytes, path: str, form: TableFormat) -> Table:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"damaged Parquet file ({str(error).splitlines()[0]})", path=path) from None
    if not frame.height or not frame.width:
        raise DataError("the table holds no rows", path=path)
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    if nested:
        raise DataError(f"column {nested[0]!r} holds lists; only plain columns can be used", path=path)
    return Table(frame, path, 1, None, (*MISSING, *form.missing))


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
