"""The tree kernels against their slow twins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlkit.trees import kernels_bins, kernels_losses
from mlkit.trees.binning import Encoder, Feature
from mlkit.trees.boosting import GradientSettings, Grower
from mlkit.trees.ensemble import join_trees
from mlkit.trees.forest import grow_tree
from tests.naive import trees as naive

MISSING = 255


def some_bins(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, Encoder, list[bool]]:
    """Three numeric columns (one with gaps) and one of three categories."""
    bins = np.stack(
        [
            rng.integers(0, 5, rows),
            rng.integers(0, 9, rows),
            rng.integers(0, 4, rows),
            rng.integers(0, 3, rows),
        ],
        axis=1,
    ).astype(np.uint8)
    bins[rng.random(rows) < 0.2, 2] = MISSING
    features = (
        Feature("a", False, np.arange(4.0)),
        Feature("b", False, np.arange(8.0)),
        Feature("c", False, np.arange(3.0), (), True),
        Feature("d", True, np.empty(0), ("x", "y", "z")),
    )
    return bins, Encoder(features), [False, False, False, True]


def test_bin_numbers_counts_the_edges_below() -> None:
    rng = np.random.default_rng(1)
    edges = np.sort(rng.normal(size=20))
    values = np.concatenate([rng.normal(size=40), edges, [np.nan, -1e300, 1e300]])
    padded = np.full(255, np.inf)
    padded[:20] = edges
    out = np.zeros((len(values), 2), np.uint8)
    kernels_bins.bin_numbers(values, padded, out, 1)
    assert out[:, 1].tolist() == [naive.bin_of(v, edges.tolist()) for v in values.tolist()]
    assert not out[:, 0].any()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("l2", [0.0, 2.0])
@pytest.mark.parametrize("workers", [1, 3])
def test_grow_is_the_naive_leafwise_tree(
    seed: int, l2: float, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlkit.trees.boosting.PART_SIZE", 10)
    rng = np.random.default_rng(seed)
    bins, encoder, categorical = some_bins(rng, 60)
    pairs = np.stack([rng.normal(size=60), np.ones(60)], axis=1).astype(np.float32)
    settings = GradientSettings(leaves=5, min_leaf=4, l2=l2)
    work = Grower(bins, encoder, settings, workers).workspace(60)
    with ThreadPoolExecutor(workers) as pool:
        work.grow(pairs, np.arange(60, dtype=np.int32), np.ones(4, np.uint8), pool)
    expected = naive.grow_leafwise(bins.tolist(), pairs.tolist(), 5, 4, l2, categorical)
    start, end, node = work.leaf_spans()
    found = np.empty(60)
    for first, last, place in zip(start, end, node, strict=True):
        found[work.used[first:last]] = work.values()[place]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # the flat tree sends the rows to the same leaves
    walked = join_trees([work.to_tree()]).sums(bins, 1)[:, 0]
    np.testing.assert_allclose(walked, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes", [0, 2, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_first_split_of_a_forest_tree_is_the_best(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins, _, _ = some_bins(rng, 50)
    target = rng.integers(0, classes, 50).astype(float) if classes else rng.normal(size=50).astype(np.float32)
    weights = rng.integers(0, 3, 50).astype(float)
    params = np.array([1, 2, 0.0, 4, 0, 1])
    tree, votes = grow_tree(np.ascontiguousarray(bins.T), target, weights, classes, params, 7)
    rows = np.flatnonzero(weights).tolist()
    impurity = naive.gini if classes > 2 else naive.variance
    expected = naive.best_impurity_drop(rows, bins.tolist(), target.tolist(), weights.tolist(), impurity)
    assert tree.gain[0] == pytest.approx(expected, rel=1e-4)
    if classes > 2:
        assert votes is not None
        assert votes[2].sum() == pytest.approx(len(votes[0]))


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("random", [0, 1])
def test_unbounded_forest_tree_learns_distinct_rows_by_heart(classes: int, random: int) -> None:
    rng = np.random.default_rng(5)
    bins = np.stack([rng.permutation(120), rng.integers(0, 9, 120)], axis=1).astype(np.uint8)
    target = rng.integers(0, classes or 50, 120).astype(float)
    params = np.array([0, 2, 0.0, 2, random, 1])
    tree, votes = grow_tree(np.ascontiguousarray(bins.T), target, np.ones(120), classes, params, 3)
    made = join_trees([tree], None if votes is None else [votes]).sums(
        bins, max(1, classes if classes > 2 else 1)
    )
    found = made.argmax(axis=1) if classes > 2 else made[:, 0]
    np.testing.assert_allclose(found, target, atol=1e-6)
    assert tree.count[tree.left == 0].sum() == 120


def test_squared_pairs_are_differences_and_ones() -> None:
    scores, target = np.array([[1.5, -2.0, 0.0, 7.0]]), np.array([1.0, 2.0, 0.0, -1.0])
    out = np.zeros((1, 4, 2), np.float32)
    kernels_losses.squared_pairs(scores, target, out, 1, 4)
    assert out[0].tolist() == [[0, 0], [-4, 1], [0, 1], [8, 1]]
