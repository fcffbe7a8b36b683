"""Entropies and divergences against scipy and against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlkit.distributions import measures
from mlkit.distributions.measures import compare_counts
from mlkit.errors import DataError, UsageError

P, Q = np.array([2.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0])


def test_figures_worked_out_by_hand() -> None:
    found = compare_counts(P, Q)
    assert found["entropy_a"] == pytest.approx(1.5)
    assert found["cross_entropy"] == pytest.approx(1.75)
    assert found["kl"] == pytest.approx(0.25)
    assert found["js_divergence"] == pytest.approx(0.0612781, abs=1e-7)
    assert found["js_distance"] == pytest.approx(0.247544, abs=1e-6)
    nats = compare_counts(P, Q, base="e")
    assert nats["kl"] == pytest.approx(0.173287, abs=1e-6)
    assert nats["js_divergence"] == pytest.approx(0.0424748, abs=1e-7)
    assert nats["js_distance"] == pytest.approx(0.206094, abs=1e-6)
    assert nats["perplexity"] == pytest.approx(found["perplexity"])
    assert measures.psi(P / 4, Q / 4) == pytest.approx(0.346574, abs=1e-6)


def test_disjoint_distributions() -> None:
    found = compare_counts(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert found["js_distance"] == 1
    assert found["total_variation"] == 1
    assert found["hellinger"] == 1
    assert math.isinf(found["kl"])
    assert found["unseen_a"] == 1
    smoothed = compare_counts(np.array([1.0, 0.0]), np.array([0.0, 1.0]), smooth=1)
    assert smoothed["kl"] == pytest.approx(2 / 3 * math.log2(2) - 1 / 3 * math.log2(2))


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scipy(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    distance = pytest.importorskip("scipy.spatial.distance")
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 9, 40).astype(float), rng.integers(1, 9, 40).astype(float)
    found = compare_counts(a, b, base="10")
    assert found["entropy_a"] == pytest.approx(stats.entropy(a, base=10))
    assert found["kl"] == pytest.approx(stats.entropy(a, b, base=10))
    assert found["kl_reverse"] == pytest.approx(stats.entropy(b, a, base=10))
    assert found["js_distance"] == pytest.approx(distance.jensenshannon(a, b, base=10))
    x, y = rng.standard_normal(300).round(1), (rng.standard_normal(200) + 0.2).round(1)
    peer = stats.ks_2samp(x, y, method="asymp")
    assert measures.ks_statistic(x, y) == pytest.approx(peer.statistic)
    assert measures.ks_p_value(0.05, 20000, 3000) == pytest.approx(
        stats.kstwobign.sf(0.05 * math.sqrt(20000 * 3000 / 23000)), abs=1e-9
    )
    assert measures.wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y))


def test_equal_distributions_give_0_and_no_nan() -> None:
    tiny = np.array([1e-308, 1.0, 3.0])
    found = compare_counts(tiny, tiny * 3)
    assert found["js_divergence"] == pytest.approx(0.0, abs=1e-15)
    assert not any(math.isnan(value) for value in found.values())


def test_correction_is_miller_and_madows() -> None:
    plain, corrected = (compare_counts(P, Q, base="e", corrected=on) for on in (False, True))
    assert corrected["entropy_a"] - plain["entropy_a"] == pytest.approx(2 / 8)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="base"):
        compare_counts(P, Q, base="1")
    with pytest.raises(UsageError, match="smooth"):
        compare_counts(P, Q, smooth=-1)
    with pytest.raises(DataError):
        compare_counts(P * 0, Q)
