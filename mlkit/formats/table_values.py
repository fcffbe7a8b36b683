"""What the fields of a table mean, whoever wrote them: dates, times of day and truth values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars

_DAY = 86.4e9  # in microseconds
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
_ZONE = r" ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?)"
_DATE = re.compile(rf"(\d{{4}})([-/])(\d\d)\2(\d\d)(?:[T ]({_CLOCK})({_ZONE})?)?")
_TIME = re.compile(_CLOCK)
_LIKE_DATE = re.compile(
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[ -]?[A-Za-z]{3,9}[ ,-]+\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4}"
    r"|\d{4}-W\d\d).*"
)
_TRUTH = {"true": 1, "True": 1, "TRUE": 1, "false": 0, "False": 0, "FALSE": 0}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def is_number(text: str) -> bool:
    """Say whether a text is a finite number as tables hold them."""
    return _NUMBER.fullmatch(text) is not None


def truth(word: str) -> int | None:
    """Return 1 or 0 for a truth value as Python, R, JSON, Parquet or C write it, None for any other text."""
    found = _TRUTH.get(word)
    if found is None and is_number(word) and float(word) in (0.0, 1.0):
        return int(float(word))
    return found


def truths(words: Sequence[str]) -> list[int] | None:
    """Return the truth value of every word if all have one and one at least is no number, else None."""
    if not any(word in _TRUTH for word in words):
        return None
    found = [truth(word) for word in words]
    return None if None in found else [int(value or 0) for value in found]


def is_date(text: str) -> bool:
    """Say whether a text is a date or a moment that is understood."""
    return _DATE.fullmatch(text) is not None


def is_time(text: str) -> bool:
    """Say whether a text is a time of day."""
    return _TIME.fullmatch(text) is not None


def looks_like_date(text: str) -> bool:
    """Say whether a text seems to be a date, though perhaps of a kind that is not understood."""
    return _LIKE_DATE.fullmatch(text) is not None


def days(series: polars.Series) -> polars.Series:
    """Return dates and times as days since 1970 (UTC), durations and times of day as days, whatever their unit."""
    import polars as pl

    if series.dtype == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64) / _DAY
    if series.dtype == pl.Time:
        return series.to_physical().cast(pl.Float64) / (1000 * _DAY)
    return series.cast(pl.Datetime("us", getattr(series.dtype, "time_zone", None))).dt.timestamp("us").cast(
        pl.Float64
    ) / _DAY  # fmt: skip


def days_of_text(text: polars.Series) -> polars.Series | None:
    """Return moments as days since 1970, times of day as days; None for any other text, or a mixture.

    2024-02-29, 2024/02/29, 2024-02-29T12:30:00, 2024-02-29 12:30:00+02:00 (a moment of UTC two hours earlier; without
    a zone it is UTC).
    """
    import polars as pl

    words = text.drop_nulls().unique().to_list()
    if not words:
        return None
    try:
        if all(map(is_time, words)):
            moments = [f"1970-01-01T{word}" for word in words]
            offsets = [0] * len(words)
        else:
            matches = [_DATE.fullmatch(word) for word in words]
            parts = [match.groups() for match in matches if match is not None]
            if len(parts) < len(words):
                return None
            moments = [f"{year}-{month}-{day}T{clock or '00:00'}" for year, _, month, day, clock, _ in parts]
            offsets = [_minutes(zone) for *_, zone in parts]
        found = np.array(moments, "datetime64[us]") - np.array(offsets, "timedelta64[m]")
    except ValueError:  # no such day or time
        return None
    return text.replace_strict(words, found.astype(np.float64) / _DAY, return_dtype=pl.Float64, default=None)


def _minutes(zone: str | None) -> int:
    """Return how many minutes a zone such as +02:00 is ahead of UTC."""
    digits = re.sub(r"\D", "", zone or "")
    if not digits:
        return 0
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    if minutes > 24 * 60:
        raise ValueError("zone")
    return -minutes if "-" in (zone or "") else minutes
