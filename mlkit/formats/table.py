"""A table in memory: named columns, kept as text until they are asked for as numbers or categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import Errors
from mlkit.formats.table_values import days, days_of_text, is_date, is_number, is_time, truth, truths

if TYPE_CHECKING:
    import polars

MISSING = ("", "NA", "NaN", "nan", "?", "null", "NULL")
Numbers = NDArray[np.float64]
_LOOK = 64


def _is_word(text: str) -> bool:
    """Say whether a text is surely no number and no date: those have digits, or are infinite."""
    if any(map(str.isdigit, text)):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


@dataclass(frozen=True)
class TableFormat:
    """How a table is written down; None means: find out from the first lines."""

    kind: str | None = None  # csv, libsvm, parquet
    delimiter: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
    errors: Errors = "strict"
    may_be_empty: bool = False  # a header without rows is a table

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise UsageError(f"a delimiter is one character, not {self.delimiter!r}")


@dataclass
class Whole:
    """What was found out about a whole table and holds for parts of it: a fold must not judge by its own rows.

    words: columns that are not all numbers. classes: those of target columns (none: numbers). unseen: of columns that
    were looked up in a list of categories, how many rows are not in it, of how many.
    """

    words: set[str] = field(default_factory=set)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unseen: dict[str, tuple[int, int]] = field(default_factory=dict)


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
    groups: NDArray[Any] | None = None  # what keeps rows together besides columns (LibSVM: qid)
    whole: Whole = field(default_factory=Whole, repr=False, compare=False)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns, in the order of the file."""
        return list(self.frame.columns)

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.frame.height)

    @property
    def own_marks(self) -> dict[str, list[str]]:
        """Return the words for missing that were said (--na) as a setting of a model: it knows them in prediction."""
        marks = [mark for mark in self.missing if mark not in MISSING]
        return {"na": marks} if marks else {}

    def line(self, row: int) -> int:
        """Return the line of the file (from 1) on which a row begins."""
        return int(self.lines[row]) if self.lines is not None else self.first_line + row

    def fault(self, message: str, column: str, row: int) -> DataError:
        """Return the error for one field."""
        return DataError(f"column {column!r}: {message}", path=self.path, line=self.line(row))

    def require(self, names: Sequence[str]) -> None:
        """Raise `DataError` naming the columns that are not there."""
        there = set(self.frame.columns)
        missing = [name for name in names if name not in there]
        if missing and self.absent is None:
            raise DataError(
                f"missing column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}",
                path=self.path, hint=self._what_there_is(),
            )  # fmt: skip

    def _what_there_is(self) -> str:
        """Return the names of the columns, and what may be wrong with them."""
        shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        if self.names == [f"c{number}" for number in range(1, len(self.names) + 1)]:
            return f"the table has {shown}; if its first line names them, say --header"
        one = "; --delimiter says what separates columns" if len(self.names) == 1 else ""
        return f"the table has {shown}{one}"

    def text(self, name: str) -> polars.Series:
        """Return a column as text, null where it is missing."""
        import polars as pl

        series = self._column(name)
        if series.dtype == pl.String:
            series = series.str.strip_chars()
            return series.set(series.is_in(list(self.missing)), None)
        return series.cast(pl.String)

    def _column(self, name: str) -> polars.Series:
        """Return a column, codes of words as text."""
        import polars as pl

        series = self.frame[name]
        return series.cast(pl.String) if isinstance(series.dtype, (pl.Categorical, pl.Enum)) else series

    def settle(self, names: Iterable[str]) -> None:
        """Find out which columns hold words, for all parts that are taken from this table."""
        self.whole.words.update(name for name in names if not self.is_numeric(name))

    def is_numeric(self, name: str) -> bool:
        """Say whether every field of a column is a number or missing (and at least one is a number)."""
        import polars as pl

        if name in self.whole.words:
            return False
        series = self.frame[name]
        if series.dtype != pl.String:
            return bool(series.dtype.is_numeric() or series.dtype.is_temporal())
        if name not in self.numeric and self.rows > _LOOK:
            head = series.head(_LOOK)
            if any(_is_word(text) for text in head if text is not None and text.strip() not in self.missing):
                return False
            begin = Table(head.to_frame(), self.path, missing=self.missing)
            if begin.parsed(name)[1] is not None:
                return False  # a word, without a look at all rows
        values, first_bad = self.parsed(name)
        return first_bad is None and bool((~np.isnan(values)).any())

    def numbers(self, name: str) -> Numbers:
        """Return a column as float64, NaN where it is missing; a word or an infinity raises `DataError`.

        Truth values are 1 and 0.
        """
        if self.absent is not None and name not in self.frame.columns:
            return np.full(self.rows, self.absent)
        values, first_bad = self.parsed(name)
        if first_bad is not None:
            codes, words = self.coded_words(name)
            if (found := truths(words)) is not None:
                return np.array([*found, np.nan])[codes]
            raise self.fault(f"{self.frame[name][first_bad]!r} is not a number", name, first_bad)
        infinite = np.isinf(values)
        if infinite.any():
            raise self.fault("an infinite number", name, int(np.argmax(infinite)))
        return values

    def holds_dates(self, name: str) -> bool:
        """Say whether a column whose fields are numbers was written as dates, or times of day."""
        import polars as pl

        series = self.frame[name]
        if series.dtype != pl.String or name in self.whole.words:
            return bool(series.dtype.is_temporal())
        first = self.text(name).drop_nulls().head(1).to_list()
        return bool(first) and (is_date(first[0]) or is_time(first[0])) and self.is_numeric(name)

    def holds_times(self, name: str) -> bool:
        """Say whether a column that holds dates holds times of day only."""
        import polars as pl

        series = self.frame[name]
        if series.dtype != pl.String:
            return bool(series.dtype == pl.Time)
        return any(map(is_time, self.text(name).drop_nulls().head(1).to_list()))

    def parsed(self, name: str) -> tuple[Numbers, int | None]:
        """Return the numbers of a column (dates: days since 1970), and the first row that holds something else."""
        import polars as pl

        if name in self.numeric:
            return self.numeric[name], None
        series = self._column(name)
        if series.dtype != pl.String:
            values = days(series) if series.dtype.is_temporal() else series.cast(pl.Float64, strict=False)
        else:
            values = series.cast(pl.Float64, strict=False)
            if values.null_count() > series.null_count():  # missing marks, blanks, dates, or words
                text = self.text(name)
                values = text.cast(pl.Float64, strict=False)
                if values.null_count() > text.null_count() and (dates := days_of_text(text)) is not None:
                    values = dates
                if values.null_count() > text.null_count():
                    bad = values.is_null() & text.is_not_null()
                    return np.empty(0), int(bad.arg_true()[0])
        if values.null_count():
            values = values.fill_null(float("nan"))
        found = np.ascontiguousarray(values.to_numpy(), dtype=np.float64)
        self.numeric[name] = found
        return found, None

    def forget(self, name: str) -> None:
        """Drop the parsed form of a column: it is kept until it has been used."""
        self.numeric.pop(name, None)
        self.coded.pop(name, None)

    def coded_words(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """Return a column as places in a list of its distinct values, -1 for missing.

        Blanks and marks of missing values are looked at once per distinct value, not once per row.
        """
        import polars as pl

        if name in self.coded:
            return self.coded[name]
        series = self.frame[name]
        if not isinstance(series.dtype, (pl.String, pl.Categorical, pl.Enum)):
            series = self.text(name)
        some_null = series.null_count() > 0
        null = series.is_null().to_numpy() if some_null else np.zeros(len(series), np.bool_)
        if not isinstance(series.dtype, pl.Enum):
            series = series.cast(pl.Categorical)
        places = series.to_physical()
        physical = (places.fill_null(0) if some_null else places).to_numpy()
        first = np.full(int(physical.max(initial=0)) + 1, -1, np.int64)
        rows = np.flatnonzero(~null)
        first[physical[rows[::-1]]] = rows[::-1]
        used = np.flatnonzero(first >= 0)
        words = [word.strip() for word in series[first[used]].cast(pl.String).to_list()]
        names = [word for word in dict.fromkeys(words) if word not in self.missing]
        place_of = {word: place for place, word in enumerate(names)}
        if (values := truths(names)) is not None:  # TRUE is True: the first spelling stands for both
            spelling = dict(zip(reversed(values), reversed(names), strict=True))
            names = [name for name in names if name in spelling.values()]
            places_left = {value: names.index(word) for value, word in spelling.items()}
            place_of = {word: places_left[value] for word, value in zip(place_of, values, strict=True)}
        table = np.full(len(first), -1, np.int32)
        table[used] = [place_of.get(word, -1) for word in words]
        codes = table[physical]
        codes[null] = -1
        self.coded[name] = codes, names
        return self.coded[name]

    def counts(self, name: str) -> list[tuple[str, int]]:
        """Return the values of a column as text with their counts, most frequent first, then by name."""
        codes, names = self.coded_words(name)
        found = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
        return sorted(zip(names, found, strict=True), key=lambda pair: (-pair[1], pair[0]))

    def codes(self, name: str, categories: Sequence[str]) -> NDArray[np.int32]:
        """Return the place of every field in `categories`, -1 for missing and for what is not among them.

        A number is found however it is written: 1.0 is category 1 where no category is called 1.0. So are truth values:
        TRUE is category True, true or 1.
        """
        if self.absent is not None and name not in self.frame.columns:
            codes, names = np.zeros(self.rows, np.int32), [str(self.absent)]
        else:
            codes, names = self.coded_words(name)
        places = {category: place for place, category in enumerate(categories)}
        by_value = {float(name): place for name, place in reversed(places.items()) if is_number(name)}
        by_truth = {truth(name): place for name, place in reversed(places.items())}
        if None in by_truth or not truths([*categories, *names]):
            by_truth = {}

        def place_of(word: str) -> int:
            if word in places:
                return places[word]
            found = by_value.get(float(word), -1) if by_value and is_number(word) else -1
            return by_truth.get(truth(word), -1) if found < 0 else found

        table = np.array([*map(place_of, names), -1], np.int32)
        found: NDArray[np.int32] = table[codes]  # -1 takes the last
        self.whole.unseen[name] = (int(((found < 0) & (codes >= 0)).sum()), int((codes >= 0).sum()))
        return found

    def values(self, name: str) -> list[str]:
        """Return a column as it stands, empty where it is missing."""
        import polars as pl

        return list(self._column(name).cast(pl.String).fill_null("").to_list())

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Table:
        """Return some rows of the table (in the order of `rows`)."""
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        lines = self.lines if self.lines is not None else self.first_line + np.arange(self.rows)
        return Table(
            self.frame[rows], self.path, self.first_line, lines[rows], self.missing, self.absent, whole=self.whole
        )  # fmt: skip

    def columns_apart(self, names: Sequence[str], *, keep: bool = True) -> dict[str, Table]:
        """Return tables of one column each; unless `keep`, this one lets go of all its columns: memory falls by use."""
        place = (
            self.path, self.first_line, self.lines, self.missing, self.absent, self.numeric, self.coded, self.groups,
            self.whole,
        )  # fmt: skip
        parts = {name: Table(self.frame[name].to_frame(), *place) for name in names}
        if not keep:
            self.numeric.clear()
            self.coded.clear()
            for name in self.names:
                self.frame.drop_in_place(name)
        return parts

    def with_column(self, name: str, values: Any) -> Table:
        """Return the table with a column added or replaced; floats are written shortest."""
        return self.with_columns({name: values})

    def with_columns(self, columns: Mapping[str, Any]) -> Table:
        """Return the table with columns added or replaced."""
        import polars as pl

        frame = self.frame.with_columns([pl.Series(name, values) for name, values in columns.items()])
        return Table(frame, self.path, self.first_line, self.lines, self.missing, self.absent)
