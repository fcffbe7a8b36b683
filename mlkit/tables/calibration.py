"""Calibration: map predicted probabilities to observed frequencies (Platt 1999; Zadrozny and Elkan 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.tables.links import sigmoid

Reals = NDArray[np.float64]
METHODS = ("sigmoid", "isotonic")


@dataclass(frozen=True)
class Calibration:
    """One map per class, from its probability: a sigmoid of the log odds (a, b), or steps joined by lines (x, y)."""

    method: str
    x: tuple[Reals, ...]
    y: tuple[Reals, ...]

    def apply(self, probabilities: Reals) -> Reals:
        """Return the calibrated probabilities [rows, classes]; rows sum to 1."""
        if probabilities.shape[1] == 2:
            second = self._map(0, probabilities[:, 1])
            return np.stack([1 - second, second], axis=1)
        mapped = np.stack([self._map(k, probabilities[:, k]) for k in range(probabilities.shape[1])], axis=1)
        total = mapped.sum(axis=1, keepdims=True)
        even = 1 / probabilities.shape[1]
        out: Reals = np.where(total > 0, mapped / np.where(total > 0, total, 1), even)
        return out

    def _map(self, k: int, p: Reals) -> Reals:
        if self.method == "sigmoid":
            return sigmoid(self.x[k][0] * log_odds(p) + self.y[k][0])
        return np.interp(p, self.x[k], self.y[k])

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the model file."""
        return {
            "calibration_sizes": np.array([len(x) for x in self.x], np.uint32),
            "calibration_x": np.concatenate(self.x),
            "calibration_y": np.concatenate(self.y),
        }

    @staticmethod
    def from_tensors(method: str, tensors: dict[str, NDArray[Any]]) -> Calibration:
        """Return the calibration of a model file."""
        if method not in METHODS:
            raise ValueError(f"calibration {method!r}")
        borders = np.cumsum(tensors["calibration_sizes"])[:-1]
        return Calibration(
            method,
            tuple(np.split(np.array(tensors["calibration_x"]), borders)),
            tuple(np.split(np.array(tensors["calibration_y"]), borders)),
        )


def log_odds(p: Reals) -> Reals:
    """Return log(p / (1 - p)), with p kept off 0 and 1."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    odds: Reals = np.log(p) - np.log1p(-p)
    return odds


def fit_calibration(
    method: str, probabilities: Reals, target: Reals, weights: Reals | None = None
) -> Calibration:
    """Learn a calibration from rows that were not trained on; with two classes one map, else one for each."""
    if method not in METHODS:
        raise UsageError(f"calibration is one of {', '.join(METHODS)}, not {method!r}")
    classes = probabilities.shape[1]
    weights = np.ones(len(target)) if weights is None else weights
    columns = [1] if classes == 2 else list(range(classes))
    fit = _fit_sigmoid if method == "sigmoid" else _fit_isotonic
    fitted = [fit(probabilities[:, k], (target == k).astype(np.float64), weights) for k in columns]
    return Calibration(method, tuple(x for x, _ in fitted), tuple(y for _, y in fitted))


def _fit_sigmoid(p: Reals, hit: Reals, weights: Reals) -> tuple[Reals, Reals]:
    """Fit sigmoid(a * log odds + b) by Newton's method, with Platt's smoothed targets."""
    x = log_odds(p)
    positive, negative = (weights * hit).sum(), (weights * (1 - hit)).sum()
    goal = np.where(hit > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(a: float, b: float) -> float:
        z = a * x + b
        return float((weights * (np.logaddexp(0, z) - goal * z)).sum())

    a, b = 1.0, 0.0
    current = loss(a, b)
    for _ in range(100):
        q = sigmoid(a * x + b)
        slack = weights * (q - goal)
        curve = weights * np.maximum(q * (1 - q), 1e-12)
        ga, gb = (slack * x).sum(), slack.sum()
        haa, hab, hbb = (curve * x * x).sum() + 1e-9, (curve * x).sum(), curve.sum() + 1e-9
        determinant = max(haa * hbb - hab * hab, 1e-12)
        da, db = (hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant
        scale = 1.0
        while (value := loss(a - scale * da, b - scale * db)) > current and scale > 1e-10:
            scale /= 2
        a, b = a - scale * da, b - scale * db
        done = current - value < 1e-12 * max(1.0, abs(value))
        current = value
        if done:
            break
    return np.array([a]), np.array([b])


def _fit_isotonic(p: Reals, hit: Reals, weights: Reals) -> tuple[Reals, Reals]:
    """Fit the best ascending step function by pooling adjacent violators; return the corners of its blocks."""
    distinct, place = np.unique(p, return_inverse=True)
    weight = np.bincount(place, weights=weights)
    mean = np.bincount(place, weights=weights * hit) / np.maximum(weight, 1e-300)
    keep = weight > 0
    distinct, weight, mean = distinct[keep], weight[keep], mean[keep]
    blocks: list[list[float]] = []  # mean, weight, first, last
    for value, size, level in zip(distinct.tolist(), weight.tolist(), mean.tolist(), strict=True):
        blocks.append([level, size, value, value])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            top = blocks.pop()
            below = blocks[-1]
            total = below[1] + top[1]
            below[0] = (below[0] * below[1] + top[0] * top[1]) / total
            below[1], below[3] = total, top[3]
    x = np.array([edge for block in blocks for edge in dict.fromkeys(block[2:])])
    y = np.array([block[0] for block in blocks for _ in dict.fromkeys(block[2:])])
    return x, y
