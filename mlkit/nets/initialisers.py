"""How weights [inputs, outputs] begin."""

from __future__ import annotations

import math

import numpy as np

from mlkit.errors import unknown
from mlkit.nets.base import Array, Initialiser


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010)."""
    return _uniform(rng, shape, math.sqrt(6 / (shape[0] + shape[-1])))


def glorot_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from a normal distribution of deviation sqrt(2 / (inputs + outputs))."""
    return rng.standard_normal(shape) * math.sqrt(2 / (shape[0] + shape[-1]))


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from a normal distribution of deviation sqrt(2 / inputs): for ReLU and its kin (He et al. 2015)."""
    return rng.standard_normal(shape) * math.sqrt(2 / shape[0])


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from +-1 / sqrt(inputs), PyTorch's default for linear layers."""
    return _uniform(rng, shape, 1 / math.sqrt(shape[0]))


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from a normal distribution of deviation 0.01."""
    return rng.standard_normal(shape) * 0.01


def embedding(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw rows of an embedding from +-1 / dimensions, as fastText does."""
    return _uniform(rng, shape, 1 / shape[-1])


def bias_of(inputs: int) -> Initialiser:
    """Return the beginning of biases: +-1 / sqrt(inputs) as PyTorch has it; kinks of ReLU then lie apart."""
    return lambda rng, shape: _uniform(rng, shape, 1 / math.sqrt(inputs))


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Begin at 0."""
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Begin at 1."""
    return np.ones(shape)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float) -> Array:
    return rng.uniform(-bound, bound, shape)


INITIALISERS: dict[str, Initialiser] = {
    "glorot-uniform": glorot_uniform, "xavier-uniform": glorot_uniform, "glorot-normal": glorot_normal,
    "xavier-normal": glorot_normal, "he": he, "uniform": uniform, "normal": normal,
}  # fmt: skip


def initialiser(name: str) -> Initialiser:
    """Return an initialiser by its name."""
    if name not in INITIALISERS:
        raise unknown(f"no initialisation is called {name!r}", name, INITIALISERS)
    return INITIALISERS[name]
