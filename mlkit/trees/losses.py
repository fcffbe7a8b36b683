"""Losses of gradient boosting: start value, gradients and hessians, value, and the way back to predictions.

Definitions (and the scaling of hessians) follow LightGBM's objectives. Scores are float64 [outputs, rows].
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.tables.links import sigmoid, softmax
from mlkit.trees import kernels_losses

Reals = NDArray[np.float64]
Pairs = NDArray[np.float32]
ONE = np.ones(1)  # the hessian of losses that have a constant one
BLOCK = 1 << 14  # rows at a time: temporaries stay in the cache


class Loss(ABC):
    """What boosting minimises. `target` is float64 [rows], weights float64 [rows] or None."""

    name = ""
    outputs = 1
    percentile: float | None = None  # leaves take this percentile of their residuals instead of a Newton step

    @abstractmethod
    def start(self, target: Reals, weights: Reals | None) -> Reals:
        """Return the best constant score."""

    def _fill(self, scores: Reals, target: Reals, out: Pairs, first: int, last: int) -> None:
        for start in range(first, last, BLOCK):
            rows = slice(start, min(start + BLOCK, last))
            out[:, rows, 0], out[:, rows, 1] = self._pairs(scores[:, rows], target[rows])

    def _pairs(self, scores: Reals, target: Reals) -> tuple[Reals, Reals]:
        """Return gradients and hessians of a block of rows."""
        raise NotImplementedError

    @abstractmethod
    def _losses(self, scores: Reals, target: Reals) -> Reals:
        """Return the loss of every row."""

    def predict(self, scores: Reals) -> Reals:
        """Turn scores [outputs, rows] into predictions [rows] or probabilities [rows, classes]."""
        first: Reals = scores[0]
        return first

    def check(self, target: Reals) -> str | None:
        """Return what is wrong with a target, or None."""
        return None

    def fill_pairs(
        self, scores: Reals, target: Reals, weights: Reals | None, out: Pairs, first: int, last: int
    ) -> None:
        """Write (gradient, hessian) of every output for rows first..last-1 to float32 [outputs, rows, 2]."""
        self._fill(scores, target, out, first, last)
        if weights is not None:
            out[:, first:last] *= weights[first:last, None].astype(np.float32)

    def value(self, scores: Reals, target: Reals, weights: Reals | None) -> float:
        """Return the weighted mean loss."""
        return float(np.average(self._losses(scores, target), weights=weights))


class Logistic(Loss):
    """Two classes; the score is the log odds of the second."""

    name = "logistic"

    def start(self, target: Reals, weights: Reals | None) -> Reals:
        share = np.clip(np.average(target, weights=weights), 1e-15, 1 - 1e-15)
        return np.array([np.log(share / (1 - share))])

    def _fill(self, scores: Reals, target: Reals, out: Pairs, first: int, last: int) -> None:
        kernels_losses.logistic_pairs(scores, target, out, first, last)

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        losses: Reals = np.logaddexp(0, scores[0]) - target * scores[0]
        return losses

    def predict(self, scores: Reals) -> Reals:
        p = sigmoid(scores[0])
        return np.stack([1 - p, p], axis=1)


class Softmax(Loss):
    """K classes, one score each; the target holds places of classes."""

    name = "softmax"

    def __init__(self, classes: int) -> None:
        self.outputs = classes

    def start(self, target: Reals, weights: Reals | None) -> Reals:
        counts = np.bincount(target.astype(np.int64), weights=weights, minlength=self.outputs)
        logs: Reals = np.log(np.maximum(counts / counts.sum(), 1e-15))
        return logs

    def _fill(self, scores: Reals, target: Reals, out: Pairs, first: int, last: int) -> None:
        kernels_losses.softmax_pairs(scores, target, out, first, last)

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        top = scores.max(axis=0)
        total = np.log(np.exp(scores - top).sum(axis=0)) + top
        losses: Reals = total - scores[target.astype(np.int64), np.arange(scores.shape[1])]
        return losses

    def predict(self, scores: Reals) -> Reals:
        return np.ascontiguousarray(softmax(scores).T)


class Squared(Loss):
    """Half the squared error; leaves and start are means."""

    name = "squared"

    def start(self, target: Reals, weights: Reals | None) -> Reals:
        return np.array([np.average(target, weights=weights)])

    def _fill(self, scores: Reals, target: Reals, out: Pairs, first: int, last: int) -> None:
        kernels_losses.squared_pairs(scores, target, out, first, last)

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        losses: Reals = (scores[0] - target) ** 2
        return losses


class Quantile(Loss):
    """Pinball loss of a quantile; leaves take that quantile of their residuals."""

    name = "quantile"

    def __init__(self, quantile: float = 0.5) -> None:
        self.percentile = quantile

    def start(self, target: Reals, weights: Reals | None) -> Reals:
        return np.array([weighted_quantile(target, weights, self.percentile or 0.5)])

    def _pairs(self, scores: Reals, target: Reals) -> tuple[Reals, Reals]:
        alpha = self.percentile or 0.5
        return np.where(scores >= target, 1 - alpha, -alpha), ONE

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        alpha = self.percentile or 0.5
        over = target - scores[0]
        losses: Reals = np.maximum(alpha * over, (alpha - 1) * over)
        return losses


class Absolute(Quantile):
    """Absolute error; leaves and start are medians."""

    name = "absolute"

    def __init__(self) -> None:
        super().__init__(0.5)

    def _pairs(self, scores: Reals, target: Reals) -> tuple[Reals, Reals]:
        return np.sign(scores - target), ONE

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        losses: Reals = np.abs(scores[0] - target)
        return losses


class Poisson(Loss):
    """Counts; the score is the logarithm of the mean. Hessians are scaled by e**0.7 (LightGBM's safeguard)."""

    name = "poisson"

    def start(self, target: Reals, weights: Reals | None) -> Reals:
        return np.array([np.log(max(float(np.average(target, weights=weights)), 1e-15))])

    def _pairs(self, scores: Reals, target: Reals) -> tuple[Reals, Reals]:
        mean = np.exp(scores)
        return mean - target, mean * np.exp(0.7)

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        losses: Reals = np.exp(scores[0]) - target * scores[0]
        return losses

    def predict(self, scores: Reals) -> Reals:
        means: Reals = np.exp(scores[0])
        return means

    def check(self, target: Reals) -> str | None:
        if target.min() < 0:
            return "poisson loss needs values from 0 on"
        if target.min() < 0:
            return "poisson loss needs values from 0 on"
        return "poisson loss needs a value above 0" if target.max() <= 0 else None


class Gamma(Loss):
    """Positive skewed values; the score is the logarithm of the mean."""

    name = "gamma"

    def start(self, target: Reals, weights: Reals | None) -> Reals:
        return np.array([np.log(np.average(target, weights=weights))])

    def _pairs(self, scores: Reals, target: Reals) -> tuple[Reals, Reals]:
        share = target * np.exp(-scores)
        return 1 - share, share

    def _losses(self, scores: Reals, target: Reals) -> Reals:
        losses: Reals = target * np.exp(-scores[0]) + scores[0]
        return losses

    def predict(self, scores: Reals) -> Reals:
        means: Reals = np.exp(scores[0])
        return means

    def check(self, target: Reals) -> str | None:
        return "gamma loss needs values above 0" if target.min() <= 0 else None


REGRESSION = ("squared", "absolute", "quantile", "poisson", "gamma")
CLASSIFICATION = ("logistic", "softmax")


def make_loss(name: str, classes: int = 0, quantile: float = 0.5) -> Loss:
    """Return the loss called `name`."""
    simple: dict[str, type[Loss]] = {
        "logistic": Logistic, "squared": Squared, "absolute": Absolute, "poisson": Poisson, "gamma": Gamma,
    }  # fmt: skip
    if name == "softmax":
        return Softmax(classes)
    if name == "quantile":
        return Quantile(quantile)
    if name not in simple:
        raise DataError(f"unknown loss {name!r}")
    return simple[name]()


def weighted_quantile(values: Reals, weights: Reals | None, quantile: float) -> float:
    """Return a quantile of weighted values: linear between values without weights, a step function with them."""
    if weights is None:
        return float(np.quantile(values, quantile))
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached, quantile * reached[-1])
    return float(values[order[min(int(place), len(order) - 1)]])
