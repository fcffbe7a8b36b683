"""Evaluation, calibration, folds, targets and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import read_table
from mlkit.tables.calibration import fit_calibration
from mlkit.tables.columns import Columns
from mlkit.tables.metrics import area_under_curve, evaluate
from mlkit.tables.target import ordered_classes, read_target, read_weights
from mlkit.tables.validation import fold_places, hold_out
from mlkit.trees import GradientSettings, train_gradient
from mlkit.trees.adaboost import weighted_median
from mlkit.trees.importance import permutation_importance, tree_importance
from mlkit.trees.losses import make_loss, weighted_quantile
from mlkit.trees.reweight import covariate_weights, label_weights, nonnegative_solution
from tests.naive import trees as naive


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 8, 40).astype(float)
    positive = rng.random(40) < 0.4
    expected = naive.area_under_curve(scores.tolist(), positive.tolist())
    assert area_under_curve(scores, positive, np.ones(40)) == pytest.approx(expected)
    assert area_under_curve(scores, np.zeros(40, bool), np.ones(40)) is None


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_are_scikit_learns(classes: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(classes), 300)
    y = np.array([rng.choice(classes, p=row) for row in p])
    w = rng.integers(1, 4, 300).astype(float)
    found = evaluate(p, y.astype(float), [str(k) for k in range(classes)], w)
    average = "binary" if classes == 2 else "macro"
    predicted = p.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted, sample_weight=w))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p, sample_weight=w))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, predicted, average=average, sample_weight=w))
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(y, predicted, sample_weight=w)
    )
    area = p[:, 1] if classes == 2 else p
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, area, multi_class="ovr", sample_weight=w))
    assert found["confusion"] == metrics.confusion_matrix(y, predicted, sample_weight=w).astype(int).tolist()


def test_metrics_of_classes_that_are_missing_or_never_right_are_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    y = np.array([0, 0, 1, 1, 3])
    p = np.array([[0.9, 0.1, 0, 0], [0, 0, 1, 0], [0.2, 0.8, 0, 0], [0.6, 0.4, 0, 0], [0.1, 0.1, 0.1, 0.7]])
    found = evaluate(p, y.astype(float), list("abcd"))
    predicted = p.argmax(axis=1)
    for name in ("f1", "precision", "recall"):
        theirs = getattr(metrics, f"{name}_score")(y, predicted, average="macro", zero_division=0)
        assert found[name] == pytest.approx(theirs), name
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p, labels=range(4)))
    assert found["balanced_accuracy"] == pytest.approx(np.mean([0.5, 0.5, 1]))


def test_regression_metrics() -> None:
    found = evaluate(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]), ())
    assert found["rmse"] == pytest.approx((1 / 3) ** 0.5)
    assert found["r2"] == pytest.approx(0.5)
    assert evaluate(np.array([1.0, 2.0]), np.array([1.0, 1.0]), ())["r2"] is None


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_calibration_lowers_the_log_loss(method: str, classes: int) -> None:
    rng = np.random.default_rng(3)
    honest = rng.dirichlet(np.full(classes, 2.0), 4000)
    y = np.array([rng.choice(classes, p=row) for row in honest]).astype(float)
    bold = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    made = fit_calibration(method, bold, y).apply(bold)
    np.testing.assert_allclose(made.sum(axis=1), 1)
    names = [str(k) for k in range(classes)]
    assert evaluate(made, y, names)["log_loss"] < evaluate(bold, y, names)["log_loss"]


def test_isotonic_is_scikit_learns() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(4)
    p = np.round(rng.random(300), 2)
    y = (rng.random(300) < p**2).astype(float)
    made = fit_calibration("isotonic", np.stack([1 - p, p], axis=1), y)
    assert naive.isotonic_is_ascending(made.x[0].tolist(), made.y[0].tolist())
    theirs = isotonic.IsotonicRegression(out_of_bounds="clip").fit(p, y).predict(p)
    np.testing.assert_allclose(made.apply(np.stack([1 - p, p], axis=1))[:, 1], theirs, atol=1e-9)


def test_samme_weights_are_the_papers() -> None:
    rng = np.random.default_rng(5)
    target = rng.integers(0, 3, 30).tolist()
    rounds = [[y if rng.random() < 0.6 else 0 for y in target] for _ in range(3)]
    alphas, weights = naive.samme(rounds, target, 3, 1.0)
    assert sum(weights) == pytest.approx(1)
    assert all(alpha > 0 for alpha in alphas)


def test_weighted_median_and_quantile() -> None:
    values = np.array([[3.0, 1.0, 2.0]])
    assert weighted_median(values, np.array([1.0, 1.0, 1.0])).tolist() == [2.0]
    assert weighted_median(values, np.array([5.0, 1.0, 1.0])).tolist() == [3.0]
    assert weighted_quantile(np.array([1.0, 2.0, 3.0]), None, 0.5) == 2.0
    assert weighted_quantile(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0]), 0.5) == 3.0


@pytest.mark.parametrize("name", ["logistic", "softmax", "squared", "poisson", "gamma"])
def test_gradients_are_derivatives(name: str) -> None:
    rng = np.random.default_rng(6)
    loss = make_loss(name, 3)
    target = rng.integers(0, 2, 20).astype(float) if name in ("logistic", "softmax") else rng.random(20) + 0.5
    scores = rng.normal(size=(loss.outputs, 20))
    pairs = np.empty((loss.outputs, 20, 2), np.float32)
    loss.fill_pairs(scores, target, None, pairs, 0, 20)
    weights = rng.random(20)
    weighted = np.zeros_like(pairs)
    loss.fill_pairs(scores, target, weights, weighted, 3, 20)
    np.testing.assert_allclose(weighted[:, 3:], pairs[:, 3:] * weights[3:, None], rtol=1e-6)
    assert not weighted[:, :3].any()
    step = 1e-5
    for k in range(loss.outputs):
        up, down = scores.copy(), scores.copy()
        up[k] += step
        down[k] -= step
        slope = (loss._losses(up, target) - loss._losses(down, target)) / (2 * step)
        factor = 2 if name == "squared" else 1
        np.testing.assert_allclose(pairs[k, :, 0] * factor, slope, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 26])
def test_gradients_keep_their_digits_where_the_model_is_sure(classes: int) -> None:
    rng = np.random.default_rng(7)
    loss = make_loss("logistic" if classes == 2 else "softmax", classes)
    target = rng.integers(0, classes, 90).astype(float)
    scores = rng.normal(size=(loss.outputs, 90)) * 5
    pairs = np.empty((loss.outputs, 90, 2), np.float32)
    loss.fill_pairs(scores, target, None, pairs, 0, 90)
    for row in range(90):
        expected = naive.gradients(scores[:, row].tolist(), int(target[row]))
        np.testing.assert_allclose(pairs[:, row], np.array(expected), rtol=1e-5, atol=2e-15)


def test_folds_are_stratified_or_grouped() -> None:
    target = np.repeat([0.0, 1.0], [90, 10])
    places = fold_places(target, 5, 1, stratified=True)
    assert all((target[places == fold] == 1).sum() == 2 for fold in range(5))
    groups = np.arange(100) // 7
    grouped = fold_places(target, 4, 1, groups=groups)
    assert all(len(set(grouped[groups == g])) == 1 for g in range(15))
    assert min(np.bincount(grouped)) >= 14
    with pytest.raises(UsageError):
        fold_places(target, 20, 1, groups=groups)
    with pytest.raises(UsageError):
        fold_places(target, 101, 1)
    held = hold_out(target, 0.1, 1, stratified=True)
    assert (held[target == 1].sum(), held.sum()) == (1, 10)


def test_targets_are_classes_or_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "word,two,few,real,one,gap,w\n"
        + "".join(f"{'ab'[k % 2]},{k % 2},{k % 11},{k / 3},5,{k if k else ''},{k - 1}\n" for k in range(40))
    )
    table = read_table(tmp_path / "t.csv")
    assert read_target(table, "word").classes == ("a", "b")
    assert read_target(table, "two").classes == ("0", "1")
    assert read_target(table, "few").classes == tuple(map(str, range(11)))
    assert read_target(table, "few", "regression").task == "regression"
    assert read_target(table, "real").classes == ()
    with pytest.raises(DataError, match="one value"):
        read_target(table, "one")
    with pytest.raises(DataError, match=r"t\.csv:2: column 'gap': the target is missing"):
        read_target(table, "gap")
    with pytest.raises(DataError, match=r"t\.csv:2: column 'w': a weight must be"):
        read_weights(table, "w")
    assert ordered_classes(["10", "9", "1.5"]) == ("1.5", "9", "10")


def shifted(path: Path, rows: int, mean: float, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.random(rows) < share
    x = rng.normal(mean, 1, rows) + 2 * y
    path.write_text(
        "x,noise,y\n"
        + "".join(f"{a:.4f},{b:.4f},{int(c)}\n" for a, b, c in zip(x, rng.normal(size=rows), y, strict=True))
    )


@pytest.mark.parametrize("classifier", ["logistic", "boost"])
def test_covariate_weights_move_the_mean(tmp_path: Path, classifier: str) -> None:
    shifted(tmp_path / "a.csv", 2000, 0.0, 0.0, 1)
    shifted(tmp_path / "b.csv", 2000, 0.7, 0.0, 2)
    a, b = read_table(tmp_path / "a.csv"), read_table(tmp_path / "b.csv")
    found = covariate_weights(a, b, ignore=("y",), classifier=classifier)
    assert found.weights.mean() == pytest.approx(1)
    assert np.average(a.numbers("x"), weights=found.weights) == pytest.approx(b.numbers("x").mean(), abs=0.15)
    assert found.auc > 0.6
    assert found.effective_rows < 2000
    with pytest.raises(DataError, match="no column in common"):
        covariate_weights(a, b, ignore=("x", "noise", "y"))


def test_label_weights_find_the_new_shares(tmp_path: Path) -> None:
    for name, share, seed in (("train", 0.5, 1), ("valid", 0.5, 2), ("new", 0.15, 3)):
        shifted(tmp_path / f"{name}.csv", 3000, 0.0, share, seed)
    train, valid, new = (read_table(tmp_path / f"{name}.csv") for name in ("train", "valid", "new"))
    model = train_gradient(train, Columns("y"), GradientSettings(rounds=20))
    found = label_weights(model, valid, new)
    np.testing.assert_allclose(found.shares, [0.85, 0.15], atol=0.05)
    assert (nonnegative_solution(np.array([[1.0, 1.0], [1.0, 1.0 + 1e-9]]), np.array([1.0, -1.0])) >= 0).all()


def test_importance_finds_the_column_that_matters(tmp_path: Path) -> None:
    shifted(tmp_path / "t.csv", 1000, 0.0, 0.5, 1)
    table = read_table(tmp_path / "t.csv")
    model = train_gradient(table, Columns("y"), GradientSettings(rounds=10))
    assert model.names == ["x", "noise"]
    for values in (
        tree_importance(model, "gain"),
        permutation_importance(model, table, table.codes("y", model.classes).astype(float)),
    ):
        assert values[0] > 3 * max(values[1], 0)
