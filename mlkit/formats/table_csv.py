"""CSV and TSV into tables: delimiters, headers, quotes (RFC 4180), and the line of every fault. Polars parses."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.formats.streams import PathLike, invalid_utf8
from mlkit.formats.table import MISSING, Table, TableFormat
from mlkit.formats.table_values import is_number

if TYPE_CHECKING:
    import polars

_SCAN = 1 << 20


def fill(stream: Any, size: int) -> bytes:
    """Read until `size` bytes are there or the stream ends (a pipe gives less than was asked for)."""
    parts = []
    while size > 0 and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def whole_rows(data: bytes, stream: Any, block: int, *, quotes: bool = True) -> Iterator[bytes]:
    """Yield blocks that end with a row; with `quotes` a quoted newline does not end one."""
    while data:
        following = fill(stream, block)
        if not following:
            yield data
            return
        cut = len(data)
        while cut > 0:
            cut = data.rfind(b"\n", 0, cut)
            if cut < 0 or not quotes or data.count(b'"', 0, cut) % 2 == 0:
                break
        if cut < 0:
            data += following
            continue
        yield data[: cut + 1]
        data = data[cut + 1 :] + following


def csv_blocks(blocks: Iterator[bytes], name: str, form: TableFormat) -> Iterator[Table]:
    """Yield the tables of blocks of whole rows; the first block has the header."""
    names: list[str] = []
    delimiter = b","
    line = 1
    any_rows = False
    for data in blocks:
        if not names:
            data = data.removeprefix(b"\xef\xbb\xbf")
            if blank := len(data) - len(data.lstrip(b"\r\n")):  # lines before the header
                line += data.count(b"\n", 0, blank)
                data = data[blank:]
            delimiter = (form.delimiter or sniff_delimiter(data, name)).encode()
            names, used = _header(data, delimiter, name, line, form)
            if used:
                line += data.count(b"\n", 0, used) or 1
                data = data[used:]
        lines_here = data.count(b"\n")
        table = _read_csv(data, names, delimiter, name, line, form)
        line += lines_here
        if table is not None and table.rows:
            any_rows = True
            yield table
    if not any_rows and form.may_be_empty and names:
        import polars as pl

        schema = {column: pl.String for column in names}
        yield Table(pl.DataFrame(schema=schema), name, line, None, (*MISSING, *form.missing))
    elif not any_rows:
        raise DataError("the table holds no rows", path=name)


def sniff_delimiter(data: bytes, path: PathLike) -> str:
    """Choose among comma, tab, semicolon and bar: the one that the first record has most of, outside of quotes."""
    if str(path).split(".gz")[0].endswith((".tsv", ".tab")):
        return "\t"
    first = re.sub(rb'"[^"]*"', b"", data[: 1 << 16]).split(b"\n", 1)[0]
    counts = {mark: first.count(mark.encode()) for mark in (",", "\t", ";", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ","


def _header(data: bytes, delimiter: bytes, path: str, line: int, form: TableFormat) -> tuple[list[str], int]:
    """Return the names of the columns and the length of the header in bytes (0 without one)."""
    import csv

    if not data.strip():
        raise DataError("the table is empty", path=path)
    end = _record_end(data, 0)
    try:
        text = data[:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_utf8(path, line, error.start + 1) from None
    if "\r" in text.rstrip("\r\n") and '"' not in text:
        raise DataError(
            "a carriage return alone does not end a line", path=path, line=line, hint="try: tr '\\r' '\\n' < FILE"
        )  # fmt: skip
    try:
        record = next(csv.reader([text], delimiter=delimiter.decode(), strict=True), [])
    except csv.Error as error:
        raise DataError(f"unreadable header ({error})", path=path, line=line) from None
    fields = [part.strip() for part in record]
    missing = {*MISSING, *form.missing}
    has_header = form.header
    if has_header is None:
        has_header = not any(part not in missing and is_number(part) for part in fields)
    if not has_header:
        return [f"c{number}" for number in range(1, len(fields) + 1)], 0
    seen: dict[str, int] = {}
    for number, part in enumerate(fields, 1):
        if part in seen:
            raise DataError(
                f"columns {seen[part]} and {number} are both named {part!r}", path=path, line=line
            )
        if not part:
            part = f"c{number}"
            while part in fields:
                part += "_"
            fields[number - 1] = part
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


def _read_csv(
    data: bytes, names: list[str], delimiter: bytes, path: str, line: int, form: TableFormat
) -> Table | None:
    import polars as pl

    if not data:
        return None
    marks = (*MISSING, *form.missing)
    lines, blanks = _check_records(data, delimiter, len(names), path, line)
    if blanks is not None:
        data = b"".join(data[start:stop] for start, stop in blanks)
        if not data:
            return None
    try:
        frame = _parse_csv(data, names, delimiter)
    except pl.exceptions.PolarsError as error:
        _check_utf8(data, path, lines, line, form)
        if form.errors == "skip":
            kept, places = _valid_records(data, line if lines is None else lines)
            return Table(_parse_csv(kept, names, delimiter), path, line, places, marks) if kept else None
        if form.errors == "replace":
            return _read_csv(data.decode("utf-8", "replace").encode(), names, delimiter, path, line, form)
        _check_quotes(data, delimiter, path, line)
        raise DataError(f"unreadable: {str(error).splitlines()[0]}", path=path, line=line) from None
    return Table(frame, path, line, lines, marks)


def _parse_csv(data: bytes, names: list[str], delimiter: bytes) -> polars.DataFrame:
    import polars as pl

    return pl.read_csv(
        io.BytesIO(data), has_header=False, separator=delimiter.decode(),
        schema={name: pl.String for name in names}, infer_schema=False,
    )  # fmt: skip


def _valid_records(data: bytes, lines: int | NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64]]:
    """Return the records that are valid UTF-8, and their lines; `lines` tells those of all, or the first."""
    kept, places = [], []
    start = row = 0
    while start < len(data):
        end = _record_end(data, start)
        with contextlib.suppress(UnicodeDecodeError):
            data[start:end].decode("utf-8")
            kept.append(data[start:end])
            places.append(lines + row if isinstance(lines, int) else int(lines[row]))
        start = end
        row += 1
    return b"".join(kept), np.array(places, np.int64)


def _check_utf8(data: bytes, path: str, lines: Any, line: int, form: TableFormat) -> None:
    if form.errors != "strict":
        return
    for number, record in enumerate(data.split(b"\n"), line):
        try:
            record.decode("utf-8")
        except UnicodeDecodeError as error:
            raise invalid_utf8(path, number, error.start + 1) from None


def _check_quotes(data: bytes, delimiter: bytes, path: str, line: int) -> None:
    """Raise `DataError` for the first quote inside a field that does not begin with one, or that goes on behind it."""
    mark = re.escape(delimiter)
    whole = rb'"(?:[^"]|"")*"'
    fields = re.compile(rb'(?:%s|[^"%s\n]*)(?=%s|\r?\n|\Z)' % (whole, mark, mark))
    place = 0
    while place < len(data):
        found = fields.match(data, place)
        if found is None:
            raise DataError(
                "a quote inside a field", path=path, line=line + data.count(b"\n", 0, place),
                hint='a field with quotes is written in quotes, each of its own doubled: "5"" pipe"',
            )  # fmt: skip
        place = found.end() + 1 + data.startswith(b"\r\n", found.end())


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
            record = data[position + int(starts[row]) : position + int(stops[row])]
            _check_quotes(record, delimiter, path, line + before + int(at[row]))
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
