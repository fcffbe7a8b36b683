"""k-means against its naive twin and scikit-learn, and the promises: same bytes, honest inertia."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.clustering import kernels_kmeans as kernels
from mlkit.clustering.kmeans import KMeansSettings, assign, train_kmeans
from mlkit.clustering.minibatch import train_batches
from mlkit.clustering.rows import Rows
from mlkit.clustering.seeding import plus_plus
from mlkit.errors import DataError, UsageError
from tests.naive import clustering as naive


def clouds(
    n: int, d: int, groups: int, seed: int = 0, dtype: type = np.float64, offset: float = 3.0
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((groups, d))
    return (centres[rng.integers(groups, size=n)] + rng.standard_normal((n, d)) + offset).astype(dtype)


def start_near(points: np.ndarray, k: int) -> np.ndarray:
    """Return starting centres without ties."""
    return points[:k].astype(np.float64) + 1e-3 * np.random.default_rng(9).standard_normal(
        (k, points.shape[1])
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_rounds_are_those_of_the_naive_twin(dtype: type, offset: float) -> None:
    points = clouds(120, 3, 4, dtype=dtype, offset=offset)
    start = start_near(points, 5)
    labels, centres = naive.lloyd(points, start, 300)
    for algorithm in ("hamerly", "lloyd"):
        found = train_kmeans(Rows(points), KMeansSettings(5, tolerance=0, algorithm=algorithm), start)
        assert found.labels.tolist() == labels
        np.testing.assert_allclose(found.centres, centres, rtol=1e-12)
        assert found.inertia == pytest.approx(naive.potential(points, centres), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "k"), [(2000, 2, 3), (3000, 17, 26), (20000, 40, 12)])
def test_equals_scikit_learn_from_the_same_start(dtype: type, n: int, d: int, k: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    points = clouds(n, d, 2 * k, dtype=dtype)
    start = start_near(points, k)
    found = train_kmeans(Rows(points), KMeansSettings(k), start)
    peer = cluster.KMeans(k, init=start, n_init=1).fit(points.astype(np.float64))
    assert found.inertia == pytest.approx(peer.inertia_, rel=1e-9)
    assert (found.labels == peer.labels_).all()
    assert found.rounds == peer.n_iter_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_and_bounds_change_no_bit(dtype: type) -> None:
    points = clouds(40000, 8, 30, dtype=dtype)
    start = start_near(points, 20)
    runs = [
        train_kmeans(Rows(points, threads=threads), KMeansSettings(20, algorithm=algorithm), start)
        for algorithm, threads in (("hamerly", 1), ("hamerly", 2), ("hamerly", 5), ("lloyd", 1))
    ]
    for other in runs[1:]:
        assert (other.centres == runs[0].centres).all()
        assert (other.labels == runs[0].labels).all()
    seeds = [plus_plus(Rows(points, threads=threads), 9, np.random.default_rng(3)) for threads in (1, 2)]
    assert (seeds[0] == seeds[1]).all()


def test_ties_go_to_the_first_centre_also_in_float32() -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [1.0, 7.0]], np.float32)
    labels, distances = assign(Rows(points), np.array([[2.0, 0.0], [0.0, 0.0]]))
    assert labels.tolist() == [1, 0, 0, 0]
    assert distances.tolist() == [0.0, 0.0, 1.0, 50.0]


def test_bounds_hold_what_the_naive_rule_says() -> None:
    points = clouds(500, 4, 6, dtype=np.float32)
    old = start_near(points, 6)
    new = old + 0.2 * np.random.default_rng(4).standard_normal(old.shape)
    measured = [naive.nearest(row, old) for row in points]
    labels = np.array([label for label, _, _ in measured], np.int32)
    upper = np.sqrt([own for _, own, _ in measured]).astype(np.float32)
    lower = np.sqrt([other for _, _, other in measured]).astype(np.float32)
    steps = np.sqrt(((new - old) ** 2).sum(axis=1)).astype(np.float32)
    mover = int(steps.argmax())
    second = np.delete(steps, mover).max()
    pairs = np.sqrt(((new[:, None] - new[None]) ** 2).sum(axis=2)) + np.diag([np.inf] * 6)
    gap = (pairs.min(axis=1) / 2).astype(np.float32)
    picks = np.empty(500, np.int32)
    before = upper.copy(), lower.copy()
    count = kernels.check_bounds(
        points, new, labels, upper, lower, steps, steps[mover], second, mover, gap, picks
    )
    expected = [
        row
        for row, own in enumerate(labels)
        if naive.may_change(
            before[0][row], before[1][row], steps[own], second if own == mover else steps[mover], gap[own],
            np.sqrt(naive.squared_distance(points[row], new[own])),
        )
    ]  # fmt: skip
    assert 0 < count < 500
    assert picks[:count].tolist() == expected
    for row, point in enumerate(points):
        assert upper[row] >= np.sqrt(naive.squared_distance(point, new[labels[row]])) * (1 - 1e-7)


def test_empty_clusters_take_the_farthest_rows() -> None:
    points = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [30.0]])
    found = train_kmeans(Rows(points), KMeansSettings(3), np.array([[0.0], [500.0], [600.0]]))
    assert found.moved == 2
    assert found.used == 3
    peer = pytest.importorskip("sklearn.cluster").KMeans(
        3, init=np.array([[0.0], [500.0], [600.0]]), n_init=1
    )
    assert found.inertia == pytest.approx(peer.fit(points).inertia_)


def test_weights_stand_for_copies_of_rows() -> None:
    points = clouds(300, 3, 4)
    weights = np.random.default_rng(1).integers(0, 4, 300)
    start = start_near(points, 4)
    weighted = train_kmeans(Rows(points, weights.astype(np.float64)), KMeansSettings(4, tolerance=0), start)
    copied = train_kmeans(Rows(np.repeat(points, weights, axis=0)), KMeansSettings(4, tolerance=0), start)
    np.testing.assert_allclose(weighted.centres, copied.centres, rtol=1e-12)
    assert weighted.inertia == pytest.approx(copied.inertia)
    assert weighted.total == pytest.approx(copied.total)


def test_cosine_keeps_centres_at_length_1() -> None:
    points = clouds(400, 6, 5, offset=0.0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = train_kmeans(Rows(points.astype(np.float32)), KMeansSettings(5, cosine=True))
    np.testing.assert_allclose(np.linalg.norm(found.centres, axis=1), 1.0)
    assert (found.labels == (points @ found.centres.T).argmax(axis=1)).mean() > 0.999


def test_plus_plus_draws_far_rows_and_is_greedy() -> None:
    points = clouds(6000, 5, 12, dtype=np.float32, offset=50.0)
    rows = Rows(points)
    seeds = plus_plus(rows, 12, np.random.default_rng(2))
    assert all((points == seed.astype(np.float32)).all(axis=1).any() for seed in seeds)
    ours = [naive.potential(points[::10], plus_plus(rows, 12, np.random.default_rng(s))) for s in range(5)]
    peer = pytest.importorskip("sklearn.cluster")
    theirs = [
        naive.potential(points[::10], peer.kmeans_plusplus(points, 12, random_state=s)[0]) for s in range(5)
    ]
    assert np.mean(ours) < 1.1 * np.mean(theirs)


def test_plus_plus_keeps_the_least_distance_and_the_potentials() -> None:
    from mlkit.clustering import seeding

    points = clouds(3000, 4, 5)
    weights = np.random.default_rng(7).random(3000)
    trial = seeding._Trial(Rows(points, weights), 8, np.random.default_rng(2))
    for number in range(1, 8):
        trial.step(number)
        expected = naive.potential(points, trial.centres[: number + 1], weights)
        assert trial.potentials.sum() == pytest.approx(expected, rel=1e-5)


def test_equal_rows_are_no_centres_twice() -> None:
    points = np.repeat(np.array([[1.0, 2.0], [1.0, 3.0], [4.0, 1.0]], np.float32) * 1000, 50, axis=0)
    seeds = plus_plus(Rows(points), 3, np.random.default_rng(1))
    assert len(np.unique(seeds, axis=0)) == 3
    assert train_kmeans(Rows(points), KMeansSettings(5)).used == 3


def test_mini_batches_come_near_with_inertia_of_all_rows() -> None:
    points = clouds(5000, 6, 8)
    exact = train_kmeans(Rows(points), KMeansSettings(8, runs=3))
    quick = train_batches(Rows(points), KMeansSettings(8), 512)
    assert exact.inertia <= quick.inertia < 1.3 * exact.inertia
    assert quick.inertia == pytest.approx(naive.potential(points, quick.centres), rel=1e-9)


def test_bad_input_is_one_error() -> None:
    points = clouds(10, 2, 2)
    with pytest.raises(DataError, match="11 clusters for 10 rows"):
        train_kmeans(Rows(points), KMeansSettings(11))
    with pytest.raises(DataError, match="finite"):
        Rows(np.array([[np.nan, 1.0]]))
    with pytest.raises(DataError, match="no rows"):
        Rows(np.empty((0, 3)))
    with pytest.raises(DataError, match="overflow"):
        Rows(np.array([[1e200], [-1e200]]))
    with pytest.raises(UsageError, match="algorithm"):
        KMeansSettings(2, algorithm="elkan")
