"""Optimisers, clipping and schedules against their documented formulas, and scikit-learn's where it has the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.nets.losses import CrossEntropy
from mlkit.nets.optimisers import STATES, Optimiser, OptimiserSettings, ParameterGroup
from mlkit.nets.schedules import Schedule
from tests.naive.nets import cross_entropy, optimise

START = [0.5, -1.0, 0.0, 2.0]
STEPS = [[0.1, -0.2, 0.3, 4.0], [0.0, 0.5, -0.5, 1.0], [1.0, 1.0, 1.0, -3.0]]


def run(
    rule: OptimiserSettings, rate: float, groups: list[ParameterGroup] | None = None, dtype: type = np.float64
) -> list[float]:
    theta: NDArray[Any] = np.array(START, dtype)
    optimiser = Optimiser(rule, len(theta), dtype)
    for step in STEPS:
        optimiser.step(theta, np.array(step, dtype), rate, groups or [ParameterGroup(0, len(theta))])
    return [float(value) for value in theta]


@pytest.mark.parametrize("name", STATES)
def test_optimisers(name: str) -> None:
    for l2, l1, bound in ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.05, 0.0), (0.01, 0.02, 1.5)):
        found = run(OptimiserSettings(name, l2=l2, l1=l1, clip=bound), 0.03)
        np.testing.assert_allclose(
            found, optimise(name, START, STEPS, 0.03, l2=l2, l1=l1, bound=bound), rtol=1e-12
        )
    single = run(OptimiserSettings(name, l2=0.1), 0.03, dtype=np.float32)
    np.testing.assert_allclose(single, optimise(name, START, STEPS, 0.03, l2=0.1), rtol=2e-6)


def test_spans_have_their_own_rate_and_decay() -> None:
    found = run(
        OptimiserSettings("sgd", l2=0.5),
        0.1,
        [ParameterGroup(1, 2, 0.5), ParameterGroup(2, 4, 1.0, decays=False)],
    )
    assert found[0] == START[0], "outside of the groups nothing moves"
    np.testing.assert_allclose(found[1:2], optimise("sgd", START, STEPS, 0.05, l2=0.5)[1:2])
    np.testing.assert_allclose(found[2:], optimise("sgd", START, STEPS, 0.1)[2:])


@pytest.mark.parametrize(("name", "peer"), [("adam", "Adam"), ("momentum", "SGD"), ("nesterov", "SGD")])
def test_scikit_learn_takes_the_same_steps(name: str, peer: str) -> None:
    module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    theta = np.array(START)
    if peer == "Adam":
        other = module.AdamOptimizer([theta], 0.03)
    else:
        other = module.SGDOptimizer([theta], 0.03, momentum=0.9, nesterov=name == "nesterov")
    for step in STEPS:
        other.update_params([theta], [np.array(step)])
    np.testing.assert_allclose(run(OptimiserSettings(name), 0.03), theta, rtol=1e-6)


def test_cross_entropy_is_the_documented_one() -> None:
    rng = np.random.default_rng(4)
    logits = rng.standard_normal((6, 3)) * 3
    places = np.array([0, 2, 1, 1, 0, 2])
    of_class, of_row = np.array([1.0, 0.25, 3.0]), np.array([1.0, 2.0, 0.0, 1.0, 0.5, 1.0])
    for smoothing in (0.0, 0.3):
        found, _ = CrossEntropy(smoothing, of_class)(logits, places, of_row)
        expected = cross_entropy(
            logits.tolist(), places.tolist(), smoothing, of_class.tolist(), of_row.tolist()
        )
        assert math.isclose(found, expected)
    plain, _ = CrossEntropy()(logits + 1000, places)
    assert math.isclose(plain, cross_entropy(logits.tolist(), places.tolist(), 0.0, [1.0] * 3, [1.0] * 6)), (
        "log-sum-exp: large logits do no harm"
    )


def test_schedules() -> None:
    assert [Schedule("step", 0.5, 2).rate(1.0, 0, 9, epoch) for epoch in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert Schedule("exponential", 0.5).rate(1.0, 0, 9, 3) == 0.125
    assert Schedule("plateau", 0.1).rate(1.0, 0, 9, 5, drops=2) == pytest.approx(0.01)
    cosine = [Schedule("cosine").rate(2.0, step, 10, 0) for step in range(11)]
    assert cosine[0] == 2.0
    assert cosine[5] == pytest.approx(1.0)
    assert cosine[10] == pytest.approx(0)
    cycle = [Schedule("one-cycle").rate(1.0, step, 100, 0) for step in range(100)]
    assert cycle[0] == pytest.approx(0.04)
    assert max(cycle) == cycle[29] == 1.0
    assert cycle[-1] == pytest.approx(0.04 / 1e4)
    warm = [Schedule(warm_up=4).rate(1.0, step, 10, 0) for step in range(6)]
    assert warm == [0.25, 0.5, 0.75, 1, 1, 1]
    for wrong in ({"kind": "cosin"}, {"factor": 0.0}, {"every": 0}):
        with pytest.raises(UsageError):
            Schedule(**wrong)
    for bad in ({"name": "adan"}, {"l2": -1.0}, {"momentum": 1.0}):
        with pytest.raises(UsageError):
            OptimiserSettings(**bad)
