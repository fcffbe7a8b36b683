"""Imputing, sampling, splitting, describing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table, read_table
from mlkit.tables import balance_rows, describe_columns, fill_values, impute, split_rows


@pytest.fixture
def table(tmp_path: Path) -> Table:
    rows = ["1,u,a", "NA,u,a", "3,,a", "8,v,b", ",u,a", "2,u,a"]
    (tmp_path / "t.csv").write_text("x,c,y\n" + "\n".join(rows) + "\n")
    return read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("strategy", "number"), [("mean", "3.5"), ("median", "2.5"), ("mode", "1")])
def test_gaps_are_filled(table: Table, strategy: str, number: str) -> None:
    values = fill_values(table, strategy)
    assert values["x"] == number
    assert values["c"] == "u"
    filled, count = impute(table, values, indicators=True)
    assert count == 3
    assert filled.values("x") == ["1", number, "3", "8", number, "2"]
    assert filled.values("x_missing") == ["0", "1", "0", "0", "1", "0"]
    assert filled.names == ["x", "c", "y", "x_missing", "c_missing"]


def test_constants_and_deletion(table: Table) -> None:
    filled, _ = impute(table, fill_values(table, "constant", ["c"], "none"))
    assert filled.values("c")[2] == "none"
    kept, gone = impute(table, {}, delete=["x", "c"])
    assert (kept.rows, gone) == (3, 3)
    assert kept.line(1) == 5
    with pytest.raises(UsageError):
        fill_values(table, "mean", None, "3")
    with pytest.raises(UsageError):
        fill_values(table, "guess")


def test_values_are_learnt_from_another_table(table: Table, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("x,c,y\n10,w,a\n20,w,b\n")
    other = read_table(tmp_path / "u.csv")
    assert impute(table, fill_values(other, "mean"))[0].values("x")[1] == "15.0"


def test_classes_are_balanced(table: Table) -> None:
    over = balance_rows(table, "y", "over")
    assert np.bincount(table.take(over).codes("y", ["a", "b"])).tolist() == [5, 5]
    assert set(over.tolist()) == set(range(6))
    under = balance_rows(table, "y", "under")
    assert np.bincount(table.take(under).codes("y", ["a", "b"])).tolist() == [1, 1]
    half = balance_rows(table, "y", "under", ratio=0.5)
    assert np.bincount(table.take(half).codes("y", ["a", "b"])).tolist() == [2, 1]
    assert (balance_rows(table, "y", "over", seed=1) == over).all()
    with pytest.raises(DataError, match=r"t\.csv:4: column 'c': the value is missing"):
        balance_rows(table, "c", "over")
    with pytest.raises(UsageError):
        balance_rows(table, "y", "sideways")


def test_splits_keep_shares_or_groups(tmp_path: Path) -> None:
    rows = "\n".join(f"{k},{'ab'[k % 4 == 0]},g{k // 5}" for k in range(100))
    (tmp_path / "t.csv").write_text(f"x,y,g\n{rows}\n")
    table = read_table(tmp_path / "t.csv")
    second = split_rows(table, 0.2, column="y")
    assert second.sum() == 20
    assert table.take(second).values("y").count("b") == 5
    grouped = split_rows(table, 0.3, group="g")
    groups = np.array(table.values("g"))
    assert not set(groups[grouped]) & set(groups[~grouped])
    assert 20 <= grouped.sum() <= 40
    with pytest.raises(UsageError):
        split_rows(table, 1.5)


def test_columns_are_described(table: Table) -> None:
    x, c, _ = describe_columns(table)
    assert (x.kind, x.missing, x.distinct, x.low, x.high, x.mean) == ("number", 2, 4, 1, 8, 3.5)
    assert (c.kind, c.missing, c.distinct, c.top, c.top_count) == ("category", 1, 2, "u", 4)


def test_indicators_are_those_of_the_table_that_was_learnt_from(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n,3\n")
    (tmp_path / "test.csv").write_text("a,b\n4,\n")
    train, test = (read_table(tmp_path / name) for name in ("train.csv", "test.csv"))
    values = fill_values(train, "mean")
    assert impute(train, values, indicators=True)[0].names == ["a", "b", "a_missing"]
    made, count = impute(test, values, indicators=True, source=train)
    assert (made.names, made.values("a_missing"), count) == (["a", "b", "a_missing"], ["0"], 1)
    with pytest.raises(DataError, match="a_missing"):
        impute(made.with_column("a", [None]), {"a": "1"}, indicators=True)


def test_dates_are_described_and_filled_as_dates(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("d,e\n2024-02-29,2024-01-01T10:00\n,?\n2023-12-31,2024-01-01 12:30:00\n")
    table = read_table(tmp_path / "t.csv")
    found = list(describe_columns(table))
    assert [(c.kind, c.missing, c.low, c.high) for c in found] == [
        ("date", 1, "2023-12-31", "2024-02-29"),
        ("date", 1, "2024-01-01T10:00:00", "2024-01-01T12:30:00"),
    ]
    assert fill_values(table, "mean") == {"d": "2023-12-31", "e": "2024-01-01 12:30:00"}


def test_wide_tables_cost_by_the_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are put in all at once, however many they are: each time anew is the square of the columns."""
    names = [f"c{k}" for k in range(40)]
    (tmp_path / "wide.csv").write_text(
        ",".join(names) + "\n" + ",".join("1" * 40) + "\n" + "," * 39 + "\n" + ",".join("3" * 40) + "\n"
    )
    table = read_table(tmp_path / "wide.csv")
    calls: list[int] = []
    whole = type(table).with_columns
    monkeypatch.setattr(
        type(table), "with_columns", lambda self, more: calls.append(len(more)) or whole(self, more)
    )
    made, filled = impute(table, fill_values(table, "mean"), indicators=True)
    assert (filled, calls) == (40, [80])
    assert made.frame.row(1) == ("2.0",) * 40 + (1,) * 40
