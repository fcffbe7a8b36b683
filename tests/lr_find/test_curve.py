"""The curve: schedules, smoothing, stop reasons."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.errors import UsageError
from mlkit.lr_find.curve import average_curves, record, rising_rates, smoothed


def test_rates_multiply_or_add() -> None:
    np.testing.assert_allclose(rising_rates(1e-4, 1, 4), [1e-4, 1e-3, 1e-2, 1e-1])
    np.testing.assert_allclose(rising_rates(1, 5, 4, "linear"), [1, 2, 3, 4])
    for start, end, steps in ((0, 1, 5), (1, 1, 5), (1, 2, 1)):
        with pytest.raises(UsageError):
            rising_rates(start, end, steps)


def test_smoothing_by_hand() -> None:
    np.testing.assert_allclose(smoothed([1.0, 3.0], 0.5), [1.0, (0.25 + 1.5) / 0.75])
    np.testing.assert_allclose(smoothed([1.0, 3.0], 0.5, correct_bias=False), [1.0, 2.0])
    np.testing.assert_allclose(smoothed([1.0, 3.0], 0.0), [1.0, 3.0])


def test_stop_reasons() -> None:
    steady = [(rate, 1.0) for rate in range(1, 21)]
    assert record(steady, wanted=20).stopped == "end"
    assert record(steady, wanted=30).stopped == "data"
    assert record([*steady, (21, 1e9), (22, 1.0)]).stopped == "diverged"
    assert len(record([*steady, (21, 1e9), (22, 1.0)])) == 21
    assert record([*steady, (21, 1e9)], diverge=0).stopped == "end"
    curve = record([*steady, (21, float("inf"))])
    assert (curve.stopped, len(curve)) == ("nan", 20)


def test_repeats_are_averaged_as_far_as_the_shortest() -> None:
    long, short = record([(1, 1.0), (2, 2.0), (3, 3.0)]), record([(1, 3.0), (2, 2.0)])
    assert list(average_curves([long, short])) == [(1.0, 2.0), (2.0, 2.0)]
