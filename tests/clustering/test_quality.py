"""Measures of clusterings against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.clustering.quality import against_labels, geometry, silhouette

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("seed", range(4))
def test_measures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((1300, 3)) + rng.integers(4, size=(1300, 1))
    labels = rng.integers(6, size=1300).astype(np.int32)
    labels[0] = 9  # a cluster of one row
    truth = rng.integers(4, size=1300)
    assert silhouette(points, labels) == pytest.approx(metrics.silhouette_score(points, labels))
    found = geometry(points, labels)
    assert found["calinski_harabasz"] == pytest.approx(metrics.calinski_harabasz_score(points, labels))
    assert found["davies_bouldin"] == pytest.approx(metrics.davies_bouldin_score(points, labels))
    against = against_labels(truth, labels)
    assert against["ari"] == pytest.approx(metrics.adjusted_rand_score(truth, labels))
    assert against["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(truth, labels))
    assert (against["homogeneity"], against["completeness"], against["v_measure"]) == pytest.approx(
        metrics.homogeneity_completeness_v_measure(truth, labels)
    )


def test_perfect_and_trivial_clusterings() -> None:
    truth = np.array([0, 0, 1, 1, 2])
    assert all(
        value == pytest.approx(1.0) for value in against_labels(truth, truth.astype(np.int32)).values()
    )
    one = against_labels(truth, np.zeros(5, np.int32))
    assert one["ari"] == 0
    assert one["completeness"] == 1
    assert one["purity"] == pytest.approx(0.4)
