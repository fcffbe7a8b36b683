"""Models for other programs: LightGBM's text format (version 4), and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.errors import UsageError
from mlkit.trees.binning import Feature
from mlkit.trees.describe import leaf_text, left_categories
from mlkit.trees.ensemble import Tree
from mlkit.trees.model import TreeModel

FORMATS = ("lightgbm", "json")
_OBJECTIVES = {
    "logistic": "binary sigmoid:1", "squared": "regression", "absolute": "regression_l1", "quantile": "quantile",
    "poisson": "poisson", "gamma": "gamma",
}  # fmt: skip
CATEGORICAL, DEFAULT_LEFT, NAN_IS_MISSING = 1, 2, 8  # bits of LightGBM's decision_type
_HIGHEST = 1.7e308


def to_lightgbm(model: TreeModel) -> str:
    """Return the model in LightGBM's text format.

    A categorical column is the place of its category (from 0) in the model's list, missing values are NaN. Gradient
    boosting keeps its objective; bags of two classes or numbers average their trees ("average_output").
    Raises `UsageError` for AdaBoost, for bags of more classes and for calibrated models.
    """
    if model.algorithm == "adaboost" or model.trees.votes is not None:
        raise UsageError(
            "LightGBM's format has no room for AdaBoost or for bags of several classes; use --format json"
        )
    if model.calibration is not None:
        raise UsageError("LightGBM's format has no room for a calibration")
    per_round = model.outputs if model.algorithm == "gradient" else 1
    objective = _OBJECTIVES.get(model.loss, "regression")
    if model.loss == "softmax":
        objective = f"multiclass num_class:{model.outputs}"
    features = model.encoder.features
    trees = []
    for number in range(len(model.trees)):
        start = float(model.start[number % per_round]) if number < per_round and model.loss else 0.0
        trees.append("\n".join(_tree(number, model.trees.tree(number), features, start)) + "\n\n\n")
    header = [
        "tree", "version=v4", f"num_class={per_round}", f"num_tree_per_iteration={per_round}", "label_index=0",
        f"max_feature_idx={len(features) - 1}", f"objective={objective}",
        *(["average_output"] if model.algorithm == "bag" else []),
        "feature_names=" + " ".join("_".join(feature.name.split()) or "_" for feature in features),
        "feature_infos=" + " ".join(map(_info, features)),
        "tree_sizes=" + " ".join(str(len(tree.encode())) for tree in trees), "", "",
    ]  # fmt: skip
    tail = [
        "end of trees",
        "",
        "feature_importances:",
        "",
        "parameters:",
        "end of parameters",
        "",
        "pandas_categorical:null",
        "",
    ]
    return "\n".join(header) + "".join(trees) + "\n".join(tail)


def _info(feature: Feature) -> str:
    if feature.categorical:
        return ":".join(map(str, range(feature.bins)))
    return (
        f"[{feature.edges[0]!r}:{feature.edges[-1]!r}]".replace("np.float64(", "").replace(")", "")
        if len(feature.edges)
        else "none"
    )


def _tree(number: int, tree: Tree, features: Sequence[Feature], start: float) -> Iterator[str]:
    inner = np.flatnonzero(tree.left > 0)
    leaves = np.flatnonzero(tree.left == 0)
    name = np.where(tree.left > 0, np.cumsum(tree.left > 0) - 1, ~(np.cumsum(tree.left == 0) - 1))
    thresholds: list[str] = []
    decisions: list[int] = []
    boundaries, words = [0], list[int]()
    lefts, rights = [], []
    for node in inner.tolist():
        feature = features[int(tree.feature[node])]
        left, right = node + int(tree.left[node]), node + int(tree.left[node]) + 1
        missing_left = tree.missing[node] == 255
        decision = NAN_IS_MISSING
        if feature.categorical:
            chosen = _categories_left(tree, node, feature)
            if missing_left:  # LightGBM sends missing values to the right, always
                chosen = sorted(set(range(feature.bins)) - set(chosen))
                left, right = right, left
            decision |= CATEGORICAL
            thresholds.append(str(len(boundaries) - 1))
            bits = np.zeros(max(chosen, default=0) // 32 + 1, np.int64)
            for b in chosen:
                bits[b >> 5] |= 1 << (b & 31)
            words += bits.tolist()
            boundaries.append(len(words))
        else:
            place = int(tree.threshold[node])
            thresholds.append(repr(float(feature.edges[place]) if place < len(feature.edges) else _HIGHEST))
            decision |= DEFAULT_LEFT if missing_left else 0
        decisions.append(decision)
        lefts.append(int(name[left]))
        rights.append(int(name[right]))
    values = [repr(float(value) + start) for value in tree.value[leaves]]
    counts = tree.count[leaves].tolist()
    yield f"Tree={number}"
    yield f"num_leaves={len(leaves)}"
    yield f"num_cat={len(boundaries) - 1}"
    if len(leaves) > 1:
        yield "split_feature=" + _row(tree.feature[inner])
        yield "split_gain=" + _row(tree.gain[inner])
        yield "threshold=" + " ".join(thresholds)
        yield "decision_type=" + _row(decisions)
        yield "left_child=" + _row(lefts)
        yield "right_child=" + _row(rights)
    yield "leaf_value=" + " ".join(values)
    if len(leaves) > 1:
        yield "leaf_weight=" + _row(counts)
        yield "leaf_count=" + _row(counts)
        yield "internal_value=" + _row([0] * len(inner))
        yield "internal_weight=" + _row([0] * len(inner))
        yield "internal_count=" + _row(_inner_counts(tree)[inner])
    if len(boundaries) > 1:
        yield "cat_boundaries=" + _row(boundaries)
        yield "cat_threshold=" + _row(words)
    yield "is_linear=0"
    yield "shrinkage=1"


def _row(values: Any) -> str:
    return " ".join(
        f"{value:.9g}" if isinstance(value, float) else str(value) for value in np.asarray(values).tolist()
    )


def _inner_counts(tree: Tree) -> Any:
    counts = tree.count.copy()
    for node in np.flatnonzero(tree.left > 0)[::-1].tolist():
        left = node + int(tree.left[node])
        counts[node] = counts[left] + counts[left + 1]
    return counts


def _categories_left(tree: Tree, node: int, feature: Feature) -> list[int]:
    if tree.set_of[node] >= 0:
        return left_categories(tree, node, feature.bins)
    return list(range(min(int(tree.threshold[node]) + 1, feature.bins)))


def to_json(model: TreeModel) -> dict[str, Any]:
    """Return the model as plain data: columns with categories, and nested trees.

    An inner node has "column", "left", "right", "missing" ("left" or "right") and "threshold" (value <= threshold goes
    left) or "categories" (those that go left); a leaf has "value" or "shares".
    """
    return {
        "schema": "mlkit/trees", "kind": model.kind, "algorithm": model.algorithm, "target": model.target,
        "classes": list(model.classes), "loss": model.loss, "start": model.start.tolist(),
        "weights": model.weights.tolist(), "columns": model.encoder.to_json(), "settings": dict(model.settings),
        "trees": [_nested(model, number) for number in range(len(model.trees))],
    }  # fmt: skip


def _nested(model: TreeModel, number: int) -> dict[str, Any]:
    tree = model.trees.tree(number)
    made: dict[int, dict[str, Any]] = {}
    for node in range(len(tree.left) - 1, -1, -1):
        if tree.left[node] == 0:
            shares = model.trees.votes is not None
            made[node] = (
                {"shares": leaf_text(model, number, node)} if shares else {"value": float(tree.value[node])}
            )
            made[node]["rows"] = int(tree.count[node])
            continue
        feature = model.encoder.features[int(tree.feature[node])]
        left = node + int(tree.left[node])
        entry: dict[str, Any] = {
            "column": feature.name,
            "missing": "left" if tree.missing[node] == 255 else "right",
        }
        if feature.categorical:
            entry["categories"] = [feature.categories[b] for b in _categories_left(tree, node, feature)]
        else:
            place = int(tree.threshold[node])
            entry["threshold"] = float(feature.edges[place]) if place < len(feature.edges) else None
        made[node] = entry | {"gain": float(tree.gain[node]), "left": made[left], "right": made[left + 1]}
    return made[0]


def exported(model: TreeModel, form: str) -> str:
    """Return the model in the format that `form` names."""
    if form not in FORMATS:
        raise UsageError(f"the format is {' or '.join(FORMATS)}, not {form!r}")
    if form == "lightgbm":
        return to_lightgbm(model)
    return json.dumps(to_json(model), ensure_ascii=False, sort_keys=True) + "\n"
