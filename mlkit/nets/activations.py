"""Activations: elementwise layers without weights, PReLU's learnt slope excepted."""

# mypy: disable-error-code="no-any-return"
# (numpy types products of arrays of any type as Any)
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlkit.nets.base import Array, Layer, Random


class ReLU(Layer):
    """max(x, 0)."""

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.y = np.maximum(x, 0)
        return self.y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d * (self.y > 0)


class Leaky(Layer):
    """x where positive, else slope * x (slope 0.01)."""

    def __init__(self, name: str, slope: float = 0.01) -> None:
        super().__init__(name)
        self.slope = slope

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.factor = np.where(x > 0, 1, self.slope).astype(x.dtype)
        return x * self.factor

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d * self.factor


class RReLU(Leaky):
    """Leaky with slopes drawn from [low, high] in training, their mean in prediction (Xu et al. 2015)."""

    def __init__(self, name: str, low: float = 1 / 8, high: float = 1 / 3) -> None:
        super().__init__(name, (low + high) / 2)
        self.low, self.high = low, high

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        if not train:
            return super().forward(x, train, random)
        slopes = random().random(x.shape, x.dtype) * (self.high - self.low) + self.low
        self.factor = np.where(x > 0, 1, slopes).astype(x.dtype)
        return x * self.factor


class PReLU(Layer):
    """Leaky with one slope for the layer that is learnt (He et al. 2015), 0.25 at the start."""

    def declare(self, size: int) -> int:
        self.parameter("slope", (1,), lambda rng, shape: np.full(shape, 0.25), decays=False)
        return size

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.x = x
        return np.where(x > 0, x, x * self.values["slope"][0])

    def backward(self, d: Array, wanted: bool = True) -> Array:
        below = np.minimum(self.x, 0)
        self.gradients["slope"][0] += np.vdot(d, below)
        return np.where(self.x > 0, d, d * self.values["slope"][0])


class ELU(Layer):
    """x where positive, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""

    def __init__(self, name: str, alpha: float = 1.0) -> None:
        super().__init__(name)
        self.alpha = alpha

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        below = self.alpha * np.expm1(np.minimum(x, 0))
        self.slope = np.where(x > 0, 1, below + self.alpha).astype(x.dtype)
        return np.where(x > 0, x, below).astype(x.dtype)

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d * self.slope


class GELU(Layer):
    """x * Phi(x) with the normal distribution function itself, no approximation (Hendrycks and Gimpel 2016)."""

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        from mlkit.nets import kernels

        y, self.slope = np.empty_like(x), np.empty_like(x)
        compute = kernels.gelu if x.dtype == np.float32 else kernels.gelu_double
        compute(np.ascontiguousarray(x).reshape(-1), y.reshape(-1), self.slope.reshape(-1))
        return y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d * self.slope


class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.y = (0.5 * (1 + np.tanh(0.5 * x))).astype(x.dtype)
        return self.y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d * self.y * (1 - self.y)


class Tanh(Layer):
    """The hyperbolic tangent."""

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d * (1 - self.y * self.y)


class Softmax(Layer):
    """exp(x) divided by its sum over the row."""

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.y = softmax(x)
        return self.y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return self.y * (d - (d * self.y).sum(axis=1, keepdims=True))


def softmax(x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) of every row, the row's maximum taken out first."""
    y = np.exp(x - x.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    return y


ACTIVATIONS: dict[str, Callable[..., Layer]] = {
    "relu": ReLU, "leaky": Leaky, "prelu": PReLU, "rrelu": RReLU, "elu": ELU, "gelu": GELU, "sigmoid": Sigmoid,
    "tanh": Tanh, "softmax": Softmax,
}  # fmt: skip
