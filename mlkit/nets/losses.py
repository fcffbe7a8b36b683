"""Losses: the value, a mean over the rows of a batch, and its derivative by the network's outputs.

Formulas and reductions are PyTorch's documented ones (MSELoss, L1Loss, HuberLoss, CrossEntropyLoss). A batch whose
weights are all 0 has the loss 0.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.nets.activations import softmax
from mlkit.nets.base import Array

Targets = Any  # float [n, 1], places of classes int64 [n], or (places, the teacher's probabilities)


class Loss(Protocol):
    """A loss: (value, derivative by the outputs)."""

    def __call__(self, outputs: Array, targets: Targets, weights: Array | None = None) -> tuple[float, Array]:
        """Return the mean loss of the rows, weighted, and its derivative [n, outputs]."""
        ...


class _Regression:
    """A mean over rows of a function of outputs - targets."""

    def __call__(self, outputs: Array, targets: Targets, weights: Array | None = None) -> tuple[float, Array]:
        values, slopes = self.of(outputs - targets)
        if weights is None:
            return float(values.mean()), slopes / outputs.dtype.type(values.size)
        share = (weights / ((weights.sum() or 1.0) * outputs.shape[1])).astype(outputs.dtype)[:, None]
        return float((values * share).sum()), slopes * share

    def of(self, off: Array) -> tuple[Array, Array]:
        """Return value and slope for every difference."""
        raise NotImplementedError


class Squared(_Regression):
    """The mean squared difference."""

    def of(self, off: Array) -> tuple[Array, Array]:
        return off * off, 2 * off


class Absolute(_Regression):
    """The mean absolute difference."""

    def of(self, off: Array) -> tuple[Array, Array]:
        return np.abs(off), np.sign(off)


class Huber(_Regression):
    """Half the square up to delta, a straight line beyond."""

    def __init__(self, delta: float = 1.0) -> None:
        if not delta > 0:
            raise UsageError("Huber's delta must be above 0")
        self.delta = delta

    def of(self, off: Array) -> tuple[Array, Array]:
        size = np.abs(off)
        values = np.where(size <= self.delta, 0.5 * off * off, self.delta * (size - 0.5 * self.delta))
        return values, np.clip(off, -self.delta, self.delta)


class CrossEntropy:
    """Cross-entropy from logits by log-sum-exp, with label smoothing and class weights.

    As PyTorch's: with smoothing e and K classes, (1 - e) w_y nll_y + e / K sum_c w_c nll_c, divided by the sum of w_y.
    """

    def __init__(self, smoothing: float = 0.0, class_weights: NDArray[np.float64] | None = None) -> None:
        if not 0 <= smoothing < 1:
            raise UsageError(f"label smoothing is from 0 to below 1, not {smoothing}")
        self.smoothing, self.class_weights = smoothing, class_weights

    def __call__(self, outputs: Array, targets: Targets, weights: Array | None = None) -> tuple[float, Array]:
        rows = np.arange(len(outputs))
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        if not self.smoothing and self.class_weights is None and weights is None:
            loss = np.log(total[:, 0]) - shifted[rows, targets]
            p[rows, targets] -= 1
            p /= len(outputs)
            return float(loss.mean()), p
        logs = shifted - np.log(total)
        per_class = np.ones(outputs.shape[1]) if self.class_weights is None else self.class_weights
        of_row = np.ones(len(outputs)) if weights is None else weights
        mass = np.zeros(outputs.shape)  # what every class counts: the loss is -sum(mass * logs)
        mass += self.smoothing / outputs.shape[1] * per_class
        mass[rows, targets] += (1 - self.smoothing) * per_class[targets]
        mass *= (of_row / ((of_row * per_class[targets]).sum() or 1.0))[:, None]
        value = float(-(mass * logs).sum())
        return value, (p * mass.sum(axis=1, keepdims=True) - mass).astype(outputs.dtype)


class Distillation:
    """alpha * T^2 * cross-entropy with the teacher + (1 - alpha) * that with the truth (Hinton 2015).

    Targets are (places, probabilities [n, K]); the teacher's are softened as p ** (1 / T), what a softmax of
    its logits / T is. T^2 keeps the two parts' gradients comparable.
    """

    def __init__(self, temperature: float, alpha: float, hard: CrossEntropy) -> None:
        if not temperature > 0:
            raise UsageError("--temperature must be above 0")
        if not 0 <= alpha <= 1:
            raise UsageError("--alpha must be between 0 and 1")
        self.temperature, self.alpha, self.hard = temperature, alpha, hard

    def __call__(self, outputs: Array, targets: Targets, weights: Array | None = None) -> tuple[float, Array]:
        places, teacher = targets
        value, slope = self.hard(outputs, places, weights)
        of_row = np.ones(len(outputs)) if weights is None else weights
        share = (of_row / (of_row.sum() or 1.0))[:, None]
        goal = softmax(np.log(np.maximum(teacher, 1e-12)) / self.temperature)
        scaled = outputs / self.temperature
        top = scaled.max(axis=1, keepdims=True)
        logs = scaled - top - np.log(np.exp(scaled - top).sum(axis=1, keepdims=True))
        square = self.temperature**2
        soft = float(-(share * goal * logs).sum()) * square
        soft_slope = share * (np.exp(logs) - goal) * self.temperature
        both = self.alpha * soft_slope + (1 - self.alpha) * slope
        return self.alpha * soft + (1 - self.alpha) * value, both.astype(outputs.dtype)


class OneLogit:
    """A loss of two classes from one output z: the logits are (0, z), their softmax is the logistic function."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, outputs: Array, targets: Targets, weights: Array | None = None) -> tuple[float, Array]:
        value, slope = self.loss(two_logits(outputs), targets, weights)
        return value, np.ascontiguousarray(slope[:, 1:])


def two_logits(outputs: Array) -> Array:
    """Return (0, z) for outputs z [n, 1]."""
    return np.concatenate([np.zeros_like(outputs), outputs], axis=1)


REGRESSION = ("squared", "absolute", "huber")
CLASSIFICATION = ("cross-entropy",)
