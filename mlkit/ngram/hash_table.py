"""Hash tables of n-grams, built in groups of hashes that fit the cache (and, if need be, wait on disk)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.ngram import kernels_count, kernels_hash_table
from mlkit.ngram.spill import Parts, Shelves
from mlkit.threads import map_chunks

Grams = npt.NDArray[np.int32]
Singles = npt.NDArray[np.float32]
Rows = npt.NDArray[np.uint64]
Grouped = tuple[Rows, npt.NDArray[np.int64]]
ROOM = 1.25
GROUP = 1 << 16
CHUNK = 1 << 18


def pack_values(first: Singles, second: Singles) -> npt.NDArray[np.uint64]:
    """Put two float32 arrays into one uint64 array; an empty second one is zeros."""
    both = np.zeros((len(first), 2), np.float32)
    both[:, 0] = first
    if len(second):
        both[:, 1] = second
    return both.view(np.uint64).reshape(-1)


def unpack_values(values: npt.NDArray[np.uint64]) -> tuple[Singles, Singles]:
    """Undo `pack_values`."""
    both = values.view(np.float32).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def hashes_of(grams: Grams) -> npt.NDArray[np.uint64]:
    """Return the hashes of n-grams in reading order."""
    hashes = np.empty(len(grams), np.uint64)
    with np.errstate(over="ignore"):
        kernels_hash_table.hash_grams(np.ascontiguousarray(grams), hashes)
    return hashes


def group_by_hash(grams: Grams, values: npt.NDArray[np.uint64], size: int) -> Grouped:
    """Hash n-grams of an order with `size` n-grams and bring them together by group, as `TableBuilder` wants them."""
    bits = group_bits(size)
    hashes = hashes_of(grams)
    offsets = np.zeros((1 << bits) + 1, np.int64)
    kernels_hash_table.count_groups(hashes, 64 - bits, offsets[1:])
    np.cumsum(offsets, out=offsets)
    rows = np.empty((len(hashes), 2), np.uint64)
    kernels_hash_table.scatter_groups(hashes, values, 64 - bits, offsets[:-1].copy(), rows)
    return rows, offsets


def group_bits(size: int) -> int:
    """Return how many high bits of a hash name its group in an order with `size` n-grams."""
    return max((size // GROUP).bit_length(), 1)


class TableBuilder:
    """Collect the n-grams of one order (`size` of them) and give out the rows of their table."""

    def __init__(self, size: int, shelves: Shelves | None = None) -> None:
        self.size = int(size * ROOM) + 4
        self.groups = 1 << group_bits(size)
        self._parts = Parts(shelves or Shelves(), [np.empty((0, 2), np.uint64)])

    def add(self, grouped: Grouped) -> None:
        """Take grouped n-grams."""
        self._parts.add((grouped[0],), grouped[1])

    def rows(self, threads: int = 1) -> Iterator[Rows]:
        """Yield the table in pieces. Raises `DataError` for an n-gram that stands twice."""
        following, first = 0, 0

        def work(group: int) -> tuple[Rows, npt.NDArray[np.uint32]]:
            rows = self._parts.read(group)[0][0]
            keys = np.ascontiguousarray(rows[:, :1])
            order, spare = np.empty(len(rows), np.uint32), np.empty(len(rows), np.uint32)
            kernels_count.sort_rows(keys, 64, order, spare)
            return rows, order

        for group, (rows, order) in enumerate(map_chunks(work, range(self.groups), threads)):
            last = group == self.groups - 1
            stop = self.size if last else int(((group + 1) << 32) // self.groups * self.size >> 32)
            # runs of occupied rows are short: a little more than the range, and all of it if that is not
            # enough
            extra = 256
            while True:
                out = np.zeros((max(stop, following) - first + extra, 2), np.uint64)
                with np.errstate(over="ignore"):
                    end = int(
                        kernels_hash_table.place_rows(rows, order, self.size, first, following, stop, out)
                    )
                if end != -2:
                    break
                extra = 2 * extra + len(rows)
            if end == -1:
                raise DataError("an n-gram stands twice in the model")
            following = end
            yield out[: following - first]
            first = following
        self._parts.close()
        yield np.zeros((1, 2), np.uint64)


class Tables:
    """The tables of all orders in one array, as the kernels want them; those of 1-grams are empty."""

    def __init__(self, table: Rows, offsets: Any, sizes: Any) -> None:
        self.table = table
        self.values = table.view(np.float32)
        self.offsets = np.asarray(offsets, np.int64)
        self.sizes = np.asarray(sizes, np.int64)

    @classmethod
    def build(cls, levels: list[tuple[Grams, npt.NDArray[np.uint64]]], threads: int = 1) -> Tables:
        """Build the tables of (n-grams, values) of the orders from 2 on."""
        # the rows at the end of a table that are not ideal places are few; what is not touched takes no memory
        table = np.empty((sum(int(len(grams) * (ROOM + 1)) + 8 for grams, _ in levels) + 1, 2), np.uint64)
        offsets, sizes, at = [0], [0], 0
        for grams, values in levels:
            builder = TableBuilder(len(grams))

            def group(start: int, grams: Any = grams, values: Any = values) -> Grouped:
                piece = slice(start, start + CHUNK)
                return group_by_hash(grams[piece], values[piece], len(grams))

            for grouped in map_chunks(group, range(0, len(grams), CHUNK), threads):
                builder.add(grouped)
            offsets.append(at)
            sizes.append(builder.size)
            for rows in builder.rows(threads):
                table[at : at + len(rows)] = rows
                at += len(rows)
        return cls(table[: max(at, 1)], [*offsets, at], sizes)

    def look_up(self, grams: Grams) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
        """Return the values of n-grams (of 2 words or more) and whether they are there."""
        level = grams.shape[1] - 1
        values, found = np.zeros(len(grams), np.uint64), np.zeros(len(grams), np.bool_)
        if level < len(self.sizes):
            with np.errstate(over="ignore"):
                kernels_hash_table.look_up_grams(
                    np.ascontiguousarray(grams),
                    self.offsets[level],
                    self.sizes[level],
                    self.table,
                    values,
                    found,
                )
        return values, found
