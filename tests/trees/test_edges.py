"""Tables as people have them: rare classes, a word among numbers, dates, marks of missing values, few rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mlkit.checkpoint import Checkpoints
from mlkit.errors import CheckpointError, DataError, UsageError
from mlkit.formats.table_files import Table, TableFormat, read_table
from mlkit.nets import NetSettings, train_net
from mlkit.signals import StopSignals
from mlkit.stacking import StackSettings, train_stack
from mlkit.tables.columns import Columns
from mlkit.tables.target import mean_and_spread
from mlkit.tables.validation import Folds, fold_metrics
from mlkit.trees import (
    AdaBoostSettings,
    ForestSettings,
    GradientSettings,
    train_adaboost,
    train_bag,
    train_gradient,
    train_linear_bag,
)
from mlkit.trees.reweight import covariate_weights

QUICK = GradientSettings(rounds=3, min_leaf=2)
COLUMNS = Columns("y")


def made(path: Path, lines: list[str], form: TableFormat = TableFormat(), **more: object) -> Table:
    path.write_text("\n".join(lines) + "\n")
    return read_table(path, form, **more)  # type: ignore[arg-type]


def trainers(columns: Columns = COLUMNS) -> dict[str, object]:
    return {
        "boost": partial(train_gradient, columns=columns, settings=QUICK),
        "adaboost": partial(train_adaboost, columns=columns, settings=AdaBoostSettings(rounds=3)),
        "bag": partial(train_bag, columns=columns, settings=ForestSettings(rounds=3)),
        "linear": partial(train_linear_bag, columns=columns, settings=ForestSettings(rounds=2)),
        "stack": partial(train_stack, columns=columns, settings=StackSettings(("boost", "logistic"), 3, 3)),
        "net": lambda table: train_net(table, columns, NetSettings(layers=(3, "relu"), epochs=1))[0],
    }


@pytest.mark.parametrize("name", sorted(trainers()))
def test_folds_know_every_class_and_kind_of_the_whole_table(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    lines = ["a,b,y"]
    for k in range(60):
        word = "unknown" if k == 11 else f"{rng.random():.3f}"
        lines.append(f"{word},{k % 4},{'rare' if k == 7 else 'uv'[k % 2]}")
    results = fold_metrics(made(tmp_path / "t.csv", lines), trainers()[name], Folds(COLUMNS, 5))  # type: ignore[arg-type]
    assert [result["classes"] for result in results] == [["rare", "u", "v"]] * 5
    assert sum(result["rows"] for result in results) == 60


def test_folds_do_not_guess_the_task_again(tmp_path: Path) -> None:
    lines = ["a,y", *(f"{k * 7 % 11},{20 if k == 3 else k % 20}" for k in range(100))]
    results = fold_metrics(made(tmp_path / "t.csv", lines), trainers()["boost"], Folds(COLUMNS, 5))  # type: ignore[arg-type]
    assert all("rmse" in result for result in results), "21 values are numbers, 20 would be classes"


def test_domain_classifiers_do_not_judge_by_their_fold(tmp_path: Path) -> None:
    table = made(tmp_path / "t.csv", ["a,b", *(f"{'word' if k == 3 else k},{k % 3}" for k in range(40))])
    assert len(covariate_weights(table, table).weights) == 40


def test_a_class_or_category_may_be_written_as_another_number(tmp_path: Path) -> None:
    lines = [f"{k % 7},{int(k % 7 > 2)}" for k in range(60)]
    train = made(tmp_path / "t.csv", ["a,y", *lines])
    model = train_gradient(train, replace(COLUMNS, categorical=("a",)), QUICK)
    other = made(tmp_path / "u.csv", ["a,y", *(f"{line.replace(',', '.0,')}.0" for line in lines)])
    np.testing.assert_array_equal(model.predict(train), model.predict(other))


def test_dates_are_days_in_csv_and_parquet(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    days = pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 4, 9), "1d", eager=True)
    frame = pl.DataFrame(
        {"d": days.cast(pl.Datetime("ms")), "y": [float(k * k % 97) for k in range(len(days))]}
    )
    frame.write_parquet(tmp_path / "t.parquet")
    frame.with_columns(pl.col("d").cast(pl.Date)).write_csv(tmp_path / "day.csv")
    frame.with_columns(pl.col("d").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(tmp_path / "second.csv")
    tables = [read_table(tmp_path / name) for name in ("t.parquet", "day.csv", "second.csv")]
    for table in tables:
        assert table.is_numeric("d")
        assert table.holds_dates("d")
        np.testing.assert_array_equal(table.numbers("d")[:2], [18262, 18263])
    model = train_gradient(tables[0], COLUMNS, QUICK)
    assert len({model.predict(table).tobytes() for table in tables}) == 1
    words = made(tmp_path / "no.csv", ["d,y", "2020-01-01,1", "2020-13-01,2", ",3", "2020-01-01 x,2"])
    assert not words.is_numeric("d")
    with pytest.raises(DataError, match=r"no\.csv:2: column 'd': '2020-01-01' is not a number"):
        words.numbers("d")
    gap = made(tmp_path / "gap.csv", ["d,y", "2020-01-01,1", "?,2", "2020-01-02 06:00,3"])
    np.testing.assert_array_equal(gap.numbers("d"), [18262, np.nan, 18263.25])


def test_models_keep_the_words_for_missing(tmp_path: Path) -> None:
    lines = ["a,b,y", *(f"{-999 if k % 5 == 0 else k % 11},{k % 4},{'uv'[k % 11 > 5]}" for k in range(80))]
    table = made(tmp_path / "t.csv", lines, TableFormat(missing=("-999",)))
    for name, fit in trainers().items():
        assert list(fit(table).settings["na"]) == ["-999"], name  # type: ignore[operator]
    plain = train_gradient(made(tmp_path / "t.csv", lines), COLUMNS, QUICK)
    assert "na" not in plain.settings


def test_what_may_be_meant_as_numbers_is_said(tmp_path: Path) -> None:
    lines = ["a,b,c,d,y"]
    lines += [
        f'{"none" if k == 30 else k},"{k},5",{k % 2}x,{"low" if k % 3 else k},{"uv"[k % 2]}'
        for k in range(40)
    ]
    said: list[str] = []
    train_gradient(made(tmp_path / "t.csv", lines), COLUMNS, QUICK, remark=said.append)
    assert said == [
        "column 'a' is used as categories: 1 of its 40 values are no numbers, such as 'none' in line 32; "
        "--na none makes it missing",
        "column 'b' is used as categories: its numbers are written with commas, such as '0,5'",
    ]
    said.clear()
    train_gradient(
        made(tmp_path / "t.csv", lines), replace(COLUMNS, categorical=("a", "b")), QUICK, remark=said.append
    )
    assert said == []


def test_a_training_that_cannot_split_says_so(tmp_path: Path) -> None:
    table = made(tmp_path / "t.csv", ["a,y", *(f"{k},{'uv'[k % 2]}" for k in range(20))])
    said: list[str] = []
    train_gradient(table, COLUMNS, GradientSettings(), remark=said.append)
    assert said == [
        "nothing more to split after 0 of 100 rounds: see --min-leaf (20) and --min-gain (0); 20 rows"
    ]


def test_small_tables_learn_from_categories(tmp_path: Path) -> None:
    table = made(tmp_path / "t.csv", ["k,y", *(f"c{k % 7},{'ab'[k % 7 > 3]}" for k in range(90))])
    model = train_gradient(table, COLUMNS, GradientSettings(rounds=10))
    assert (model.predict(table).argmax(axis=1) == [k % 7 > 3 for k in range(90)]).all()


def test_columns_that_say_nothing_are_one_remark(tmp_path: Path) -> None:
    names = [f"x{k}" for k in range(30)]
    lines = [",".join(["a", *names, "y"]), *(f"{k},{'1,' * 30}{k % 2}" for k in range(50))]
    said: list[str] = []
    train_bag(made(tmp_path / "t.csv", lines), COLUMNS, ForestSettings(rounds=1), remark=said.append)
    assert said == ["30 columns hold one value and are left out: 'x0', 'x1', 'x2', 'x3', 'x4', ..."]


def test_monotone_constraints_do_not_go_with_losses_that_renew_leaves(tmp_path: Path) -> None:
    table = made(tmp_path / "t.csv", ["a,y", *(f"{k},{k * 7 % 31}.5" for k in range(60))])
    for loss in ("absolute", "quantile"):
        with pytest.raises(UsageError, match="monotone"):
            train_gradient(table, COLUMNS, replace(QUICK, monotone={"a": 1}), loss=loss)


def test_a_missing_weight_column_is_named(tmp_path: Path) -> None:
    table = made(tmp_path / "t.csv", ["a,y", "1,u", "2,v"])
    with pytest.raises(DataError, match="missing column 'w'"):
        train_gradient(table, replace(COLUMNS, weight="w"), QUICK)


def test_a_checkpoint_of_other_rows_is_refused(tmp_path: Path) -> None:
    tables = [
        made(tmp_path / "t.csv", ["a,y", *(f"{k * step % 41},{'uv'[k % 2]}" for k in range(60))])
        for step in (7, 11)
    ]
    path = tmp_path / "c"
    with StopSignals() as stop:
        fresh = train_gradient(
            tables[0], COLUMNS, QUICK, checkpoint=Checkpoints(path, 0, stop), resume=True
        )  # nothing to resume yet
        with pytest.raises(CheckpointError, match="input"):
            train_gradient(tables[1], COLUMNS, QUICK, checkpoint=Checkpoints(path, 0, stop), resume=True)
        again = train_gradient(tables[0], COLUMNS, QUICK, checkpoint=Checkpoints(path, 0, stop), resume=True)
    np.testing.assert_array_equal(fresh.trees.value, again.trees.value)


def test_the_loss_on_held_out_rows_is_that_of_the_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lines = ["a,y", *(f"{rng.random():.3f},{'uv'[rng.integers(2)]}" for _ in range(80))]
    table = made(tmp_path / "t.csv", lines)
    valid = made(tmp_path / "v.csv", ["a,y", *lines[1:30]])
    noise = GradientSettings(rounds=30, min_leaf=1, learning_rate=0.5)
    held = made(
        tmp_path / "h.csv", ["a,y", *(f"{rng.random():.3f},{'uv'[rng.integers(2)]}" for _ in range(80))]
    )
    from mlkit.tables.metrics import evaluate
    from mlkit.tables.target import target_values

    for rows, early in ((held, 0), (held, 4), (valid, 0)):
        model = train_gradient(table, COLUMNS, replace(noise, early_stop=early), valid=rows)
        truth = target_values(rows, "y", model.classes)
        found = evaluate(model.predict(rows), truth, model.classes)["log_loss"]
        assert model.metrics["valid_loss"] == pytest.approx(found, abs=1e-6)
        truth = target_values(table, "y", model.classes)
        found = evaluate(model.predict(table), truth, model.classes)["log_loss"]
        assert model.metrics["train_loss"] == pytest.approx(found, abs=1e-6)


def test_a_continued_model_does_not_draw_the_same_rows_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["a,b,y", *(f"{a:.3f},{b:.3f},{a * b + a:.3f}" for a, b in rng.normal(size=(200, 2)))]
    table = made(tmp_path / "t.csv", lines)
    settings = GradientSettings(rounds=10, min_leaf=3, rows=0.5, columns=0.5)
    first = train_gradient(table, COLUMNS, replace(settings, rounds=6))
    both = train_gradient(table, COLUMNS, replace(settings, rounds=4), before=first)
    once = train_gradient(table, COLUMNS, settings)
    np.testing.assert_allclose(both.predict(table), once.predict(table), rtol=1e-5)
    with pytest.raises(UsageError, match="was trained with loss 'squared'"):
        train_gradient(table, COLUMNS, settings, before=first, loss="absolute")


def test_linear_models_take_named_categories_and_say_what_they_leave_out(tmp_path: Path) -> None:
    lines = ["k,x,y", *(f"{k % 5},w{k},{'uv'[k % 5 in (1, 3)]}" for k in range(150))]
    table = made(tmp_path / "t.csv", lines)
    said: list[str] = []
    columns = replace(COLUMNS, categorical=("k",), ignore=("x",))
    model = train_linear_bag(table, columns, ForestSettings(rounds=1), remark=said.append)
    assert (model.predict(table).argmax(axis=1) == [k % 5 in (1, 3) for k in range(150)]).all()
    assert said == []
    train_linear_bag(table, COLUMNS, ForestSettings(rounds=1), remark=said.append)
    assert said == ["column 'x' has 150 categories: the 100 most frequent are used"]


@pytest.mark.parametrize("name", ["linear", "net"])
def test_equal_numbers_have_no_spread(tmp_path: Path, name: str) -> None:
    table = made(tmp_path / "t.csv", ["a,b,y", *(f"0.1,{k % 5},{'uv'[k % 2]}" for k in range(100))])
    other = made(tmp_path / "u.csv", ["a,b", "0.1,2", "0.2,2"])
    first, second = trainers()[name](table).predict(other)[:, 0]  # type: ignore[operator]
    assert abs(first - second) < 0.1, "not a thousand deviations away"


def test_mean_and_spread_of_any_numbers() -> None:
    assert mean_and_spread(np.array([np.nan, 0.1, 0.1, 0.1])) == (0.1, 0.0)
    assert mean_and_spread(np.array([np.nan])) == (0.0, 0.0)
    assert mean_and_spread(np.zeros(3)) == (0.0, 0.0)
    values = np.array([1e300, -1e300, np.nan, 2e300])
    mean, spread = mean_and_spread(values)
    assert mean == pytest.approx(2e300 / 3)
    assert spread == pytest.approx(np.nanstd(values / 1e300) * 1e300)
    rng = np.random.default_rng(1)
    values = rng.normal(3, 2, 100)
    assert mean_and_spread(values) == (values.mean(), values.std())


def test_a_target_that_single_precision_cannot_hold_is_refused(tmp_path: Path) -> None:
    table = made(tmp_path / "t.csv", ["a,y", *(f"{k},{k}e{30 + k}" for k in range(9))])
    with pytest.raises(DataError, match=r"t\.csv:8: column 'y': the target is above 1e\+36"):
        train_gradient(table, replace(COLUMNS, task="regression"), QUICK)
