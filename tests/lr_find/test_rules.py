"""Suggestions equal the original tools' on golden curves; curves that say nothing are refused."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import DataError
from mlkit.lr_find import RULES, record, rising_rates, smoothed, suggest
from mlkit.lr_find.rules import (
    disagreement,
    lightning,
    slide,
    smith_pair,
    steep,
    torch_lr_finder,
    valley,
)

ORIGINALS = {
    "fastai_valley": valley,
    "fastai_slide": slide,
    "fastai_minimum": RULES["minimum/10"],
    "fastai_steep": steep,
    "torch_lr_finder_steepest(skip 10,5)": torch_lr_finder,
    "lightning_suggestion(skip 10,1)": lightning,
}


def read(path: Path) -> dict[str, list[dict[str, str]]]:
    rows = defaultdict(list)
    with open(path) as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            rows[row["curve"]].append(row)
    return rows


def test_golden_curves(shared: Path) -> None:
    golden = shared / "golden" / "lr_find"
    expected = read(golden / "suggestions.tsv")
    for number, rows in read(golden / "curves.tsv").items():
        column = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
        raw, rates = column["raw_loss"], column["lr"]
        np.testing.assert_allclose(smoothed(raw), column["fastai_smooth_loss"], rtol=1e-12)
        np.testing.assert_allclose(smoothed(raw), column["lightning_smooth_loss"], rtol=1e-12)
        own = smoothed(raw, 0.95, correct_bias=False)
        np.testing.assert_allclose(own, column["tlf_smooth_loss"], rtol=1e-12)
        curve = record(zip(rates, raw, strict=True), wanted=len(raw))
        for row in expected[number]:
            if row["rule"].startswith("stop_step"):
                assert len(curve) == int(row["lr"]), f"curve {number} stops elsewhere"
                continue
            losses = own[: len(curve)] if "torch" in row["rule"] else curve.smooth
            found = ORIGINALS[row["rule"]](curve.rates, losses, len(raw))
            assert found == float(row["lr"]), f"curve {number}: {row['rule']}"


def bowl(steps: int = 100) -> list[tuple[float, float]]:
    rates = rising_rates(1e-6, 10, steps)
    return [(rate, 3 - 2.5 * np.exp(-((np.log10(rate) + 1.5) ** 2)) + rate) for rate in rates]


def test_every_rule_suggests_a_rate_below_the_minimum() -> None:
    curve = record(bowl())
    best = float(curve.rates[np.argmin(curve.losses)])
    for suggestion in suggest([curve, curve]):
        assert 0 < suggestion.low <= suggestion.rate <= suggestion.high
        if suggestion.rule not in ("lightning",):
            assert suggestion.rate < 20 * best
    base, top = smith_pair(curve.rates, curve.smooth)
    assert base < top


def test_noise_before_the_fall_fools_steep_but_not_auto() -> None:
    def fall(place: int) -> float:
        return float(1.2 - 1 / (1 + np.exp(-(place - 65) / 3)))

    rates = rising_rates(1e-6, 10, 100)
    noisy = [fall(place) + (0.7 if 8 <= place < 12 else 0.0) for place in range(95)]
    still = record(zip(rates, map(fall, range(95)), strict=False), wanted=100)
    curve = record(zip(rates, noisy, strict=False), wanted=100)
    of = [{found.rule: found.rate for found in suggest([test])} for test in (still, curve)]
    assert of[0]["auto"] == of[0]["steep"] > 1e-3
    assert of[1]["steep"] < 1e-4, "the smoothed loss falls behind the noise"
    assert of[0]["auto"] / 3 < of[1]["auto"] < of[0]["auto"] * 3


def test_rules_that_disagree_are_measured() -> None:
    assert disagreement(suggest([record(bowl())])) >= 1


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "there are no points"),
        ([(1e-5, float("nan"))], "no number from the start"),
        (bowl()[:19], "19 points are too few to judge, 20 are needed"),
        ([(rate, 2.0) for rate, _ in bowl()], "flat"),
        ([(1e-5 * k, 1.0 if k < 5 else 1e4) for k in range(1, 50)], "the loss diverged"),
    ],
)
def test_curves_that_say_nothing_are_refused_with_the_reason(
    points: list[tuple[float, float]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        suggest([record(points, wanted=100)])


@given(st.lists(st.floats(0.1, 10), min_size=20, max_size=120))
def test_any_curve_gets_suggestions_inside_its_range_or_a_reason(losses: list[float]) -> None:
    rates = rising_rates(1e-5, 1, len(losses))
    try:
        suggestions = suggest([record(zip(rates, losses, strict=True))])
    except DataError:
        return
    assert [s.rule for s in suggestions] == list(RULES)
    for suggestion in suggestions:
        assert 1e-6 * 0.99 <= suggestion.rate <= 1
