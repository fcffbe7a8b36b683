"""Every layer against finite differences in float64, and against what its formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlkit.errors import UsageError
from mlkit.nets.activations import ACTIVATIONS
from mlkit.nets.layers import InputLayer, Rows
from mlkit.nets.losses import Absolute, CrossEntropy, Distillation, Huber, OneLogit, Squared
from mlkit.nets.network import Network, build_layers, parse_layers
from tests.naive.nets import finite_differences, gelu, gelu_slope, mean_rows

LAYERS: dict[str, list[Any]] = {
    "dense": [5],
    "no bias": [{"dense": {"size": 5, "bias": False}}],
    "batch-norm": [5, "batch-norm"],
    "layer-norm": [5, "layer-norm"],
    "dropout": [5, {"dropout": 0.4}],
    "residual": [5, {"residual": [5, "tanh", 5]}, "tanh"],
    "residual of activations": [4, {"residual": ["relu"]}],
    "tied": [5, "tanh", 5, "tanh", {"dense": {"size": 5, "tied": "dense2"}}],
    "tied, transposed": [5, "tanh", {"dense": {"size": 4, "tied": "dense1"}}],
    **{name: [5, name, 4] for name in ACTIVATIONS},
}


def network(description: list[Any], outputs: int = 3, input_layer: InputLayer | None = None) -> Network:
    layers = build_layers(
        [*description, {"dense": {"name": "output", "size": outputs}}], "glorot-uniform", {}
    )
    net = Network(input_layer or InputLayer(4, [], None), layers, outputs, np.float64)
    net.initialise(3)
    return net


def rows_of(n: int = 6) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((n, 4))


def random() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_against_finite_differences(name: str) -> None:
    net, x = network(LAYERS[name]), rows_of()
    loss, targets = CrossEntropy(), np.array([0, 1, 2, 1, 0, 2])

    def value() -> float:
        return loss(net.forward(x, True, random), targets)[0]

    net.gradient.fill(0)
    _, slope = loss(net.forward(x, True, random), targets)
    # the input_layer learns nothing: ask for the inputs' derivatives by hand
    d = slope
    for layer in reversed(net.layers):
        d = layer.backward(d)
    found = finite_differences(value, net.theta.tolist(), net.theta.__setitem__)
    np.testing.assert_allclose(net.gradient, found, atol=2e-8)
    flat = x.reshape(-1)
    np.testing.assert_allclose(
        d.reshape(-1), finite_differences(value, flat.tolist(), flat.__setitem__), atol=2e-8
    )


def test_the_entrance_against_finite_differences() -> None:
    input_layer = InputLayer(2, [(4, 3), (3, 2)], (5, 2))
    net = network([5, "tanh"], input_layer=input_layer)
    rng = np.random.default_rng(1)
    rows = Rows(
        rng.standard_normal((4, 2)), np.array([[0, 1], [3, 1], [3, 2], [1, 0]], np.int32),
        np.array([0, 1, 1, 4, 2], np.int32), np.array([0, 2, 2, 4, 5], np.int64),
    )  # fmt: skip
    loss, targets = CrossEntropy(), np.array([0, 2, 1, 1])

    def value() -> float:
        return loss(net.forward(input_layer.embed(rows), True, random), targets)[0]

    net.gradient.fill(0)
    _, slope = loss(net.forward(input_layer.embed(rows), True, random), targets)
    input_layer.embed_backward(net.backward(slope))
    found = finite_differences(value, net.theta.tolist(), net.theta.__setitem__)
    np.testing.assert_allclose(net.gradient, found, atol=2e-8)
    bags = [[0, 1], [], [1, 4], [2]]
    np.testing.assert_allclose(
        input_layer.embed(rows)[:, -2:], mean_rows(input_layer.values["words"].tolist(), bags), atol=1e-12
    )
    some = rows.take(np.array([2, 0]))
    assert some.words is not None
    assert some.words.tolist() == [1, 4, 0, 1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss", [Squared(), Absolute(), Huber(0.7), CrossEntropy(), CrossEntropy(0.1),
             CrossEntropy(0.2, np.array([1.0, 2.0, 0.5])), Distillation(3.0, 0.7, CrossEntropy())],
    ids=lambda loss: type(loss).__name__,
)  # fmt: skip
def test_losses_against_finite_differences(loss: Any, weighted: bool) -> None:
    rng = np.random.default_rng(2)
    outputs = rng.standard_normal((5, 3))
    targets: Any = rng.standard_normal((5, 3))
    if isinstance(loss, CrossEntropy):
        targets = np.array([0, 1, 2, 2, 0])
    elif isinstance(loss, Distillation):
        targets = (np.array([0, 1, 2, 2, 0]), rng.dirichlet([1, 1, 1], 5))
    weights = np.array([1.0, 0.5, 2.0, 0.0, 3.0]) if weighted else None
    _, slope = loss(outputs, targets, weights)
    flat = outputs.reshape(-1)
    found = finite_differences(lambda: loss(outputs, targets, weights)[0], flat.tolist(), flat.__setitem__)
    np.testing.assert_allclose(slope.reshape(-1), found, atol=1e-8)


def test_one_logit_is_the_softmax_of_two() -> None:
    z, places = np.array([[1.5], [-0.3], [0.0]]), np.array([1, 0, 1])
    value, slope = OneLogit(CrossEntropy())(z, places)
    p = 1 / (1 + np.exp(-z[:, 0]))
    np.testing.assert_allclose(value, -np.log(np.where(places == 1, p, 1 - p)).mean())
    np.testing.assert_allclose(slope[:, 0], (p - places) / 3)


def test_gelu_is_the_exact_one() -> None:
    x = np.linspace(-4, 4, 9).reshape(3, 3)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-6)):
        layer = ACTIVATIONS["gelu"]("gelu")
        y = layer.forward(x.astype(dtype), False, random)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, [[gelu(v) for v in row] for row in x], atol=tolerance)
        np.testing.assert_allclose(
            layer.backward(np.ones((3, 3), dtype)),
            [[gelu_slope(v) for v in row] for row in x],
            atol=tolerance,
        )


def test_batch_norm_keeps_statistics_for_prediction() -> None:
    net, x = network(["batch-norm"]), rows_of(50) * 3 + 1
    for _ in range(300):
        net.forward(x, True, random)
    norm = net.layers[0]
    np.testing.assert_allclose(norm.values["mean"], x.mean(axis=0))
    np.testing.assert_allclose(norm.values["variance"], x.var(axis=0, ddof=1))
    one = norm.forward(x[:1], False, random)
    np.testing.assert_allclose(one, (x[:1] - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + 1e-5))
    with pytest.raises(UsageError, match="batch of one"):
        net.forward(x[:1], True, random)


def test_a_frozen_batch_norm_stays_as_it_is() -> None:
    net, x = network([5, "batch-norm", "tanh"]), rows_of(20)
    net.forward(x * 2 + 1, True, random)
    kept = net.buffers.copy()
    assert not (kept[:5] == 0).any()
    net.groups({}, ["batch-norm1"])
    still = net.forward(x, False)
    np.testing.assert_allclose(net.forward(x, True, random), still, rtol=1e-12)
    net.forward(x[:1], True, random)  # a batch of one does no harm here
    assert (net.buffers == kept).all()
    loss, targets = CrossEntropy(), np.arange(20) % 3

    def value() -> float:
        return loss(net.forward(x, True, random), targets)[0]

    net.gradient.fill(0)
    _, slope = loss(net.forward(x, True, random), targets)
    net.backward(slope)
    found = finite_differences(value, net.theta.tolist(), net.theta.__setitem__)
    np.testing.assert_allclose(net.gradient, found, atol=2e-8)
    net.groups({}, [])
    net.forward(x, True, random)
    assert (net.buffers != kept).any(), "thawed"


def test_dropout_and_rrelu_rest_in_prediction() -> None:
    x = np.ones((200, 50))
    drop = build_layers([{"dropout": 0.25}], "he", {})[0]
    assert drop.forward(x, False, random) is x
    y = drop.forward(x, True, random)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs(y.mean() - 1) < 0.03, "inverted: the mean stays"
    leaky = build_layers(["rrelu"], "he", {})[0]
    np.testing.assert_allclose(leaky.forward(-x, False, random), -(1 / 8 + 1 / 3) / 2)
    drawn = -leaky.forward(-x, True, random)
    assert 1 / 8 <= drawn.min() < drawn.max() <= 1 / 3


def test_descriptions() -> None:
    assert parse_layers("100, relu, dropout: 0.2") == [100, "relu", {"dropout": 0.2}]
    assert parse_layers("[{dense: {size: 3}}, relu]") == [{"dense": {"size": 3}}, "relu"]
    faults: list[tuple[list[Any], str]] = [
        (["rellu"], "no layer is called 'rellu'"), ([{"dense": {"sise": 3}}], "no setting 'sise'"),
        ([{"dropout": 1.5}], "from 0 to below 1"), ([0], "whole number"), ([{"dense": None}], "needs 'size'"),
        ([{"leaky": "much"}], "is a number"), ([3.5], "a layer is written"),
        ([{"dense": {"size": 3, "init": "hee"}}], "initialisation"),
    ]  # fmt: skip
    for wrong, message in faults:
        with pytest.raises(UsageError, match=message):
            network(wrong)
    with pytest.raises(UsageError, match="'residual1': its input has 4 columns"):
        network([{"residual": [7]}])
    with pytest.raises(UsageError, match=r"'dense2' .* cannot share the weight of 'dense1'"):
        network([5, {"dense": {"size": 7, "tied": "dense1"}}])
    with pytest.raises(UsageError, match="no dense layer"):
        network([{"dense": {"size": 7, "tied": "dense9"}}])
    with pytest.raises(UsageError, match="two layers are called 'a'"):
        network([{"dense": {"size": 7, "name": "a"}}, {"dense": {"size": 7, "name": "a"}}])


def test_spans_of_rates_and_frozen_layers() -> None:
    net = network([5, "relu", 5])
    groups = net.groups({"output": 2.0}, ["dense1"])
    assert groups[0].start == 4 * 5 + 5
    assert groups[-1].stop == len(net.theta)
    assert {(s.factor, s.decays) for s in groups} == {(1.0, True), (1.0, False), (2.0, True), (2.0, False)}
    assert net.groups({}, ["*"])[0].start == groups[2].start, "the star is all but the output"
    with pytest.raises(UsageError, match="nothing to learn"):
        net.groups({}, ["*", "output"])
    with pytest.raises(UsageError, match="no layer that learns"):
        net.groups({"dens": 1.0, "relu1": 1.0}, [])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_a_network_is_scikit_learns(activation: str, task: str) -> None:
    """One step of plain gradient descent at rate 1 moves scikit-learn's weights by minus our gradient."""
    peers = pytest.importorskip("sklearn.neural_network")
    x, classes = rows_of(40), np.arange(40) % 3
    numbers = x @ np.array([1.0, -2.0, 0.5, 0.0])
    made = peers.MLPClassifier if task == "classes" else peers.MLPRegressor
    peer = made(
        hidden_layer_sizes=(7, 5), activation={"sigmoid": "logistic"}.get(activation, activation), solver="sgd",
        momentum=0.0, alpha=0.0, nesterovs_momentum=False, learning_rate_init=1.0, batch_size=40, shuffle=False,
        random_state=1,
    )  # fmt: skip
    first = {"classes": [0, 1, 2]} if task == "classes" else {}
    y = classes if task == "classes" else numbers
    peer.partial_fit(x, y, **first)
    before = [array.copy() for array in (*peer.coefs_, *peer.intercepts_)]
    peer.partial_fit(x, y)
    moved = [old - new for old, new in zip(before, (*peer.coefs_, *peer.intercepts_), strict=True)]
    layout: list[Any] = [7, activation, 5, activation]
    net = network(layout, 3 if task == "classes" else 1)
    names = ["dense1", "dense2", "output"]
    layers = {layer.name: layer for layer in net}
    for place, name in enumerate(names):
        layers[name].values["weight"][...], layers[name].values["bias"][...] = (
            before[place],
            before[place + 3],
        )
    net.gradient.fill(0)
    loss: Any = CrossEntropy() if task == "classes" else Squared()
    value, slope = loss(net.forward(x, True, random), classes if task == "classes" else numbers[:, None])
    net.backward(slope)
    half = 1.0 if task == "classes" else 0.5  # scikit-learn halves the squared loss
    np.testing.assert_allclose(half * value, peer.loss_, rtol=1e-12)
    for place, name in enumerate(names):
        np.testing.assert_allclose(half * layers[name].gradients["weight"], moved[place], atol=1e-14)
        np.testing.assert_allclose(half * layers[name].gradients["bias"], moved[place + 3], atol=1e-14)


def test_a_batch_whose_weights_are_all_zero_teaches_nothing() -> None:
    outputs, none = np.array([[1.0, 2.0], [0.5, -1.0]]), np.zeros(2)
    places = np.array([0, 1])
    teacher = np.array([[0.5, 0.5], [0.1, 0.9]])
    losses = [
        (CrossEntropy(), places),
        (CrossEntropy(0.1), places),
        (Distillation(2, 0.5, CrossEntropy()), (places, teacher)),
    ]
    for loss, targets in losses:
        value, slope = loss(outputs, targets, none)
        assert (value, np.abs(slope).max()) == (0, 0)
    value, slope = Squared()(outputs[:, :1], np.ones((2, 1)), none)
    assert (value, np.abs(slope).max()) == (0, 0)
