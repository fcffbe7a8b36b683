"""Small tables and weights: leaves are counted by rows, bins may hold one row, a factor of all weights is nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlkit.errors import DataError
from mlkit.formats.table import Table
from mlkit.formats.table_files import read_table
from mlkit.stacking import StackSettings, train_stack
from mlkit.tables.columns import Columns
from mlkit.trees import AdaBoostSettings, ForestSettings, train_adaboost, train_bag, train_linear_bag
from mlkit.trees.binning import find_edges
from mlkit.trees.forest import ForestJob, Grower, grow_tree, sample_weights

ONE = ForestSettings(rounds=1, bootstrap=False)


def written(path: Path, columns: dict[str, np.ndarray]) -> Table:
    rows = zip(*(map(str, values.tolist()) for values in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *map(",".join, rows)]) + "\n")
    return read_table(path)


def forty(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, z = np.round(rng.normal(size=(2, 40)), 3)
    return {"x": x, "z": z, "y": np.where(x + z + rng.normal(size=40) > 0, "b", "a")}


def test_a_tree_learns_nine_rows_by_heart(tmp_path: Path) -> None:
    data = {"x": np.arange(1, 10), "y": np.array(list("abaabbaba"))}
    table = written(tmp_path / "t.csv", data)
    model = train_bag(table, Columns("y"), ONE)
    assert (np.array(["a", "b"])[model.predict(table).argmax(axis=1)] == data["y"]).all()


def test_adaboost_of_forty_rows_is_scikit_learns(tmp_path: Path) -> None:
    data = forty()
    table = written(tmp_path / "t.csv", data)
    found = train_adaboost(table, Columns("y"), AdaBoostSettings(rounds=30)).predict(table)
    inputs = np.stack([data["x"], data["z"]], axis=1)
    peer = AdaBoostClassifier(n_estimators=30).fit(inputs, data["y"]).predict_proba(inputs)
    assert log_loss(data["y"], found) == pytest.approx(log_loss(data["y"], peer), abs=0.02)


@pytest.mark.parametrize("min_rows", [1, 3, 10])
@pytest.mark.parametrize("rows", [50, 400, 2000])
def test_bins_hold_that_many_rows(rows: int, min_rows: int) -> None:
    values = np.random.default_rng(rows).normal(size=rows)
    edges = find_edges(values, 255, min_rows)
    sizes = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    assert sizes[:-1].min() >= min_rows
    assert len(sizes) > 0.6 * min(255, rows // min_rows)


@pytest.mark.parametrize("target", ["y", "three", "number"])
@pytest.mark.parametrize("extra", [False, True])
def test_a_factor_of_all_weights_changes_nothing(tmp_path: Path, target: str, extra: bool) -> None:
    data = forty()
    rng = np.random.default_rng(3)
    data |= {"three": rng.choice(["p", "q", "r"], 40), "number": np.round(data["x"] * 2 + data["z"], 4)}
    weights = rng.integers(1, 9, 40) / 8
    models = []
    for number, factor in enumerate((1.0, 1 / weights.sum(), 1e-30, 3.7e20)):
        table = written(tmp_path / f"{number}.csv", data | {"w": weights * factor})
        columns = Columns(target, weight="w", ignore=tuple({"y", "three", "number"} - {target}))
        made = train_bag(table, columns, ForestSettings(rounds=5, extra=extra, min_leaf=2))
        made.save(tmp_path / f"{number}.model")
        models.append((tmp_path / f"{number}.model").read_bytes())
        assert len(made.trees.left) > 20
    assert models[1:] == models[:-1]


@pytest.mark.parametrize("kind", ["logistic", "stack"])
def test_penalties_are_by_the_row(tmp_path: Path, kind: str) -> None:
    data = forty()
    found = []
    for number, factor in enumerate((1.0, 0.025, 1e12)):
        table = written(tmp_path / f"{number}.csv", data | {"w": np.full(40, factor)})
        columns = Columns("y", weight="w")
        if kind == "logistic":
            model = train_linear_bag(table, columns, ForestSettings(rounds=2))
        else:
            model = train_stack(table, columns, StackSettings(("logistic", "bag"), 3, 5))
        found.append(model.predict(table))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9)


@pytest.mark.parametrize("weight", ["1e300", "1e40", "1e-300"])
def test_weights_beyond_single_precision_are_one_line(tmp_path: Path, weight: str) -> None:
    (tmp_path / "t.csv").write_text("x,y,w\n" + f"1,a,{weight}\n2,b,{weight}\n" * 5)
    with pytest.raises(DataError, match=r"t.csv:2: column 'w': a weight (above|below)"):
        train_stack(read_table(tmp_path / "t.csv"), Columns("y", weight="w"), StackSettings(("logistic",), 2))


@pytest.mark.parametrize("classes", [0, 2, 4])
@pytest.mark.parametrize("few", [1, 3, 8])
@pytest.mark.parametrize("rows", [30, 400])
def test_leaves_hold_rows_as_in_scikit_learn(classes: int, few: int, rows: int) -> None:
    """One weighted tree has about as many leaves as scikit-learn's (ties are broken otherwise), none too small."""
    rng = np.random.default_rng(rows + few)
    bins = np.stack([rng.permutation(rows) % 200, rng.permutation(rows) % 199], axis=1).astype(np.uint8)
    target = rng.normal(size=rows) if classes == 0 else rng.integers(0, classes, rows).astype(np.float64)
    weights = rng.uniform(0.01, 2, rows)
    settings = ForestSettings(rounds=1, bootstrap=False, min_leaf=few)
    grower = Grower(ForestJob(bins, target, classes, weights, settings))
    tree, _ = grow_tree(grower._columns, target, weights, classes, grower._params, 1)
    made = DecisionTreeClassifier if classes else DecisionTreeRegressor
    peer = made(min_samples_leaf=few, random_state=1).fit(bins, target, sample_weight=weights)
    sizes = tree.count[tree.left == 0]
    assert sizes.min() >= few
    theirs = peer.tree_.n_node_samples[peer.tree_.children_left < 0]
    assert abs(len(sizes) - len(theirs)) <= max(3, 0.1 * len(theirs))
    if few > 1:  # one more would not be kept
        assert sizes.min() < 2 * few


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_leaves_weigh_a_part_of_the_whole(classes: int) -> None:
    rng = np.random.default_rng(1)
    bins = rng.integers(0, 100, (300, 2)).astype(np.uint8)
    target = rng.normal(size=300) if classes == 0 else rng.integers(0, classes, 300).astype(np.float64)
    weights = rng.uniform(0, 2, 300)
    job = ForestJob(
        bins, target, classes, weights, ForestSettings(rounds=1, bootstrap=False, min_leaf_weight=0.1)
    )
    grown = Grower(job).grow(0)
    assert 2 <= (grown.tree.left == 0).sum() <= 10


def test_a_sample_has_a_row_with_weight() -> None:
    weights = np.zeros(1000)
    weights[7] = 1.0
    for tree in range(5):
        assert sample_weights(1000, ForestSettings(), weights, tree)[7] > 0
