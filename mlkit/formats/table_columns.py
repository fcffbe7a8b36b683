"""Columns of a table, gathered block by block in the least space: numbers as floats, words as codes."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlkit.formats.table import Table

if TYPE_CHECKING:
    import polars


# polars would keep what it has freed for ten seconds, longer than most tables take to be read
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")


def release_memory() -> None:
    """Give back to the system what the C library keeps of freed blocks (glibc; elsewhere nothing happens)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Part(Protocol):
    """One column while its blocks are read."""

    def add(self, table: Table, name: str) -> bool:
        """Take the column of the next block; False where it is not of this kind after all."""
        ...

    def series(self, name: str) -> polars.Series:
        """Return the whole column and let go of its blocks."""
        ...


class Growing:
    """An array that grows by halves: many small ones would leave the heap in pieces."""

    def __init__(self, dtype: Any) -> None:
        self.array = np.empty(1 << 16, dtype)
        self.size = 0

    def extend(self, values: NDArray[Any]) -> None:
        """Append values; their type may widen the array's."""
        end = self.size + len(values)
        dtype = np.promote_types(self.array.dtype, values.dtype)
        if end > len(self.array) or dtype != self.array.dtype:
            wider = np.empty(max(len(self.array), end + end // 2), dtype)
            wider[: self.size] = self.array[: self.size]
            self.array = wider
        self.array[self.size : end] = values
        self.size = end

    def take(self) -> NDArray[Any]:
        """Return the values and let go of them."""
        found = self.array[: self.size]
        self.array = self.array[:0]
        return found


class TextPart:
    """A column that is kept as it stands."""

    def __init__(self) -> None:
        self.blocks: list[polars.Series] = []

    def add(self, table: Table, name: str) -> bool:
        self.blocks.append(table.frame[name])
        return True

    def series(self, name: str) -> polars.Series:
        import polars as pl

        return pl.concat(self.blocks)


class NumberPart:
    """A column of numbers: float32 for whole numbers below 2**24, which lose nothing by it, else float64."""

    def __init__(self) -> None:
        self.values = Growing(np.float32)

    def add(self, table: Table, name: str) -> bool:
        values, fault = table.parsed(name)
        if fault is not None:
            return False
        whole = (np.isnan(values) | ((np.rint(values) == values) & (np.abs(values) < 1 << 24))).all()
        self.values.extend(values.astype(np.float32) if whole else values)
        return True

    def series(self, name: str) -> polars.Series:
        import polars as pl

        return pl.Series(name, self.values.take())


class WordPart:
    """A column of words: the place of each in a list of the distinct ones, -1 where it is missing."""

    def __init__(self) -> None:
        self.codes = Growing(np.int32)
        self.places: dict[str, int] = {}

    def add(self, table: Table, name: str) -> bool:
        codes, words = table.coded_words(name)
        places = [self.places.setdefault(word, len(self.places)) for word in words]
        self.codes.extend(np.array([*places, -1], np.int32)[codes])
        return True

    def series(self, name: str) -> polars.Series:
        import polars as pl

        codes = self.codes.take()
        words = list(self.places)
        numbers = pl.Series(name, words, dtype=pl.String).cast(pl.Float64, strict=False)
        if words and not numbers.null_count():  # the first block held nothing but gaps
            return pl.Series(name, np.append(numbers.to_numpy(), np.nan)[codes])
        places = pl.Series(codes)
        return pl.Series(name, words, dtype=pl.Enum(words)).gather(places.set(places < 0, None))


def join_parts(first: Table, parts: dict[str, Part], lines: Growing) -> Table:
    """Return the table of all blocks; `first` tells what they have in common."""
    import polars as pl

    frame = pl.DataFrame([part.series(name) for name, part in parts.items()])
    release_memory()
    return Table(frame, first.path, 0, lines.take(), first.missing, first.absent)
