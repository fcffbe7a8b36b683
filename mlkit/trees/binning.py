"""Columns of a table to bins: thresholds of numbers, places of categories, 255 for what is missing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table
from mlkit.tables.target import words_among_numbers
from mlkit.threads import map_chunks
from mlkit.trees import kernels_bins

MISSING = 255
MOST_CATEGORIES = 254
SAMPLE = 200_000
_ONE_VALUE, _ALL_MISSING = "one value", "nothing but missing values"
Bins = NDArray[np.uint8]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """One column: its thresholds (value <= edges[b] is in bin b or below), or its categories by place."""

    name: str
    categorical: bool
    edges: Numbers = field(default_factory=lambda: np.empty(0))
    categories: tuple[str, ...] = ()
    missing: bool = False  # seen in training

    @property
    def bins(self) -> int:
        """Return the number of bins without that of missing values."""
        return len(self.categories) if self.categorical else len(self.edges) + 1

    def encode(self, table: Table, out: Bins, column: int) -> None:
        """Write to out[:, column] the bin of every field, 255 where it is missing or unknown; the table forgets it."""
        if self.categorical:
            out[:, column] = table.codes(self.name, self.categories)  # -1 becomes 255
        else:
            edges = np.full(255, np.inf)
            edges[: len(self.edges)] = self.edges
            kernels_bins.bin_numbers(table.numbers(self.name), edges, out, column)
        table.forget(self.name)


@dataclass(frozen=True)
class Encoder:
    """The columns a model reads, by name, and how it bins them."""

    features: tuple[Feature, ...]

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        return [feature.name for feature in self.features]

    def encode(self, table: Table, threads: int = 1) -> Bins:
        """Return uint8 [rows, features]: the bin of every field, 255 where it is missing or unknown.

        Columns are found by name; raises `DataError` naming those that are not there.
        """
        table.require(self.names)
        out = np.empty((table.rows, len(self.features)), np.uint8)

        def fill(column: int) -> None:
            self.features[column].encode(table, out, column)

        for _ in map_chunks(fill, range(len(self.features)), threads):
            pass
        return out

    def reordered(self, places: dict[int, NDArray[np.int64]]) -> Encoder:
        """Return the encoder with the categories of some features in another order."""
        features = list(self.features)
        for column, order in places.items():
            names = features[column].categories
            features[column] = replace(features[column], categories=tuple(names[k] for k in order))
        return Encoder(tuple(features))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the features for a model's header (edges are kept beside it, as float64)."""
        return [
            {
                "name": feature.name,
                "missing": feature.missing,
                **({"categories": list(feature.categories)} if feature.categorical else {}),
            }
            for feature in self.features
        ]

    @staticmethod
    def from_json(entries: Sequence[dict[str, Any]], edges: Numbers, counts: NDArray[Any]) -> Encoder:
        """Return the encoder that a model's header and arrays describe."""
        if int(counts.sum()) != len(edges):
            raise ValueError("edges of bins")
        features = []
        start = 0
        for entry, count in zip(entries, counts.tolist(), strict=True):
            features.append(
                Feature(
                    str(entry["name"]),
                    "categories" in entry,
                    np.array(edges[start : start + count]),
                    tuple(map(str, entry.get("categories", ()))),
                    bool(entry["missing"]),
                )
            )
            start += count
        return Encoder(tuple(features))


def fit_encoder(
    table: Table,
    names: Sequence[str],
    *,
    categorical: Collection[str] = (),
    max_bins: int = 255,
    min_rows: int = 3,
    seed: int = 1,
    threads: int = 1,
    keep: bool = True,
) -> tuple[Encoder, Bins, list[str]]:
    """Choose the bins of columns `names` and bin the rows; return the encoder, uint8 [rows, features] and remarks.

    Columns that are not all numbers, and those in `categorical`, are categorical: the 254 most frequent values keep
    their names, rarer ones count as missing. Columns with one value or none are left out, with a remark.
    Unless `keep`, the table is empty afterwards: each column goes when it has been binned.
    """
    if not 2 <= max_bins <= 255:
        raise UsageError(f"bins must be between 2 and 255, not {max_bins}")
    if min_rows < 1:
        raise UsageError(f"the rows of a bin must be at least 1, not {min_rows}")
    table.require([*names, *categorical])
    rows = table.rows
    sample = None
    if rows > SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
    apart = table.columns_apart(names, keep=keep)
    bins = np.empty((rows, len(names)), np.uint8)

    useless: dict[str, list[str]] = {_ONE_VALUE: [], _ALL_MISSING: []}

    doubtful: dict[int, str] = {}

    def fit(place: int) -> tuple[Feature | None, str]:
        name = names[place]
        column = apart.pop(name)
        feature, remark = choose(column, name)
        if feature is not None:
            for text in words_among_numbers(column, [name], categorical) if feature.categorical else ():
                doubtful[place] = text
            feature.encode(column, bins, place)
        column.forget(name)
        return feature, remark

    def choose(column: Table, name: str) -> tuple[Feature | None, str]:
        if name in categorical or not column.is_numeric(name):
            return _fit_categories(column, name)
        values = column.numbers(name)
        missing = bool(np.isnan(values).any())
        edges = find_edges(values if sample is None else values[sample], max_bins - missing, min_rows)
        if len(edges) == 0 and not missing:
            return None, _ONE_VALUE
        return Feature(name, False, edges, (), missing), ""

    fitted = list(map_chunks(fit, range(len(names)), threads))
    features = [feature for feature, _ in fitted]
    remarks = [remark for feature, remark in fitted if feature is not None and remark]
    for name, (feature, why) in zip(names, fitted, strict=True):
        if feature is None:
            useless[why].append(name)
    remarks = [text for _, text in sorted(doubtful.items())] + remarks
    remarks = [_left_out(columns, why) for why, columns in useless.items() if columns] + remarks
    if not any(features):
        raise DataError("no column can be learnt from: " + "; ".join(remarks), path=table.path)
    if not all(features):
        bins = np.ascontiguousarray(bins[:, [feature is not None for feature in features]])
    return Encoder(tuple(feature for feature in features if feature is not None)), bins, remarks


def _left_out(columns: Sequence[str], why: str) -> str:
    """Return one remark for all columns that are left out for the same reason."""
    if len(columns) == 1:
        return f"column {columns[0]!r} holds {why} and is left out"
    shown = ", ".join(map(repr, columns[:5])) + (", ..." if len(columns) > 5 else "")
    return f"{len(columns):,} columns hold {why} and are left out: {shown}"


def _fit_categories(table: Table, name: str) -> tuple[Feature | None, str]:
    counts = table.counts(name)
    if not counts:
        return None, _ALL_MISSING
    remark = ""
    if len(counts) > MOST_CATEGORIES:
        remark = (
            f"column {name!r} has {len(counts):,} categories: "
            f"the {MOST_CATEGORIES} most frequent are used, the others count as missing"
        )
    kept = tuple(category for category, _ in counts[:MOST_CATEGORIES])
    missing = sum(count for _, count in counts[: len(kept)]) < table.rows
    if len(kept) == 1 and not missing:
        return None, _ONE_VALUE
    return Feature(name, True, np.empty(0), kept, missing), remark


def find_edges(values: Numbers, max_bins: int, min_rows: int = 3) -> Numbers:
    """Return at most max_bins - 1 thresholds, midway between values, so that bins hold equally many rows.

    Values more frequent than a bin's share get their own bin, the rest share what is left (LightGBM's greedy rule,
    with `min_rows` per bin at least). NaN is left out.
    """
    ordered = np.sort(values)
    ordered = ordered[: len(ordered) - int(np.isnan(ordered).sum())]
    if len(ordered) == 0:
        return np.empty(0)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    distinct = ordered[starts]
    ends = np.append(starts[1:], len(ordered))  # rows up to and with each distinct value
    if len(distinct) <= max_bins:
        last = _close_small(ends, min_rows)
        if len(last) < 2:  # a tiny table
            last = _close_small(ends, 1)
    else:
        last = _close_greedy(ends, min(max_bins, max(len(ordered) // min_rows, 1)))
    last = last[last < len(distinct) - 1]
    low, high = distinct[last], distinct[last + 1]
    middle = low + (high - low) / 2
    edges: Numbers = np.where((middle >= low) & (middle < high), middle, low)
    return edges


def _close_small(ends: NDArray[np.int64], min_rows: int) -> NDArray[np.int64]:
    """Return the last value of each bin when every value may have its own, joined up to `min_rows` rows."""
    counts = np.diff(ends, prepend=0)
    if counts.min() >= min_rows:
        return np.arange(len(ends))
    closed = []
    before = 0
    for place, end in enumerate(ends.tolist()):
        if end - before >= min_rows:
            closed.append(place)
            before = end
    return np.array(closed, np.int64)


def _close_greedy(ends: NDArray[np.int64], max_bins: int) -> NDArray[np.int64]:
    """Return the last value of each of `max_bins` bins of about equal size."""
    counts = np.diff(ends, prepend=0)
    total = int(ends[-1])
    big = counts >= total / max_bins
    rest_bins = max_bins - int(big.sum())
    rest_rows = total - int(counts[big].sum())
    share = rest_rows / rest_bins if rest_bins else np.inf
    next_big = [*np.flatnonzero(big).tolist(), len(ends)]
    is_big = set(next_big)
    upto = np.ascontiguousarray(ends, np.int64).data  # a list of all would cost more than the search
    closed: list[int] = []
    place = 0
    before = 0
    while place < len(upto) and len(closed) < max_bins - 1:
        if place in is_big:
            last = place
        else:
            last = bisect_left(upto, before + share)
            stop = next_big[bisect_left(next_big, place)]
            if last >= stop - 1:
                # a frequent value follows: close before it, unless what is there is less than half a share
                half = upto[stop - 1] - before >= max(1.0, 0.5 * share)
                last = stop - 1 if half or stop == len(upto) else stop
            last = min(last, len(upto) - 1)
        closed.append(last)
        if last not in is_big:
            rest_bins -= 1
            rest_rows -= upto[last] - before
            share = rest_rows / rest_bins if rest_bins > 0 else np.inf
        before = upto[last]
        place = last + 1
    return np.array(closed, np.int64)


# Packing


@dataclass(frozen=True)
class Packing:
    """Which features share a byte: code = sum of stride * bin over the features of a column."""

    column: NDArray[np.int32]
    stride: NDArray[np.int32]
    sizes: NDArray[np.int32]  # codes per column


def plan_packing(encoder: Encoder) -> Packing:
    """Fit features into as few bytes as possible: first fit, largest first, at most 256 codes to a byte."""
    widths = [feature.bins + feature.missing for feature in encoder.features]
    column = np.zeros(len(widths), np.int32)
    stride = np.ones(len(widths), np.int32)
    sizes: list[int] = []
    for place in sorted(range(len(widths)), key=lambda k: -widths[k]):
        fitting = (k for k, size in enumerate(sizes) if size * widths[place] <= 256)
        target = next(fitting, len(sizes))
        if target == len(sizes):
            sizes.append(1)
        column[place] = target
        stride[place] = sizes[target]
        sizes[target] *= widths[place]
    return Packing(column, stride, np.array(sizes, np.int32))


def pack(bins: Bins, encoder: Encoder, packing: Packing) -> Bins:
    """Return uint8 [rows, columns]: the bins of all features, several to a byte."""
    out = np.zeros((len(bins), len(packing.sizes)), np.uint8)
    for place, feature in enumerate(encoder.features):
        column = np.minimum(bins[:, place], feature.bins) if feature.missing else bins[:, place]
        out[:, packing.column[place]] += column * np.uint8(packing.stride[place])
    return out
