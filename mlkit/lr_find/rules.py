"""Suggestions from a curve, by the rules of every tool that people use.

Each rule takes the rates and the smoothed losses of a whole test and the number of steps that were planned (a test that
diverges has fewer), trims the ends as its tool does, and returns a rate.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.lr_find.curve import FEWEST_POINTS, Curve, Floats, smoothed

Rule = Callable[[Floats, Floats, int | None], float]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Suggestion:
    """What one rule says about one or several repeats: the median rate and the range over the repeats."""

    rule: str
    rate: float
    low: float
    high: float


def _trimmed(rates: Floats, losses: Floats, steps: int | None) -> tuple[Singles, Singles]:
    """Leave out a tenth of the planned steps at the start and five points at the end, in float32, as fastai 2.8."""
    first = (steps or len(rates)) // 10
    return rates[first:-5].astype(np.float32), losses[first:-5].astype(np.float32)


def steep(rates: Floats, losses: Floats, steps: int | None = None) -> float:
    """Return the rate where the loss falls fastest per step of the logarithmic axis (fastai's `steep`)."""
    lrs, values = _trimmed(rates, losses, steps)
    slopes = (values[1:] - values[:-1]) / (np.log(lrs[1:]) - np.log(lrs[:-1]))
    return float(lrs[np.argmin(slopes)])


def steep_in_fall(rates: Floats, losses: Floats, steps: int | None, raw: Floats) -> float:
    """Return `steep`, looked for behind the middle of the fall only: noise before the fall does not count.

    The fall is that of the raw losses' means over a tenth of the steps around each. Smoothing lags behind it, so that
    `steep` lies there already where it is no accident.
    """
    window = max((steps or len(rates)) // 10, 1) | 1
    means = np.convolve(np.pad(raw, window // 2, "edge"), np.full(window, 1 / window), "valid")
    lowest = int(np.argmin(means))
    middle = (float(means[: lowest + 1].max()) + float(means[lowest])) / 2
    above = np.flatnonzero(means[: lowest + 1] > middle)
    first = max(int(above[-1]) + 1 if len(above) else 0, (steps or len(rates)) // 10)
    lrs, values = rates[first:-5].astype(np.float32), losses[first:-5].astype(np.float32)
    if len(lrs) < 2:
        return steep(rates, losses, steps)
    return float(lrs[np.argmin((values[1:] - values[:-1]) / (np.log(lrs[1:]) - np.log(lrs[:-1])))])


def valley(rates: Floats, losses: Floats, steps: int | None = None) -> float:
    """Return the rate two thirds into the longest strictly decreasing subsequence (fastai's default, `valley`)."""
    lrs, values = _trimmed(rates, losses, steps)
    lowest: list[
        float
    ] = []  # lowest[k]: the last loss, negated, of the best subsequence of k + 1 losses so far
    best_start = best_end = longest = 0
    for i, value in enumerate((-values).tolist()):
        length = bisect_left(lowest, value) + 1
        lowest[length - 1 : length] = [value]
        if length > max(longest, 1):
            best_end, longest = i, length
            best_start = best_end - length
    section = (best_end - best_start) / 3
    return float(lrs[best_start + int(section) + int(section / 2)])


def slide(
    rates: Floats, losses: Floats, steps: int | None = None, *, distance: int = 15, threshold: float = 0.005
) -> float:
    """Return the rate before the last steep slope, seen through an interval of 15 steps (fastai's `slide`)."""
    lrs, values = _trimmed(rates, losses, steps)
    slopes = np.gradient(values)
    right, left = -1, -1 - distance
    if len(lrs) < distance + 1:
        return float(lrs[0])
    rate = lrs[left]
    while left >= -len(lrs) and abs(slopes[right] - slopes[left]) > threshold:
        rate = lrs[left]
        right, left = right - 1, left - 1
    return float(rate)


def minimum(rates: Floats, losses: Floats, steps: int | None = None) -> float:
    """Return the rate with the smallest loss (fastai's `minimum`; a tenth of it is the rule of thumb)."""
    lrs, values = _trimmed(rates, losses, steps)
    return float(lrs[np.argmin(values)])


def torch_lr_finder(
    rates: Floats, losses: Floats, steps: int | None = None, *, skip_start: int = 10, skip_end: int = 5
) -> float:
    """Return the rate of the steepest gradient by index, between the skipped ends (torch-lr-finder 0.2)."""
    stop = len(rates) - skip_end
    return float(rates[skip_start:stop][np.argmin(np.gradient(losses[skip_start:stop]))])


def lightning(
    rates: Floats, losses: Floats, steps: int | None = None, *, skip_start: int = 10, skip_end: int = 1
) -> float:
    """Return the rate of the steepest gradient per LINEAR rate, as Lightning does since 2.5.3.

    It is here for comparison: on a logarithmic test it favours the smallest rates.
    """
    stop = len(rates) - skip_end
    lrs, values = rates[skip_start:stop], losses[skip_start:stop]
    keep = np.isfinite(values)
    return float(lrs[keep][np.argmin(np.gradient(values[keep], lrs[keep]))])


def smith_pair(rates: Floats, losses: Floats) -> tuple[float, float]:
    """Return (base, maximum) of a cyclic schedule, Smith 2015 section 3.3.

    The base rate is where the loss begins to fall (a tenth of the whole fall is done), the maximum is where the fall
    slows (nine tenths are done), both before the smallest smoothed loss.
    """
    lowest = int(np.argmin(losses))
    fall = float(losses[: lowest + 1].max() - losses[lowest])
    done = (float(losses[: lowest + 1].max()) - losses[: lowest + 1]) / fall if fall > 0 else np.ones(1)
    highest = int(np.argmax(losses[: lowest + 1]))
    after = done[highest:]
    base = highest + int(np.argmax(after >= 0.1))
    top = highest + int(np.argmax(after >= 0.9))
    return float(rates[base]), float(rates[max(top, base)])


# in the order in which they are shown; the first is the default
RULES: dict[str, Rule] = {
    "steep": steep,
    "auto": lambda rates, losses, steps: steep_in_fall(rates, losses, steps, losses),
    "valley": valley,
    "slide": slide,
    "minimum/10": lambda rates, losses, steps: minimum(rates, losses, steps) / 10,
    "smith-base": lambda rates, losses, steps: smith_pair(rates, losses)[0],
    "smith-max": lambda rates, losses, steps: smith_pair(rates, losses)[1],
    "torch-lr-finder": torch_lr_finder,
    "lightning": lightning,
}


def suggest(curves: list[Curve]) -> list[Suggestion]:
    """Apply every rule to every repeat; raise `DataError` for a curve that no rule can judge.

    torch-lr-finder smooths by its own average; its rule is given that one.
    """
    for curve in curves:
        check(curve)
    suggestions = []
    for name, rule in RULES.items():
        found = []
        for curve in curves:
            if name == "auto":
                found.append(steep_in_fall(curve.rates, curve.smooth, curve.steps, curve.losses))
                continue
            own = (
                smoothed(curve.losses, 0.95, correct_bias=False)
                if name == "torch-lr-finder"
                else curve.smooth
            )
            found.append(rule(curve.rates, own, curve.steps))
        suggestions.append(Suggestion(name, statistics.median(found), min(found), max(found)))
    return suggestions


def rounded(rate: float) -> float:
    """Return a rate to six digits: as it is printed, and as ``--lr auto`` takes it."""
    return float(f"{rate:.6g}")


def check(curve: Curve) -> None:
    """Raise `DataError` where a curve says nothing: too few points, no number from the start, flat."""
    hint = "start at a smaller rate, or take more steps"
    if len(curve) == 0:
        what = "the loss is no number from the start" if curve.stopped == "nan" else "there are no points"
        raise DataError(what, hint=hint)
    if len(curve) < FEWEST_POINTS:
        why = {
            "diverged": ": the loss diverged",
            "nan": ": the loss became no number",
            "data": ": the data ended",
        }
        raise DataError(
            f"{len(curve)} points are too few to judge, {FEWEST_POINTS} are needed{why.get(curve.stopped, '')}",
            hint=hint,
        )
    if np.ptp(curve.losses) <= 1e-9 * max(1.0, float(np.abs(curve.losses).max())):
        raise DataError(
            "the loss is flat: the rate changes nothing", hint="is the rate passed on to the trainer?"
        )


def disagreement(suggestions: list[Suggestion]) -> float:
    """Return the largest ratio between the rates of the rules that suggest one rate (Lightning's left out)."""
    rates = [s.rate for s in suggestions if s.rule in ("steep", "valley", "slide", "minimum/10")]
    return max(rates) / min(rates)
