"""Logistic and ridge regression on tables: base models of bags, members and final models of stacks.

Numbers are standardised with missing values at the mean, categories become one column each; the penalty is on the
weights, not on the intercept. Solved by Newton steps (two classes, ridge) or L-BFGS (several classes).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.formats.schema import Array, Schema, list_of, reading, record, text
from mlkit.formats.table_files import Table
from mlkit.tables.links import sigmoid, softmax
from mlkit.tables.target import mean_and_spread

Reals = NDArray[np.float64]
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Design:
    """How a table becomes a matrix: (name, mean, spread) of numbers, (name, categories) of the rest."""

    numbers: tuple[tuple[str, float, float], ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return [name for name, _, _ in self.numbers] + [name for name, _ in self.categories]

    @property
    def width(self) -> int:
        """Return the number of columns of the matrix, the intercept not among them."""
        return len(self.numbers) + sum(len(names) for _, names in self.categories)

    def matrix(self, table: Table) -> Reals:
        """Return float64 [rows, width + 1]; the last column is 1, missing and unknown values are 0 everywhere."""
        table.require(self.names)
        out = np.zeros((table.rows, self.width + 1))
        for column, (name, mean, spread) in enumerate(self.numbers):
            out[:, column] = np.nan_to_num((table.numbers(name) - mean) / spread)
        start = len(self.numbers)
        rows = np.arange(table.rows)
        for name, names in self.categories:
            codes = table.codes(name, names)
            known = codes >= 0
            out[rows[known], start + codes[known]] = 1
            start += len(names)
        out[:, -1] = 1
        return out

    def to_json(self) -> dict[str, Any]:
        """Return the design for a model's header."""
        return {
            "numbers": [list(n) for n in self.numbers],
            "categories": [[n, list(c)] for n, c in self.categories],
        }

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Design:
        """Return the design of a model's header."""
        return Design(
            tuple((str(n), float(m), float(s)) for n, m, s in entry["numbers"]),
            tuple((str(n), tuple(c)) for n, c in entry["categories"]),
        )


def fit_design(
    table: Table,
    names: Sequence[str],
    most_categories: int = 100,
    categorical: Collection[str] = (),
    remark: Callable[[str], None] = lambda text: None,
) -> Design:
    """Choose the matrix for columns `names`: the most frequent categories get a column of their own.

    Those in `categorical` are categories though they hold numbers. `remark` is told of columns with more categories.
    """
    table.require([*categorical])
    numbers, categories = [], []
    for name in names:
        if name not in categorical and table.is_numeric(name):
            mean, spread = mean_and_spread(table.numbers(name))
            if spread > 0:
                numbers.append((name, mean, spread))
        else:
            counts = table.counts(name)
            if len(counts) > most_categories:
                remark(
                    f"column {name!r} has {len(counts):,} categories: the {most_categories} most frequent are used"
                )
                counts = counts[:most_categories]
            if len(counts) > 1:
                categories.append((name, tuple(sorted(category for category, _ in counts))))
    return Design(tuple(numbers), tuple(categories))


def fit_weights(matrix: Reals, target: Reals, classes: int, weights: Reals | None, l2: float = 1.0) -> Reals:
    """Return weights float64 [width + 1, outputs] of ridge (classes 0) or logistic regression."""
    weights = np.ones(len(target)) if weights is None else weights
    penalty = np.full(matrix.shape[1], l2)
    penalty[-1] = 1e-10
    if classes == 0:
        scaled = matrix * weights[:, None]
        return _solve(matrix.T @ scaled + np.diag(penalty), scaled.T @ target)[:, None]
    if classes == 2:
        return _newton(matrix, target, weights, penalty)[:, None]
    return _lbfgs(matrix, target.astype(np.int64), classes, weights, penalty)


def _solve(curve: Reals, slope: Reals) -> Reals:
    try:
        return np.asarray(np.linalg.solve(curve, slope), np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(curve, slope, rcond=None)[0], np.float64)


def _newton(matrix: Reals, target: Reals, weights: Reals, penalty: Reals) -> Reals:
    """Minimise the penalised log loss of two classes: Newton with halved steps where the loss would rise."""
    beta = np.zeros(matrix.shape[1])

    def loss(candidate: Reals) -> float:
        scores = matrix @ candidate
        return float(
            (weights * (np.logaddexp(0, scores) - target * scores)).sum()
            + 0.5 * (penalty * candidate**2).sum()
        )

    current = loss(beta)
    for _ in range(50):
        p = sigmoid(matrix @ beta)
        slope = matrix.T @ (weights * (p - target)) + penalty * beta
        curve = (matrix * (weights * np.maximum(p * (1 - p), 1e-10))[:, None]).T @ matrix + np.diag(penalty)
        step = _solve(curve, slope)
        scale = 1.0
        while (value := loss(beta - scale * step)) > current and scale > 1e-8:
            scale /= 2
        beta = beta - scale * step
        done = current - value < 1e-9 * max(1.0, abs(value))
        current = value
        if done:
            break
    return beta


def _lbfgs(matrix: Reals, target: NDArray[np.int64], classes: int, weights: Reals, penalty: Reals) -> Reals:
    """Minimise the penalised softmax loss by L-BFGS (Nocedal 1980) with backtracking."""
    width = matrix.shape[1]
    rows = np.arange(len(target))

    def loss(flat: Reals) -> tuple[float, Reals]:
        beta = flat.reshape(width, classes)
        scores = (matrix @ beta).T
        p = softmax(scores)
        picked = np.maximum(p[target, rows], 1e-300)
        value = -(weights * np.log(picked)).sum() + 0.5 * (penalty[:, None] * beta**2).sum()
        p[target, rows] -= 1
        return float(value), (matrix.T @ (p * weights).T + penalty[:, None] * beta).ravel()

    flat = np.zeros(width * classes)
    value, slope = loss(flat)
    steps: list[tuple[Reals, Reals]] = []
    for _ in range(200):
        direction = _two_loops(slope, steps)
        scale = 1.0 if steps else 1.0 / max(1.0, float(np.abs(slope).sum()))
        drop = float(direction @ slope)
        while True:
            moved = flat - scale * direction
            new_value, new_slope = loss(moved)
            if new_value <= value - 1e-4 * scale * drop or scale < 1e-12:
                break
            scale /= 2
        change, bend = moved - flat, new_slope - slope
        if change @ bend > 1e-12:
            steps = [*steps[-9:], (change, bend)]
        done = value - new_value < 1e-8 * max(1.0, abs(value))
        flat, value, slope = moved, new_value, new_slope
        if done:
            break
    return flat.reshape(width, classes)


def _two_loops(slope: Reals, steps: list[tuple[Reals, Reals]]) -> Reals:
    direction = slope.copy()
    kept = []
    for change, bend in reversed(steps):
        share = change @ direction / (change @ bend)
        kept.append(share)
        direction -= share * bend
    if steps:
        change, bend = steps[-1]
        direction *= change @ bend / (bend @ bend)
    for (change, bend), share in zip(steps, reversed(kept), strict=True):
        direction += change * (share - bend @ direction / (change @ bend))
    return direction


HEADER = Schema(
    {"weights": Array("float64", ("models", "inputs", "outputs"))},
    {"target": text, "classes": list_of(text), "design": record, "settings": record},
)


@dataclass(frozen=True)
class LinearModel:
    """One or more linear models of the same columns; predictions are the mean of theirs."""

    target: str
    classes: tuple[str, ...]
    design: Design
    weights: Reals  # [models, width + 1, outputs]
    kind: str = "bag"
    settings: Mapping[str, Any] | None = None

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return self.design.names

    def predict(self, table: Table, threads: int = 1) -> Reals:
        """Return probabilities float64 [rows, classes], or values float64 [rows]."""
        return self.predict_matrix(self.design.matrix(table))

    def predict_matrix(self, matrix: Reals) -> Reals:
        """Predict from the rows of a matrix that the design made."""
        total = sum(self._one(matrix @ beta) for beta in self.weights)
        mean: Reals = np.asarray(total) / len(self.weights)
        return mean

    def _one(self, scores: Reals) -> Reals:
        if not self.classes:
            return scores[:, 0]
        if len(self.classes) == 2:
            p = sigmoid(scores[:, 0])
            return np.stack([1 - p, p], axis=1)
        return softmax(scores.T).T

    def to_parts(self) -> tuple[dict[str, Any], Tensors]:
        """Return the header and arrays of the model file."""
        header = {
            "base": "linear", "target": self.target, "classes": list(self.classes),
            "design": self.design.to_json(), "settings": dict(self.settings or {}),
        }  # fmt: skip
        return header, {"weights": self.weights}

    @staticmethod
    def from_parts(kind: str, header: Mapping[str, Any], tensors: Tensors, path: Any = None) -> LinearModel:
        """Return the model that a header and arrays describe."""
        HEADER.check(header, tensors, path)
        with reading(path):
            design = Design.from_json(header["design"])
            classes = tuple(header["classes"])
            weights = np.array(tensors["weights"], np.float64)
            outputs = len(classes) if len(classes) > 2 else 1
            if weights.ndim != 3 or weights.shape[1:] != (design.width + 1, outputs):
                raise ValueError("weights")
            return LinearModel(header["target"], classes, design, weights, kind, header.get("settings", {}))

    def save(self, path: Any) -> None:
        """Write the model: safetensors with a JSON header."""
        from mlkit.formats.model_file import save_model

        save_model(path, self.kind, *self.to_parts())
