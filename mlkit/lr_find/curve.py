"""The curve of a range test: which rates are tried, how the loss is smoothed, when the test stops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError

Floats = NDArray[np.float64]
Schedule = Literal["exponential", "linear"]
StopReason = Literal["end", "diverged", "nan", "data"]

BETA = 0.98  # fastai and Lightning; torch-lr-finder's smooth_f 0.05 is beta 0.95 without bias correction
DIVERGE = 4.0  # stop when the smoothed loss exceeds this times its best value (fastai's stop_div)
FEWEST_POINTS = 20  # the tools leave out up to 15 at the ends


@dataclass(frozen=True)
class Curve:
    """One range test: float64 arrays of the rates tried, the losses seen, the smoothed losses.

    `stopped` says why it ended, `steps` how many points were planned (None: as many as there are).
    """

    rates: Floats
    losses: Floats
    smooth: Floats
    stopped: StopReason
    steps: int | None = None

    def __len__(self) -> int:
        return len(self.rates)


def rising_rates(start: float, end: float, steps: int, schedule: Schedule = "exponential") -> Floats:
    """Return `steps` rates from `start` on towards `end`.

    Exponential as fastai has it, ``start * (end / start) ** (i / steps)``: the end itself is not used. Linear as in
    Smith's paper (arXiv 1506.01186). Raises `UsageError` unless 0 < start < end and steps >= 2.
    """
    if not 0 < start < end:
        raise UsageError(f"the rates must grow: 0 < start < end, not start {start:g} and end {end:g}")
    if steps < 2:
        raise UsageError(f"a range test needs 2 steps or more, not {steps}")
    part = np.arange(steps) / steps
    if schedule == "linear":
        return start + (end - start) * part
    return start * (end / start) ** part


def smoothed(losses: Iterable[float], beta: float = BETA, *, correct_bias: bool = True) -> Floats:
    """Return the exponential moving average of losses.

    With `correct_bias` v_n / (1 - beta ** n), as fastai and Lightning; without it the average starts at the first
    loss, as torch-lr-finder's. beta 0 smooths nothing.
    """
    values, average = [], 0.0
    for count, loss in enumerate(losses, 1):
        if correct_bias:
            average = beta * average + (1 - beta) * loss
            values.append(average / (1 - beta**count))
        else:
            average = loss if count == 1 else beta * average + (1 - beta) * loss
            values.append(average)
    return np.array(values, np.float64)


def record(
    points: Iterable[tuple[float, float]],
    *,
    beta: float = BETA,
    diverge: float = DIVERGE,
    wanted: int | None = None,
) -> Curve:
    """Take (rate, loss) points as they come and stop where the test should.

    It ends when the smoothed loss exceeds `diverge` times its best value (0 switches that off), at a loss that is no
    number, or when the points end ("data" if there are fewer than `wanted`). The point that stops it is kept,
    unless it is no number.
    """
    rates: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    average, best = 0.0, math.inf
    reason: StopReason = "end"
    for rate, loss in points:
        if not math.isfinite(loss):
            reason = "nan"
            break
        average = beta * average + (1 - beta) * loss
        rates.append(rate)
        losses.append(loss)
        value = average / (1 - beta ** len(losses))
        smooth.append(value)
        if value < best:
            best = value
        elif diverge and value > diverge * best:
            reason = "diverged"
            break
    if reason == "end" and wanted is not None and len(rates) < wanted:
        reason = "data"
    return Curve(np.array(rates), np.array(losses), np.array(smooth), reason, wanted)


def average_curves(curves: Iterable[Curve]) -> Iterator[tuple[float, float]]:
    """Yield (rate, mean loss) over repeated tests at the same rates, as far as the shortest goes."""
    tests = list(curves)
    for step in range(min(map(len, tests), default=0)):
        yield float(tests[0].rates[step]), float(np.mean([curve.losses[step] for curve in tests]))
