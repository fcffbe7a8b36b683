"""What a range test shows: the curve as a table, the plot, the warning when rules disagree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlkit.lr_find.curve import Curve
from mlkit.lr_find.rules import Suggestion, disagreement
from mlkit.plots import Figure, Series

DISAGREE = 10.0
COLUMNS = ("rate", "loss", "smoothed", "repeat", "steps")  # of a saved curve
SHOWN = ("auto", "valley", "minimum/10")


def figure(curves: Sequence[Curve], suggestions: Sequence[Suggestion]) -> Figure:
    """Return the plot of a test: loss against the rate on a logarithmic axis, raw and smoothed, rules marked."""
    first = curves[0]
    series = [Series(first.rates.tolist(), first.losses.tolist(), "loss")]
    series += [
        Series(
            curve.rates.tolist(),
            curve.smooth.tolist(),
            "smoothed" if number == 0 else f"smoothed, repeat {number + 1}",
        )
        for number, curve in enumerate(curves)
    ]
    marks = [(suggestion.rate, suggestion.rule) for suggestion in suggestions if suggestion.rule in SHOWN]
    return Figure(
        series,
        "Learning-rate range test",
        "learning rate",
        "loss",
        log_x=True,
        marks=marks,
        y_range=_range(curves),
    )


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the losses to show: those on the way down, and some of the way up; what diverges leaves the plot."""
    falling = np.concatenate([curve.losses[: int(np.argmin(curve.smooth)) + 1] for curve in curves])
    low = min(float(curve.losses.min()) for curve in curves)
    high = max(float(falling.max()), max(float(curve.smooth[0]) for curve in curves))
    top = max(float(curve.losses.max()) for curve in curves)
    return low, min(high + 0.3 * (high - low), top)


def table_rows(curves: Sequence[Curve]) -> list[tuple[str, ...]]:
    """Return `COLUMNS` of every point, as text that reads back to the same numbers; steps are those planned."""
    return [
        (
            repr(float(rate)),
            repr(float(loss)),
            repr(float(smooth)),
            str(repeat),
            str(curve.steps or len(curve)),
        )
        for repeat, curve in enumerate(curves, 1)
        for rate, loss, smooth in zip(curve.rates, curve.losses, curve.smooth, strict=True)
    ]


def warning(suggestions: Sequence[Suggestion]) -> str | None:
    """Return a sentence when the rules differ by more than ten times, else None."""
    ratio = disagreement(list(suggestions))
    if ratio <= DISAGREE:
        return None
    return f"the rules differ by {ratio:.0f}x: look at the curve (--plot), and take more steps or --repeats"
