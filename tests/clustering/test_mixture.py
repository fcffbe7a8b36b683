"""Gaussian mixtures against scikit-learn from the same start, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.clustering.mixture import (
    COVARIANCES,
    Mixture,
    MixtureSettings,
    collapsed,
    criteria,
    draw,
    predict,
    train_mixture,
)
from mlkit.errors import DataError
from tests.naive import clustering as naive


def clouds(n: int, d: int, groups: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 2.5 * rng.standard_normal((groups, d))
    shapes = rng.standard_normal((groups, d, d))
    group = rng.integers(groups, size=n)
    return centres[group] + np.einsum("nij,nj->ni", shapes[group], rng.standard_normal((n, d))) + 5


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize(("n", "d", "k"), [(1500, 1, 2), (3000, 5, 4), (20000, 7, 6)])
def test_every_step_is_scikit_learns(kind: str, n: int, d: int, k: int) -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    points = clouds(n, d, k)
    labels = (np.argsort(np.argsort(points[:, 0])) * k // n).astype(np.int32)

    class Started(mixture.GaussianMixture):
        def _initialize_parameters(self, X: np.ndarray, *rest: object, **more: object) -> None:
            self._initialize(X, np.eye(k)[labels])

    peer = Started(k, covariance_type=kind, tol=1e-4, max_iter=300).fit(points)
    ours = train_mixture(points, k, MixtureSettings(kind, tolerance=1e-4, rounds=300), labels)
    assert len(ours.bounds) == peer.n_iter_
    if hasattr(peer, "lower_bounds_"):
        np.testing.assert_allclose(ours.bounds, peer.lower_bounds_, rtol=1e-9, atol=1e-9)
    assert ours.bounds[-1] == pytest.approx(peer.lower_bound_, rel=1e-9)
    np.testing.assert_allclose(ours.mixture.means, peer.means_, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(ours.mixture.covariances, peer.covariances_, rtol=1e-6, atol=1e-8)
    chances, likelihood = predict(points, ours.mixture)
    np.testing.assert_allclose(likelihood, peer.score_samples(points), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(chances, peer.predict_proba(points), atol=1e-7)
    found = criteria(ours.mixture, float(likelihood.mean()), n)
    assert found["bic"] == pytest.approx(peer.bic(points))
    assert found["aic"] == pytest.approx(peer.aic(points))


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("hard", [False, True])
def test_a_step_is_that_of_the_naive_twin(kind: str, hard: bool) -> None:
    points = clouds(150, 3, 3)
    labels = np.arange(150, dtype=np.int32) % 3
    start = train_mixture(points, 3, MixtureSettings(kind, rounds=1, hard=hard), labels)
    two = train_mixture(points, 3, MixtureSettings(kind, rounds=2, tolerance=0, hard=hard), labels)
    matrices = [start.mixture.matrix(c).tolist() for c in range(3)]
    parts, bound = naive.responsibilities(
        points.tolist(), start.mixture.weights.tolist(), start.mixture.means.tolist(), matrices, hard=hard
    )
    assert two.bounds[1] == pytest.approx(bound, rel=1e-10)
    weights = np.array(parts).sum(axis=0) / 150
    np.testing.assert_allclose(two.mixture.weights, weights, atol=1e-12)
    np.testing.assert_allclose(
        two.mixture.means, np.array(parts).T @ points / 150 / weights[:, None], rtol=1e-9
    )


def test_threads_change_no_bit() -> None:
    points = clouds(40000, 4, 5)
    one, two = (train_mixture(points, 5, MixtureSettings(rounds=5), threads=threads) for threads in (1, 3))
    assert one.bounds == two.bounds
    assert (one.mixture.covariances == two.mixture.covariances).all()


@pytest.mark.parametrize("kind", COVARIANCES)
def test_samples_have_the_moments(kind: str) -> None:
    points = clouds(5000, 2, 3)
    mixture = train_mixture(points, 3, MixtureSettings(kind)).mixture
    drawn, components = draw(mixture, 40000, 3)
    np.testing.assert_allclose(np.bincount(components) / 40000, mixture.weights, atol=0.01)
    own = drawn[components == 1]
    np.testing.assert_allclose(own.mean(axis=0), mixture.means[1], atol=0.1)
    np.testing.assert_allclose(np.cov(own.T), mixture.matrix(1), atol=0.5)


def test_a_collapsed_component_is_named() -> None:
    points = np.concatenate([np.zeros((50, 2)), clouds(200, 2, 2)])
    labels = np.array([0] * 50 + [1] * 200, np.int32)
    with pytest.raises(DataError, match="component 0 has collapsed"):
        train_mixture(points, 2, MixtureSettings(ridge=0.0), labels)
    found = train_mixture(points, 2, MixtureSettings(), labels)
    assert np.isfinite(found.bounds).all()
    remarks = collapsed(found.mixture, 1e-6, ["a", "b"])
    assert remarks[0] == "component 0 has no spread in column 'a' but --reg"


def test_large_offsets_lose_no_digits() -> None:
    points = clouds(2000, 3, 2)
    labels = (points[:, 0] > np.median(points[:, 0])).astype(np.int32)
    near = train_mixture(points, 2, MixtureSettings(rounds=20), labels)
    far = train_mixture(points + 1e8, 2, MixtureSettings(rounds=20), labels)
    np.testing.assert_allclose(far.bounds, near.bounds, rtol=1e-6)


def test_parameters_are_counted() -> None:
    ones = np.ones(2)
    assert Mixture("full", ones, np.ones((2, 3)), np.ones((2, 3, 3))).parameters == 19
    assert Mixture("tied", ones, np.ones((2, 3)), np.ones((3, 3))).parameters == 13
