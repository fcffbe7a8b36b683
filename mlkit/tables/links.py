"""From scores to probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def sigmoid(x: Reals) -> Reals:
    """Return 1 / (1 + e**-x) without overflow."""
    e = np.exp(-np.abs(x))
    p: Reals = np.where(x >= 0, 1.0, e) / (1 + e)
    return p


def softmax(scores: Reals) -> Reals:
    """Return e**scores normalised over the first axis."""
    e: Reals = np.exp(scores - scores.max(axis=0))
    e /= e.sum(axis=0)
    return e
