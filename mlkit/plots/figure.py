"""What a plot shows, apart from how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["line", "scatter", "bar"]


@dataclass(frozen=True)
class Series:
    """One curve, cloud of points or row of bars; `labels` name its points (for bars: the categories)."""

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    kind: Kind = "line"
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} x values and {len(self.y)} y values")


@dataclass(frozen=True)
class Figure:
    """A plot: its series, its axes (`log_x` draws x on a logarithmic axis), and marked x positions.

    y_range: what of the y axis is shown; curves leave through the edge (None: all of it).
    """

    series: Sequence[Series]
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    marks: Sequence[tuple[float, str]] = field(default=())
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Axis:
    """One direction of a plot: its range, its ticks, and where a value lies between 0 and 1."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def position(self, value: float) -> float:
        """Return 0 at the low end, 1 at the high end."""
        if self.log:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)

    def near(self, value: float) -> float:
        """Return the position of a value, or one beyond the edge for values far away."""
        return min(max(self.position(value), -1.0), 2.0)


def drawable(value: float, log: bool = False) -> bool:
    """Say whether a value has a place on an axis."""
    return math.isfinite(value) and (value > 0 or not log)


def make_axis(
    values: Iterable[float], *, log: bool = False, from_zero: bool = False, wanted: int = 6
) -> Axis:
    """Choose a range and round ticks that hold all finite values (positive ones for a logarithmic axis)."""
    usable = [float(value) for value in values if drawable(value, log)]
    if not usable:
        usable = [1.0, 10.0] if log else [0.0, 1.0]
    low, high = min(usable), max(usable)
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        last = max(last, first + 1)
        step = max(1, math.ceil((last - first) / wanted))
        ticks = tuple(10.0**power for power in range(first, last + 1, step))
        return Axis(10.0**first, 10.0**last, ticks, log=True)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    width = _round_step((high - low) / (wanted - 1))
    first_tick, last_tick = math.floor(low / width), math.ceil(high / width)
    ticks = tuple(index * width for index in range(first_tick, last_tick + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * 0.999)


def axes_of(figure: Figure) -> tuple[Axis, Axis]:
    """Return the x and y axes that hold all of a figure's series."""
    bars = any(series.kind == "bar" for series in figure.series)
    x_values = [x for series in figure.series for x in series.x]
    if bars:
        x_values += [min(x_values, default=0) - 0.5, max(x_values, default=0) + 0.5]
    x_axis = make_axis(x_values, log=figure.log_x)
    if bars:
        x_axis = Axis(min(x_values), max(x_values), ())
    y_values = [y for series in figure.series for y in series.y]
    if figure.y_range is not None:
        low, high = figure.y_range
        y_values = [low, high, *(y for y in y_values if low <= y <= high)]
    return x_axis, make_axis(y_values, from_zero=bars)


def mark_rows(figure: Figure, axis: Axis, letter: float) -> list[tuple[float, str, int]]:
    """Return (position, label, row) of every mark, rows so that labels of a row do not touch.

    letter: the width of a letter as a part of the axis.
    """
    ends: list[float] = []
    rows = []
    for value, label in sorted(mark for mark in figure.marks if drawable(mark[0], axis.log)):
        position = axis.position(value)
        row = next((row for row, end in enumerate(ends) if end < position), len(ends))
        ends[row : row + 1] = [position + letter * (len(label) + 2)]
        rows.append((position, label, row))
    return rows


def tick_label(value: float) -> str:
    """Return a tick's text: short, without noise of binary fractions."""
    if value == 0:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.3e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.6g}"
