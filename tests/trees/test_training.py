"""Trained models: quality against LightGBM and scikit-learn, invariants, files."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError, MlkitError, ModelError, UsageError
from mlkit.formats.table_files import Table, read_table, write_table
from mlkit.linear.train import train_linear
from mlkit.tables.columns import Columns  # fmt: skip
from mlkit.tables.metrics import evaluate
from mlkit.trees import (
    AdaBoostSettings,
    ForestSettings,
    GradientSettings,
    load_predictor,
    load_trees,
    train_adaboost,
    train_bag,
    train_gradient,
    train_linear_bag,
)
from mlkit.trees.export import to_json, to_lightgbm
from mlkit.trees.model import TreeModel


def made_table(path: Path, rows: int = 1500, seed: int = 1) -> Table:
    """A table with numbers, gaps, categories, and targets of every kind."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=rows), rng.integers(0, 6, rows)
    c = rng.integers(0, 12, rows)
    signal = np.sin(2 * x) + 0.4 * z + np.where(c % 3 == 0, 1.5, 0.0)
    y = signal + rng.normal(scale=0.3, size=rows)
    two = np.where(signal + rng.normal(scale=0.5, size=rows) > 1.5, "yes", "no")
    three = np.digitize(y, [0.8, 2.0])
    gap = rng.random(rows) < 0.1
    lines = ["x,z,c,y,two,three,count,w"]
    for k in range(rows):
        shown = "" if gap[k] else f"{x[k]:.4f}"
        lines.append(
            f"{shown},{z[k]},k{c[k]},{y[k]:.4f},{two[k]},{three[k]},{max(0, round(y[k]))},{1 + k % 3}"
        )
    path.write_text("\n".join(lines) + "\n")
    return read_table(path)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, Table]:
    folder = tmp_path_factory.mktemp("tables")
    return made_table(folder / "train.csv"), made_table(folder / "test.csv", 700, 2)


INPUTS = ("y", "two", "three", "count", "w")


def columns(target: str, **more: object) -> Columns:
    return Columns(target, ignore=tuple(name for name in INPUTS if name != target), **more)  # type: ignore[arg-type]


def as_numbers(model: TreeModel, table: Table) -> np.ndarray:
    """Columns as LightGBM takes them: categories by place, NaN for missing."""
    parts = []
    for feature in model.encoder.features:
        if feature.categorical:
            codes = table.codes(feature.name, feature.categories).astype(float)
            codes[codes < 0] = np.nan
            parts.append(codes)
        else:
            parts.append(table.numbers(feature.name))
    return np.column_stack(parts)


@pytest.mark.parametrize(
    ("target", "objective"), [("y", "regression"), ("two", "binary"), ("three", "multiclass")]
)
def test_quality_is_that_of_lightgbm(tables: tuple[Table, Table], target: str, objective: str) -> None:
    lgb = pytest.importorskip("lightgbm")
    train, test = tables
    model = train_gradient(train, columns(target), GradientSettings(rounds=40))
    goal = train.numbers("y") if target == "y" else train.codes(target, model.classes)
    params = {
        "objective": objective,
        "num_threads": 1,
        "verbose": -1,
        "num_class": 3 if target == "three" else 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = lgb.Dataset(as_numbers(model, train), goal, categorical_feature=[2])
        theirs = lgb.train(params, data, 40).predict(as_numbers(model, test))
    truth = test.numbers("y") if target == "y" else test.codes(target, model.classes).astype(float)
    if target == "two":
        theirs = np.stack([1 - theirs, theirs], axis=1)
    metric = "rmse" if target == "y" else "log_loss"
    ours = evaluate(model.predict(test), truth, model.classes)[metric]
    assert ours <= 1.02 * evaluate(theirs, truth, model.classes)[metric]


@pytest.mark.parametrize(
    ("target", "loss"),
    [("y", "squared"), ("y", "absolute"), ("two", None), ("three", None), ("count", "poisson")],
)
def test_lightgbm_loads_the_export_and_predicts_the_same(
    tables: tuple[Table, Table], target: str, loss: str | None
) -> None:
    lgb = pytest.importorskip("lightgbm")
    train, test = tables
    model = train_gradient(train, columns(target), GradientSettings(rounds=12), loss=loss)
    theirs = lgb.Booster(model_str=to_lightgbm(model)).predict(as_numbers(model, test))
    ours = model.predict(test)
    np.testing.assert_allclose(ours[:, 1] if target == "two" else ours, theirs, rtol=1e-6, atol=1e-9)


def test_lightgbm_loads_an_exported_forest(tables: tuple[Table, Table]) -> None:
    lgb = pytest.importorskip("lightgbm")
    train, test = tables
    model = train_bag(train, columns("two"), ForestSettings(rounds=5, max_depth=6))
    theirs = lgb.Booster(model_str=to_lightgbm(model)).predict(as_numbers(model, test))
    np.testing.assert_allclose(model.predict(test)[:, 1], theirs, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared", "absolute", "quantile", "poisson", "gamma"])
def test_every_loss_is_lowered(tables: tuple[Table, Table], loss: str) -> None:
    train, test = tables
    positive = loss == "gamma"
    target = "w" if positive else "count" if loss == "poisson" else "y"
    chosen = replace(
        columns(target), ignore=tuple(n for n in INPUTS if n not in (target, "y" if positive else ""))
    )
    few = train_gradient(train, chosen, GradientSettings(rounds=1), loss=loss, quantile=0.8)
    many = train_gradient(train, chosen, GradientSettings(rounds=40), loss=loss, quantile=0.8)
    assert many.metrics["train_loss"] < few.metrics["train_loss"]
    if loss == "quantile":
        assert abs((test.numbers("y") <= many.predict(test)).mean() - 0.8) < 0.06


@pytest.mark.parametrize("threads", [2, 3])
def test_results_do_not_depend_on_threads(
    tables: tuple[Table, Table], threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlkit.trees.boosting.PART_SIZE", 100)
    monkeypatch.setattr("mlkit.trees.boosting.BLOCK", 100)
    train, _ = tables
    jobs = {
        "two": lambda n: train_gradient(train, columns("two"), GradientSettings(rounds=6), threads=n),
        "three": lambda n: train_gradient(train, columns("three"), GradientSettings(rounds=4), threads=n),
        "bag": lambda n: train_bag(
            train, columns("three"), ForestSettings(rounds=6, features="sqrt"), threads=n
        ),
    }
    for name, job in jobs.items():
        job(1).save(tmp_path / f"{name}.1")
        job(threads).save(tmp_path / f"{name}.n")
        assert (tmp_path / f"{name}.1").read_bytes() == (tmp_path / f"{name}.n").read_bytes()


@pytest.mark.parametrize(
    "more", [{"rows": 0.6}, {"columns": 0.5}, {"goss": True, "learning_rate": 0.5}, {"max_depth": 3}]
)
def test_sampling_still_learns(tables: tuple[Table, Table], more: dict[str, float]) -> None:
    train, test = tables
    model = train_gradient(train, columns("y"), GradientSettings(rounds=40, **more))  # type: ignore[arg-type]
    assert evaluate(model.predict(test), test.numbers("y"), ())["r2"] > 0.8


def test_monotone_constraints_hold(tables: tuple[Table, Table]) -> None:
    train, test = tables
    for sign in (1, -1):
        model = train_gradient(train, columns("y"), GradientSettings(rounds=30, monotone={"z": sign}))
        before = None
        for value in range(6):
            moved = test.with_column("z", [str(value)] * test.rows)
            found = model.predict(moved)
            if before is not None:
                assert (sign * (found - before) >= -1e-9).all()
            before = found


def test_early_stopping_keeps_the_best_round(tables: tuple[Table, Table]) -> None:
    train, test = tables
    settings = GradientSettings(rounds=300, early_stop=5, learning_rate=0.3)
    model = train_gradient(train, columns("two"), settings, valid=test)
    assert 1 <= model.rounds < 300
    truth = test.codes("two", model.classes).astype(float)
    loss = evaluate(model.predict(test), truth, model.classes)["log_loss"]
    assert loss == pytest.approx(model.metrics["valid_loss"], rel=1e-6)
    inside = train_gradient(train, columns("two"), settings)
    assert inside.metrics["valid_rows"] == 150


def test_init_model_continues_where_the_first_stopped(tables: tuple[Table, Table]) -> None:
    train, test = tables
    first = train_gradient(train, columns("y"), GradientSettings(rounds=10))
    more = train_gradient(train, columns("y"), GradientSettings(rounds=10), before=first)
    whole = train_gradient(train, columns("y"), GradientSettings(rounds=20))
    assert more.rounds == 20
    np.testing.assert_allclose(more.predict(test), whole.predict(test), rtol=1e-4, atol=1e-4)


def test_weights_count_like_repeated_rows(tables: tuple[Table, Table]) -> None:
    train, test = tables
    places = np.repeat(np.arange(train.rows), train.numbers("w").astype(int))
    weighted = train_bag(
        train, columns("y", weight="w"), ForestSettings(rounds=1, bootstrap=False, max_depth=3)
    )
    repeated = train_bag(
        train.take(places), columns("y"), ForestSettings(rounds=1, bootstrap=False, max_depth=3)
    )
    difference = np.abs(weighted.predict(test) - repeated.predict(test))
    assert np.median(difference) < 0.02  # the edges of bins do not know weights


def test_forest_is_as_accurate_as_scikit_learns(tables: tuple[Table, Table]) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    train, test = tables
    model = train_bag(train, columns("two"), ForestSettings(features="sqrt", out_of_bag=True))
    x, v = (np.nan_to_num(as_numbers(model, table), nan=-9) for table in tables)
    theirs = ensemble.RandomForestClassifier(100, random_state=1).fit(x, train.codes("two", model.classes))
    truth = test.codes("two", model.classes)
    ours = evaluate(model.predict(test), truth.astype(float), model.classes)["accuracy"]
    assert ours >= theirs.score(v, truth) - 0.02
    assert abs(model.metrics["out_of_bag"]["accuracy"] - ours) < 0.04


def test_votes_are_shares_of_trees(tables: tuple[Table, Table]) -> None:
    train, test = tables
    for target in ("two", "three"):
        model = train_bag(train, columns(target), ForestSettings(rounds=4, vote=True, max_depth=4))
        shares = model.predict(test) * 4
        np.testing.assert_allclose(shares, np.round(shares), atol=1e-5)


@pytest.mark.parametrize("target", ["two", "three", "y"])
def test_adaboost_learns(tables: tuple[Table, Table], target: str) -> None:
    train, test = tables
    depth = 1 if target == "two" else 3
    model = train_adaboost(train, columns(target), AdaBoostSettings(rounds=40, max_depth=depth))
    truth = test.numbers("y") if target == "y" else test.codes(target, model.classes).astype(float)
    found = evaluate(model.predict(test), truth, model.classes)
    assert (found["r2"] if target == "y" else found["accuracy"]) > 0.7


@pytest.mark.parametrize("classes", [2, 4])
def test_adaboost_is_scikit_learns_samme(tmp_path: Path, classes: int) -> None:
    ensemble, tree = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(5)
    x = rng.integers(0, 40, (600, 4))
    y = np.digitize(
        np.sin(x[:, 0] / 6) + x[:, 1] / 30 + rng.normal(0, 0.2, 600), [0.2, 0.7, 1.2][: classes - 1]
    )
    lines = ["a,b,c,d,y", *(",".join(map(str, (*row, f"k{k}"))) for row, k in zip(x, y, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    table = read_table(tmp_path / "t.csv")
    model = train_adaboost(table, Columns("y"), AdaBoostSettings(rounds=8, max_depth=1))
    theirs = ensemble.AdaBoostClassifier(tree.DecisionTreeClassifier(max_depth=1), n_estimators=8).fit(x, y)
    np.testing.assert_allclose(model.predict(table), theirs.predict_proba(x), atol=1e-6)


def test_linear_models_are_scikit_learns(tables: tuple[Table, Table]) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    train, test = tables
    for target in ("y", "two", "three"):
        model = train_linear(train, columns(target))
        matrix, other = model.design.matrix(train)[:, :-1], model.design.matrix(test)[:, :-1]
        if target == "y":
            theirs = linear.Ridge(1.0).fit(matrix, train.numbers("y")).predict(other)
        else:
            fitted = linear.LogisticRegression(max_iter=3000, tol=1e-9).fit(
                matrix, train.codes(target, model.classes)
            )
            theirs = fitted.predict_proba(other)
        np.testing.assert_allclose(model.predict(test), theirs, atol=2e-3)


@pytest.mark.parametrize("target", ["y", "two", "three"])
@pytest.mark.parametrize("algorithm", ["gradient", "adaboost", "bag", "linear"])
def test_a_saved_model_predicts_the_same(
    tables: tuple[Table, Table], tmp_path: Path, target: str, algorithm: str
) -> None:
    train, test = tables
    made = {
        "gradient": lambda: train_gradient(train, columns(target), GradientSettings(rounds=5)),
        "adaboost": lambda: train_adaboost(train, columns(target), AdaBoostSettings(rounds=5, max_depth=2)),
        "bag": lambda: train_bag(train, columns(target), ForestSettings(rounds=5, features="sqrt")),
        "linear": lambda: train_linear_bag(train, columns(target), ForestSettings(rounds=3)),
    }[algorithm]()
    made.save(tmp_path / "m")
    loaded = load_predictor(tmp_path / "m")
    assert (loaded.predict(test, threads=2) == made.predict(test)).all()
    if isinstance(loaded, TreeModel):
        assert loaded.trees.leaves(loaded.encoder.encode(test)).shape == (test.rows, len(loaded.trees))
        assert len(to_json(loaded)["trees"]) == len(loaded.trees)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 4000), place=st.integers(0, 4000), byte=st.integers(0, 255))
def test_damaged_models_are_refused_or_read(
    tables: tuple[Table, Table], tmp_path: Path, cut: int, place: int, byte: int
) -> None:
    train, test = tables
    whole = tmp_path / "m"
    if not whole.exists():
        train_gradient(train, columns("three"), GradientSettings(rounds=2)).save(whole)
    data = bytearray(whole.read_bytes())
    data[place % len(data)] = byte
    (tmp_path / "d").write_bytes(data[: max(1, len(data) - cut)] if cut < 3000 else data)
    try:
        load_trees(tmp_path / "d").predict(test.take(np.arange(5)))
    except MlkitError:
        pass


def test_another_kind_is_refused(tables: tuple[Table, Table], tmp_path: Path) -> None:
    train, _ = tables
    train_bag(train, columns("two"), ForestSettings(rounds=1)).save(tmp_path / "m")
    with pytest.raises(ModelError, match="kind 'bag', expected 'boost'"):
        load_predictor(tmp_path / "m", ("boost",))


def test_a_model_is_a_sixth_of_scikit_learns_pickle(tables: tuple[Table, Table], tmp_path: Path) -> None:
    import pickle

    ensemble = pytest.importorskip("sklearn.ensemble")
    train, _ = tables
    model = train_bag(train, columns("three"), ForestSettings(features="sqrt", rounds=20))
    model.save(tmp_path / "m")
    x = np.nan_to_num(as_numbers(model, train), nan=-9)
    theirs = ensemble.RandomForestClassifier(20, random_state=1).fit(x, train.codes("three", model.classes))
    assert (tmp_path / "m").stat().st_size * 6 <= len(pickle.dumps(theirs))


def test_settings_that_make_no_sense_are_refused(tables: tuple[Table, Table]) -> None:
    train, _ = tables
    with pytest.raises(UsageError):
        GradientSettings(rows=0)
    with pytest.raises(UsageError):
        ForestSettings(features="some")
    with pytest.raises(UsageError, match="does not fit"):
        train_gradient(train, columns("three", task="classification"), GradientSettings(), loss="logistic")
    with pytest.raises(UsageError, match="no such column"):
        train_gradient(train, columns("y"), GradientSettings(rounds=1, monotone={"q": 1}))
    with pytest.raises(DataError, match=r"train.csv:\d+: column 'y': poisson loss needs values from 0 on"):
        train_gradient(train, columns("y"), GradientSettings(rounds=1), loss="poisson")


def test_class_weights_move_the_threshold(tables: tuple[Table, Table]) -> None:
    train, test = tables
    plain = train_gradient(train, columns("two"), GradientSettings(rounds=10))
    heavy = train_gradient(train, columns("two", class_weight="yes=9,no=1"), GradientSettings(rounds=10))
    assert heavy.predict(test)[:, 1].mean() > plain.predict(test)[:, 1].mean() + 0.1
    train_gradient(train, columns("two", class_weight="balanced"), GradientSettings(rounds=2))
    with pytest.raises(UsageError, match="maybe"):
        train_gradient(train, columns("two", class_weight="maybe=9"), GradientSettings(rounds=2))


def test_libsvm_and_csv_give_the_same_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(200, 3)), 3)
    y = (x[:, 0] > 0).astype(int)
    (tmp_path / "t.svm").write_text(
        "".join(
            f"{label} " + " ".join(f"{k + 1}:{v}" for k, v in enumerate(row)) + "\n"
            for label, row in zip(y, x, strict=True)
        )
    )
    lines = [",".join(map(str, [label, *row])) for label, row in zip(y, x, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["label,f1,f2,f3", *lines]) + "\n")
    write_table(tmp_path / "t.parquet", read_table(tmp_path / "t.csv"))
    found = []
    for name in ("t.svm", "t.csv", "t.parquet"):
        table = read_table(tmp_path / name)
        found.append(train_gradient(table, Columns("label"), GradientSettings(rounds=5)).predict(table))
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(found[2], found[1])
