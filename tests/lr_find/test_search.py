"""Tests of a sweep: its own range or another, repeats, the rate that is chosen and what is told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pytest

from mlkit.errors import DataError
from mlkit.lr_find import choose, range_tests, suggest
from mlkit.progress import Report
from mlkit.range_test import Point, Sweep, piece_of


def fall(rates: Sequence[float], repeat: int) -> Iterator[Point]:
    """A loss that falls around 1e-3 (for each repeat at twice the rate) and rises from 1 on."""
    for rate in rates:
        place = math.log10(rate) + 3 - repeat * math.log10(2)
        yield rate, 2 - 1 / (1 + math.exp(-4 * place)) + rate**2


def test_a_sweep_has_its_own_range() -> None:
    sweep = Sweep(fall, 1e-6, 10.0)
    (own,) = range_tests(sweep)
    assert own.rates[0] == 1e-6
    assert own.steps == 100
    (other,) = range_tests(sweep, start=1e-5, end=1e-1, steps=50, schedule="linear")
    assert other.rates[0] == 1e-5
    assert other.rates[1] - other.rates[0] == pytest.approx((1e-1 - 1e-5) / 50)


def test_repeats_and_progress() -> None:
    seen: list[Report] = []
    curves = range_tests(Sweep(fall, 1e-6, 1.0), repeats=2, steps=60, progress=seen.append)
    assert [report.stage for report in seen] == ["range test 1"] * 60 + ["range test 2"] * 60
    assert [report.done for report in seen[:3]] == [1, 2, 3]
    assert seen[5].learning_rate == curves[0].rates[5]
    auto = next(found for found in suggest(curves) if found.rule == "auto")
    assert auto.low < auto.rate < auto.high, "the second repeat falls at twice the rate"


def test_the_choice_is_told() -> None:
    said: list[str] = []
    warned: list[str] = []
    rate = choose(Sweep(fall, 1e-6, 10.0), say=said.append, warn=warned.append)
    assert 5e-4 < rate < 1e-1
    assert rate == float(f"{rate:.6g}")
    (text,) = said
    assert text.startswith(f"learning rate {rate:.3g}, by the rule 'auto' of a range test of")
    choose(Sweep(fall, 1e-6, 10.0), rule="lightning", warn=warned.append)
    assert all("the rules differ by" in text for text in warned)


def test_a_test_that_says_nothing_is_refused() -> None:
    flat = Sweep(lambda rates, repeat: ((rate, 1.0) for rate in rates), 1e-3, 1.0)
    with pytest.raises(DataError, match="no rate found: the loss is flat") as fault:
        choose(flat)
    assert fault.value.hint == "give a rate with --lr"
    with pytest.raises(DataError, match="no rate found: 5 points are too few"):
        choose(Sweep(lambda rates, repeat: zip(rates[:5], [1.0] * 5, strict=True), 1e-3, 1.0))


def test_pieces_lie_all_over_a_text() -> None:
    assert [piece_of(k, 4, 10) for k in range(4)] == [(0, 0), (0, 2), (0, 5), (0, 7)]
    assert [piece_of(k, 5, 2) for k in range(5)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert [piece_of(k, 3, 3) for k in range(3)] == [(0, 0), (0, 1), (0, 2)]
