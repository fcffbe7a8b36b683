"""What every layer is: declared arrays, a forward and a backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 in training, float64 in gradient checks
Random = Callable[[], np.random.Generator]  # the generator of this step, made when it is first asked for
Initialiser = Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]


@dataclass(frozen=True)
class Parameter:
    """An array that a layer wants: learnt (a parameter) or only kept (running statistics).

    `decays` says whether weight decay and L1 apply: to weights, not to biases, slopes and scales.
    """

    name: str
    shape: tuple[int, ...]
    initialise: Initialiser
    decays: bool = True
    learnt: bool = True


class Layer:
    """A function of rows [n, size] with a backward pass.

    `backward` takes the loss's derivative by the output, ADDS those by the parameters to `gradients` and returns that
    by the input (undefined unless `wanted`). The network clears the gradients before each step. A `frozen`
    layer keeps its arrays, running statistics too.
    """

    frozen = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: list[Parameter] = []
        self.values: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def declare(self, size: int) -> int:
        """Say which arrays are needed for inputs of `size` columns; return the number of output columns."""
        return size

    def parameter(self, name: str, shape: tuple[int, ...], initialise: Initialiser, **flags: bool) -> None:
        """Ask for an array; `values[name]` and `gradients[name]` are there once the network is built."""
        self.parameters.append(Parameter(name, shape, initialise, **flags))

    def inner(self) -> list[Layer]:
        """Return the layers inside, for blocks."""
        return []

    def forward(self, x: Array, train: bool, random: Random) -> Array:
        """Return the output for rows x."""
        raise NotImplementedError

    def backward(self, d: Array, wanted: bool = True) -> Array:
        """Return the derivative by the input of the last `forward`."""
        raise NotImplementedError
