"""Plots: ranges, SVG that parses, text that shows what it should, PNG."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import UsageError
from mlkit.plots import Figure, Series, save, to_svg, to_text
from mlkit.plots.figure import make_axis, tick_label
from mlkit.plots.output import to_png

CURVE = Figure(
    [Series([1e-4, 1e-3, 1e-2], [3.0, 1.0, 2.0], "loss")], "A & B", "rate", "loss", True, [(1e-3, "best")]
)
CLOUD = Figure([Series([0, 1, 2], [0, 1, 0], kind="scatter", labels=["king", "<queen>", "man"])])
BARS = Figure([Series([0, 1], [3.0, -1.0], kind="bar", labels=["age", "income"])], "importance")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20), st.booleans())
def test_axis_holds_every_finite_value(values: list[float], log: bool) -> None:
    values = [value for value in values if not (1e300 < abs(value) < math.inf or 0 < abs(value) < 1e-300)]
    axis = make_axis(values, log=log)
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 14
    for value in values:
        if math.isfinite(value) and (value > 0 or not log):
            assert -1e-6 <= axis.position(value) <= 1 + 1e-6


def test_tick_labels_are_short() -> None:
    assert [tick_label(x) for x in (0, 0.1 + 0.2, 1e-5, 2500000.0, 12)] == ["0", "0.3", "1e-5", "2.5e6", "12"]


@pytest.mark.parametrize("figure", [CURVE, CLOUD, BARS, Figure([]), Figure([Series([], [])])])
def test_svg_is_wellformed_and_text_is_drawn(figure: Figure) -> None:
    root = ElementTree.fromstring(to_svg(figure))
    assert root.tag.endswith("svg")
    assert to_text(figure, 60, 10).splitlines()


def test_svg_shows_names_marks_and_labels() -> None:
    texts = [element.text for element in ElementTree.fromstring(to_svg(CURVE)).iter() if element.text]
    assert {"A & B", "best", "rate"} <= set(texts)
    assert "&lt;queen&gt;" in to_svg(CLOUD)


def test_points_that_are_no_numbers_are_left_out() -> None:
    figure = Figure([Series([1, 2, math.nan, 4], [1, math.inf, 2, 3])])
    assert "nan" not in to_svg(figure)
    assert "inf" not in to_svg(figure)
    to_text(figure)


def test_text_names_points_and_bars() -> None:
    assert all(name in to_text(CLOUD) for name in ("•king", "•<queen>", "•man"))
    first, second = to_text(BARS, 40).splitlines()[1:]
    assert first.count("█") > second.count("█") > 0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 x values and 1 y"):
        Series([1, 2], [1])


def test_save_by_suffix(tmp_path: Path) -> None:
    save(CURVE, tmp_path / "a.svg.gz")
    save(CLOUD, tmp_path / "a.png")
    save(BARS, tmp_path / "b.png")
    save(CURVE, tmp_path / "a.txt")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"\.svg, \.png or \.txt"):
        save(CURVE, tmp_path / "a.pdf")


def test_png_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(CURVE, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_curve_that_leaves_the_range_does_not_flatten_the_rest() -> None:
    curve = [Series([1, 2, 3, 4], [3.0, 1.0, 2.0, 1e30], "loss")]
    figure = Figure(curve, marks=[(2, "steep"), (2.01, "valley"), (4, "last")], y_range=(1.0, 4.0))
    root = ElementTree.fromstring(to_svg(figure))
    (line,) = (element for element in root.iter() if element.tag.endswith("polyline"))
    places = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert places[1] - places[0] > 150, "the fall from 3 to 1 takes half of the height"
    assert -1000 < places[3] < 44, "the last point lies above the frame, not far away"
    texts = {element.text: element for element in root.iter() if element.text}
    heights = [float(texts[name].attrib["y"]) for name in ("steep", "valley", "last")]
    assert heights[0] != heights[1], "names of near marks stand below one another"
    assert heights[0] == heights[2]
    assert {"steep", "valley", "last"} <= set(to_text(figure).split())
    assert to_png(figure).startswith(b"\x89PNG")
