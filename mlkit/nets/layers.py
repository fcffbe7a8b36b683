"""Layers with weights or state: dense, normalisations, dropout, residual blocks, and the network's input_layer."""

# mypy: disable-error-code="no-any-return"
# (numpy types products of arrays of any type as Any)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.nets import initialisers
from mlkit.nets.base import Array, Initialiser, Layer, Random


class Dense(Layer):
    """x @ weight + bias.

    `tied` names a dense layer whose weight is used instead of an own one, transposed where only that fits.
    """

    def __init__(
        self, name: str, size: int, initialise: Initialiser = initialisers.glorot_uniform, *,
        bias: bool = True, tied: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.size, self.initialise, self.bias, self.tied = size, initialise, bias, tied
        self.transposed = self.shared = False

    def declare(self, size: int) -> int:
        self.width = size
        if self.tied is None:
            self.parameter("weight", (size, self.size), self.initialise)
        if self.bias:
            self.parameter("bias", (self.size,), initialisers.bias_of(size), decays=False)
        return self.size

    def tie(self, other: Dense) -> None:
        """Use the weight of `other`."""
        shape = (other.width, other.size)
        if shape == (self.width, self.size):
            self.transposed = False
        elif shape == (self.size, self.width):
            self.transposed = True
        else:
            raise UsageError(
                f"layer {self.name!r} [{self.width}, {self.size}] cannot share the weight of {other.name!r} "
                f"[{shape[0]}, {shape[1]}]"
            )
        self.shared = other.shared = True
        self.values["weight"], self.gradients["weight"] = other.values["weight"], other.gradients["weight"]

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.x = x
        weight = self.values["weight"]
        y: Array = x @ (weight.T if self.transposed else weight)
        if self.bias:
            y += self.values["bias"]
        return y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        into, weight = self.gradients["weight"], self.values["weight"]
        if self.shared:
            into += d.T @ self.x if self.transposed else self.x.T @ d
        else:
            np.matmul(self.x.T, d, out=into)
        if self.bias:
            # a product with ones is the column sum, by BLAS
            np.matmul(np.ones(len(d), d.dtype), d, out=self.gradients["bias"])
        if not wanted:
            return d
        back = weight if self.transposed else weight.T
        # BLAS is slow at products over one column
        return d * back if d.shape[1] == 1 else d @ back


class BatchNorm(Layer):
    """Normalise columns over the batch, then scale and shift (Ioffe and Szegedy 2015).

    Running mean and (unbiased) variance, momentum 0.1 as PyTorch has it, serve prediction; frozen, the layer uses them
    in training too and leaves them as they are.
    """

    def __init__(self, name: str, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(name)
        self.momentum, self.epsilon = momentum, epsilon

    def declare(self, size: int) -> int:
        self.parameter("scale", (size,), initialisers.ones, decays=False)
        self.parameter("shift", (size,), initialisers.zeros, decays=False)
        self.parameter("mean", (size,), initialisers.zeros, learnt=False)
        self.parameter("variance", (size,), initialisers.ones, learnt=False)
        return size

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        v = self.values
        if not train:
            return (x - v["mean"]) * (v["scale"] / np.sqrt(v["variance"] + self.epsilon)) + v["shift"]
        if self.frozen:
            self.inverse = (1 / np.sqrt(v["variance"] + self.epsilon)).astype(x.dtype)
            self.normal = (x - v["mean"]) * self.inverse
            return self.normal * v["scale"] + v["shift"]
        n = len(x)
        if n < 2:
            raise UsageError(f"layer {self.name!r}: batch normalisation cannot train on a batch of one row")
        mean = x.mean(axis=0)
        centred = x - mean
        variance = np.einsum("ij,ij->j", centred, centred) / n
        v["mean"] += self.momentum * (mean - v["mean"])
        v["variance"] += self.momentum * (variance * (n / (n - 1)) - v["variance"])
        self.inverse = (1 / np.sqrt(variance + self.epsilon)).astype(x.dtype)
        self.normal = centred * self.inverse
        return self.normal * v["scale"] + v["shift"]

    def backward(self, d: Array, wanted: bool = True) -> Array:
        n = len(d)
        shift = d.sum(axis=0)
        scale = np.einsum("ij,ij->j", d, self.normal)
        self.gradients["shift"] += shift
        self.gradients["scale"] += scale
        if self.frozen:
            return d * (self.values["scale"] * self.inverse)
        return (d - shift / n - self.normal * (scale / n)) * (self.values["scale"] * self.inverse)


class LayerNorm(Layer):
    """Normalise every row over its columns, then scale and shift (Ba et al. 2016)."""

    def __init__(self, name: str, epsilon: float = 1e-5) -> None:
        super().__init__(name)
        self.epsilon = epsilon

    def declare(self, size: int) -> int:
        self.parameter("scale", (size,), initialisers.ones, decays=False)
        self.parameter("shift", (size,), initialisers.zeros, decays=False)
        return size

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        centred = x - x.mean(axis=1, keepdims=True)
        variance = (centred * centred).mean(axis=1, keepdims=True)
        self.inverse = 1 / np.sqrt(variance + x.dtype.type(self.epsilon))
        self.normal = centred * self.inverse
        return self.normal * self.values["scale"] + self.values["shift"]

    def backward(self, d: Array, wanted: bool = True) -> Array:
        self.gradients["shift"] += d.sum(axis=0)
        self.gradients["scale"] += np.einsum("ij,ij->j", d, self.normal)
        d = d * self.values["scale"]
        along = (d * self.normal).mean(axis=1, keepdims=True)
        return (d - d.mean(axis=1, keepdims=True) - self.normal * along) * self.inverse


class Dropout(Layer):
    """Set a part of the values to 0 in training and enlarge the others to keep the mean (inverted dropout)."""

    def __init__(self, name: str, part: float = 0.5) -> None:
        super().__init__(name)
        if not 0 <= part < 1:
            raise UsageError(f"layer {name!r}: dropout takes a part from 0 to below 1, not {part}")
        self.part = part

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        self.factor: Array | None = None
        if not train or self.part == 0:
            return x
        kept = random().random(x.shape, np.float32) >= self.part
        self.factor = kept.astype(x.dtype) / x.dtype.type(1 - self.part)
        return x * self.factor

    def backward(self, d: Array, wanted: bool = True) -> Array:
        return d if self.factor is None else d * self.factor


class Residual(Layer):
    """x plus what the layers inside make of it (He et al. 2016)."""

    def __init__(self, name: str, layers: Sequence[Layer]) -> None:
        super().__init__(name)
        self.layers = list(layers)

    def inner(self) -> list[Layer]:
        return self.layers

    def declare(self, size: int) -> int:
        width = size
        for layer in self.layers:
            width = layer.declare(width)
        if width != size:
            raise UsageError(
                f"layer {self.name!r}: its input has {size} columns and its last layer {width}; a sum needs equal"
            )
        return size

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        y = x
        for layer in self.layers:
            y = layer.forward(y, train, random)
        return x + y

    def backward(self, d: Array, wanted: bool = True) -> Array:
        inside = d
        for layer in reversed(self.layers):
            inside = layer.backward(inside)
        return d + inside


@dataclass(frozen=True)
class Rows:
    """Inputs: numbers [n, k], codes int32 [n, columns] of embedded categories, bags of words (ids, starts [n + 1])."""

    numbers: Array
    codes: NDArray[np.int32]
    words: NDArray[np.int32] | None = None
    starts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Return some rows."""
        numbers = self.numbers.take(rows, axis=0)
        codes = self.codes.take(rows, axis=0) if self.codes.shape[1] else self.codes[: len(rows)]
        if self.words is None or self.starts is None:
            return Rows(numbers, codes)
        sizes = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], sizes)
        return Rows(numbers, codes, self.words[places], starts)


class InputLayer(Layer):
    """Numbers as they are, then the vector of every embedded category, then the mean vector of the words."""

    def __init__(
        self, numbers: int, tables: Sequence[tuple[int, int]], words: tuple[int, int] | None
    ) -> None:
        super().__init__("input")
        self.numbers, self.tables, self.words = numbers, list(tables), words

    def declare(self, size: int = 0) -> int:
        for place, shape in enumerate(self.tables):
            self.parameter(f"embedding{place + 1}", shape, initialisers.embedding)
        if self.words is not None:
            self.parameter("words", self.words, initialisers.embedding)
        return self.numbers + sum(dim for _, dim in self.tables) + (self.words[1] if self.words else 0)

    @property
    def learns(self) -> bool:
        """Say whether there is anything to learn here."""
        return bool(self.parameters)

    def embed(self, rows: Rows) -> Array:
        """Return the rows as one matrix."""
        self.rows = rows
        if not self.learns:
            return rows.numbers
        parts: list[Array] = [rows.numbers]
        for place in range(len(self.tables)):
            parts.append(self.values[f"embedding{place + 1}"][rows.codes[:, place]])
        if self.words is not None:
            table = self.values["words"]
            means = np.empty((len(rows), self.words[1]), table.dtype)
            self._kernel("gather_means", table.dtype)(table, rows.words, rows.starts, means)
            parts.append(means)
        return np.concatenate(parts, axis=1)

    def embed_backward(self, d: Array) -> None:
        """Add the derivatives of the embeddings."""
        start = self.numbers
        for place, (_, dim) in enumerate(self.tables):
            into = self.gradients[f"embedding{place + 1}"]
            codes = self.rows.codes[:, place]
            # a product with the one-hot matrix sums the rows of equal codes, by BLAS
            used, where = np.unique(codes, return_inverse=True)
            hot = np.zeros((len(used), len(codes)), d.dtype)
            hot[where, np.arange(len(codes))] = 1
            into[used] += hot @ d[:, start : start + dim]
            start += dim
        if self.words is not None:
            into = self.gradients["words"]
            part = np.ascontiguousarray(d[:, start:])
            self._kernel("scatter_means", into.dtype)(into, self.rows.words, self.rows.starts, part)

    @staticmethod
    def _kernel(name: str, dtype: Any) -> Any:
        from mlkit.nets import kernels

        return getattr(kernels, name if dtype == np.float32 else f"{name}_double")
