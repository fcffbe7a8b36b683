"""Run range tests on a trainer: repeated ones for `mlkit lr-find`, one for ``--lr auto``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlkit.errors import DataError
from mlkit.lr_find.curve import BETA, DIVERGE, Curve, Schedule, record, rising_rates
from mlkit.lr_find.report import warning
from mlkit.lr_find.rules import rounded, suggest
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import Point, Sweep

STEPS = 100


def range_tests(
    sweep: Sweep,
    *,
    start: float | None = None,
    end: float | None = None,
    steps: int = STEPS,
    schedule: Schedule = "exponential",
    repeats: int = 1,
    beta: float = BETA,
    diverge: float = DIVERGE,
    progress: Progress = silent,
) -> list[Curve]:
    """Test a trainer `repeats` times between its own rates, or `start` and `end`; return the curves."""
    low, high = sweep.low if start is None else start, sweep.high if end is None else end
    rates = rising_rates(low, high, steps, schedule).tolist()
    curves = []
    for repeat in range(repeats):
        stage = f"range test {repeat + 1}" if repeats > 1 else "range test"
        points = sweep.run(rates, repeat)
        if progress is not silent:
            points = _watched(points, stage, steps, progress)
        curves.append(record(points, beta=beta, diverge=diverge, wanted=steps))
    return curves


def choose(
    sweep: Sweep,
    *,
    rule: str = "auto",
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> float:
    """Return the rate that `rule` suggests after one test: what ``--lr auto`` does.

    `say` is told the rate and the rule, `warn` when the rules differ by more than ten times. Raises `DataError` when
    the test says nothing.
    """
    (curve,) = range_tests(sweep, progress=progress)
    try:
        suggestions = suggest([curve])
    except DataError as fault:
        raise DataError(f"no rate found: {fault}", hint="give a rate with --lr") from None
    rate = rounded(next(found.rate for found in suggestions if found.rule == rule))
    say(f"learning rate {rate:.3g}, by the rule {rule!r} of a range test of {len(curve)} steps")
    if note := warning(suggestions):
        warn(note)
    return rate


def _watched(points: Iterable[Point], stage: str, steps: int, progress: Progress) -> Iterator[Point]:
    for number, (rate, loss) in enumerate(points, 1):
        progress(Report(stage, number, steps, "steps", loss=loss, learning_rate=rate))
        yield rate, loss
