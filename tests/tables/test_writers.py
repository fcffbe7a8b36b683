"""The same table by different writers: truth values, dates, files without rows, LibSVM's rules, Parquet's types."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mlkit.errors import DataError
from mlkit.formats.table import TableFormat
from mlkit.formats.table_files import read_table
from mlkit.tables import describe_columns
from mlkit.tables.columns import Columns
from mlkit.tables.metrics import evaluate_table
from mlkit.tables.target import words_among_numbers
from mlkit.tables.validation import Folds
from mlkit.trees import (
    ForestSettings,
    GradientSettings,
    load_predictor,
    train_bag,
    train_gradient,
    train_linear_bag,
)
from mlkit.trees.report import prediction_blocks

SPELLINGS = {"pandas": ("False", "True"), "R": ("FALSE", "TRUE"), "json": ("false", "true"), "C": ("0", "1")}
ROWS = 120


def answers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    flag, noise = rng.random(ROWS) < 0.5, rng.normal(size=ROWS)
    return flag, noise, flag ^ (rng.random(ROWS) < 0.03)


def write_all(folder: Path, *, target: bool) -> dict[str, Path]:
    """Write a table whose flag (or whose target) is a truth value, once per writer."""
    flag, noise, goal = answers()
    paths = {}
    for name, words in SPELLINGS.items():
        told = [words[int(v)] for v in (goal if target else flag)]
        rest = flag.astype(int) if target else goal.astype(int)
        lines = [f"{t},{x:.4f},{r}" for t, x, r in zip(told, noise, rest, strict=True)]
        paths[name] = folder / f"{name}.csv"
        paths[name].write_text("\n".join(["b,x,r", *lines]) + "\n")
    columns = {"b": goal if target else flag, "x": np.round(noise, 4), "r": rest}
    paths["parquet"] = folder / "t.parquet"
    pl.DataFrame(columns).write_parquet(paths["parquet"])
    return paths


@pytest.mark.parametrize("trained", [*SPELLINGS, "parquet"])
@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize("kind", ["boost", "logistic"])
def test_truth_values_of_all_writers_are_the_same(
    tmp_path: Path, trained: str, target: bool, kind: str
) -> None:
    paths = write_all(tmp_path, target=target)
    columns = Columns("b" if target else "r", task="classification")
    rows = read_table(paths[trained])
    if kind == "boost":
        model = train_gradient(rows, columns, GradientSettings(rounds=5))
    else:
        model = train_linear_bag(rows, columns, ForestSettings(rounds=2))
    told: list[str] = []
    expected = model.predict(rows)
    for path in paths.values():
        np.testing.assert_array_equal(model.predict(read_table(path)), expected)
        assert evaluate_table(model, path, TableFormat(), remark=told.append)["accuracy"] > 0.9
    assert not told


def test_spellings_in_one_column_are_one_value(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("b,y\nTrue,1\nTRUE,2\ntrue,3\nFALSE,4\n0,5\n,6\n")
    table = read_table(tmp_path / "t.csv")
    assert table.counts("b") == [("True", 3), ("FALSE", 2)]
    assert table.numbers("b").tolist()[:5] == [1, 1, 1, 0, 0]
    assert not table.is_numeric("b")
    compact = read_table(tmp_path / "t.csv", as_text=("y",))
    assert compact.counts("b") == [("True", 3), ("FALSE", 2)]


def test_words_that_only_resemble_truth_values_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("b\nTrue\ntrue\nmaybe\n1\n")
    assert len(read_table(tmp_path / "t.csv").counts("b")) == 4


MOMENTS = [datetime(2020, 1, 1 + k % 28, k % 24, tzinfo=UTC) for k in range(60)]


def as_texts() -> dict[str, list[str]]:
    ahead, behind = timezone(timedelta(hours=2)), timezone(-timedelta(hours=3, minutes=30))
    return {
        "pandas": [m.isoformat(" ") for m in MOMENTS],
        "ahead": [m.astimezone(ahead).isoformat(" ") for m in MOMENTS],
        "behind": [m.astimezone(behind).strftime("%Y-%m-%dT%H:%M%z") for m in MOMENTS],
        "slashes": [m.strftime("%Y/%m/%d %H:%M") for m in MOMENTS],
        "bare": [m.strftime("%Y-%m-%d %H:%M:%S") for m in MOMENTS],
        "Z": [m.strftime("%Y-%m-%dT%H:%M:%S.000000Z") for m in MOMENTS],
        "short": [m.strftime("%Y-%m-%d %H:%M:%S+00") for m in MOMENTS],
    }


@pytest.mark.parametrize("writer", list(as_texts()))
def test_moments_of_all_writers_are_the_same(tmp_path: Path, writer: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["t", *as_texts()[writer]]) + "\n")
    expected = [m.timestamp() / 86400 for m in MOMENTS]
    table = read_table(tmp_path / "t.csv")
    assert table.is_numeric("t")
    assert table.holds_dates("t")
    np.testing.assert_allclose(table.numbers("t"), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo", "America/St_Johns"])
def test_parquet_with_a_time_zone_is_the_same_instants(tmp_path: Path, zone: str | None) -> None:
    series = pl.Series("t", [m.replace(tzinfo=None) for m in MOMENTS])
    if zone is not None:
        series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    pl.DataFrame([series]).write_parquet(tmp_path / "t.parquet")
    found = read_table(tmp_path / "t.parquet").numbers("t")
    np.testing.assert_allclose(found, [m.timestamp() / 86400 for m in MOMENTS], rtol=0, atol=1e-9)


def test_times_of_day_are_parts_of_a_day(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t\n06:00\n12:30:00\n\n23:59:59.5\n".replace("\n\n", "\nNA\n"))
    pl.DataFrame({"t": [time(6), time(12, 30), None, time(23, 59, 59, 500000)]}).write_parquet(
        tmp_path / "t.parquet"
    )
    for name in ("t.csv", "t.parquet"):
        table = read_table(tmp_path / name)
        np.testing.assert_allclose(table.numbers("t"), [0.25, 0.5208333333333334, np.nan, 0.999994212962963])
        (about,) = describe_columns(table)
        assert (about.kind, about.low) == ("time", "06:00:00")


@pytest.mark.parametrize(
    "text", ["2020-13-01", "2020-02-30", "25:00", "2020/01-01", "2020-01-01 00:00+30:00"]
)
def test_what_is_no_day_or_time_stays_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(f"t\n{text}\n")
    assert not read_table(tmp_path / "t.csv").is_numeric("t")


@pytest.mark.parametrize("text", ["31.12.2020", "12/31/2020", "31-Dec-2020", "Jan 5, 2021", "1.2.21 10:00"])
def test_dates_that_are_not_understood_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text("t,y\n" + f"'{text}',1\n".replace("'", '"') * 20)
    (remark,) = words_among_numbers(read_table(tmp_path / "t.csv"), ["t"], ())
    assert "dates are of a kind that is not understood" in remark
    assert repr(text) in remark


def test_numbers_with_commas_are_named_though_some_have_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,y\n" + '"1,234",1\n17,2\n"2,001",3\n' * 10)
    (remark,) = words_among_numbers(read_table(tmp_path / "t.csv"), ["n"], ())
    assert "numbers are written with commas, such as '1,234'" in remark


def test_a_column_of_new_categories_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("c,d,y\n" + "red,u,1\nblue,v,0\n" * 40)
    (tmp_path / "b.csv").write_text("c,d,y\n" + "rot,u,1\nblau,v,0\nred,w,1\n" * 40)
    model = train_bag(read_table(tmp_path / "a.csv"), Columns("y"), ForestSettings(rounds=2))
    model.save(tmp_path / "m")
    loaded = load_predictor(tmp_path / "m")
    told: list[str] = []
    assert list(prediction_blocks(loaded, tmp_path / "b.csv", TableFormat(), remark=told.append))
    evaluate_table(loaded, tmp_path / "b.csv", TableFormat(), remark=told.append)
    assert told == ["column 'c': 80 of 120 values were not there in training: has it changed?"] * 2


@pytest.mark.parametrize("what", ["class", "proba", "raw", "leaf"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_header_without_rows_predicts_a_header(tmp_path: Path, what: str, kind: str) -> None:
    (tmp_path / "a.csv").write_text("c,x,y\n" + "red,1,u\nblue,2,v\n" * 40)
    model = train_bag(read_table(tmp_path / "a.csv"), Columns("y"), ForestSettings(rounds=2))
    (tmp_path / "h.csv").write_text("c,x\n")
    pl.DataFrame({"c": [], "x": []}, schema={"c": pl.String, "x": pl.Float64}).write_parquet(
        tmp_path / "h.parquet"
    )
    whole = b"".join(prediction_blocks(model, tmp_path / "a.csv", TableFormat(), what))
    found = b"".join(prediction_blocks(model, tmp_path / f"h.{kind}", TableFormat(), what))
    assert found == whole.split(b"\n")[0] + b"\n"
    with pytest.raises(DataError, match="no rows"):
        read_table(tmp_path / f"h.{kind}")


def test_a_repeated_index_of_libsvm_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.svm").write_text("1 1:2 2:3\n0 1:2 1:3\n")
    with pytest.raises(DataError, match=r"t.svm:2: index 1 stands twice"):
        read_table(tmp_path / "t.svm")


def test_folds_keep_the_queries_of_libsvm_together(tmp_path: Path) -> None:
    lines = [f"{k % 2} qid:{k // 5} 1:{k}" for k in range(60)]
    (tmp_path / "t.svm").write_text("\n".join(lines) + "\n")
    places, _ = Folds(Columns("label"), 3).plan(read_table(tmp_path / "t.svm"))
    assert all(len(set(places[k : k + 5].tolist())) == 1 for k in range(0, 60, 5))
    assert read_table(tmp_path / "t.svm").names == ["label", "f1"]


def test_bytes_of_parquet_are_text_or_one_line(tmp_path: Path) -> None:
    frame = pl.DataFrame({"b": ["ä".encode(), None, b"x\xff", b"y"], "n": [1, 2, 3, 4]})
    frame.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"row 3.*column 'b': invalid UTF-8 at byte 2"):
        read_table(tmp_path / "t.parquet")
    replaced = read_table(tmp_path / "t.parquet", TableFormat(errors="replace"))
    assert replaced.text("b").to_list() == ["ä", None, "x\ufffd", "y"]
    skipped = read_table(tmp_path / "t.parquet", TableFormat(errors="skip"))
    assert skipped.numbers("n").tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    ("dtype", "value"), [(pl.Struct({"a": pl.Int64}), {"a": 1}), (pl.List(pl.Int64), [1])]
)
def test_nested_columns_are_called_what_they_are(tmp_path: Path, dtype: pl.DataType, value: object) -> None:
    pl.DataFrame({"s": [value]}, schema={"s": dtype}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="holds structs" if isinstance(value, dict) else "holds lists"):
        read_table(tmp_path / "t.parquet")


def test_poisson_names_the_line_of_a_negative_target(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,2.5\n2,0\n" * 20 + "3,-1\n")
    with pytest.raises(DataError, match=r"t.csv:42: column 'y': poisson loss needs values from 0 on"):
        train_gradient(
            read_table(tmp_path / "t.csv"), Columns("y"), GradientSettings(rounds=1), loss="poisson"
        )
