"""Optimisers over one flat vector of all parameters; formulas and defaults are PyTorch's documented ones.

A step walks the vector in blocks that stay in the cache, with numpy's in-place operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlkit.errors import UsageError, unknown
from mlkit.nets.base import Array

BLOCK = 1 << 13
DEFAULT_RATES = {
    "gd": 0.1, "sgd": 0.1, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.01, "rmsprop": 1e-3, "adam": 1e-3,
    "adamw": 1e-3,
}  # fmt: skip
STATES = {"gd": 0, "sgd": 0, "momentum": 1, "nesterov": 1, "adagrad": 1, "rmsprop": 1, "adam": 2, "adamw": 2}


@dataclass(frozen=True)
class ParameterGroup:
    """A part of the vector with its own rate (a factor of the schedule's) and whether weight decay applies."""

    start: int
    stop: int
    factor: float = 1.0
    decays: bool = True


@dataclass(frozen=True)
class OptimiserSettings:
    """An optimiser and its constants.

    l2 adds l2 * w to the gradient (adamw: shrinks w by rate * l2 instead), l1 adds l1 * sign(w); `clip` bounds
    the norm of the gradient over all parameters (0: no bound). None for l2 is 0, adamw 0.01.
    """

    name: str = "adam"
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float | None = None
    l2: float | None = None
    l1: float = 0.0
    clip: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in STATES:
            raise unknown(f"no optimiser is called {self.name!r}", self.name, STATES)
        if min(self.l1, self.l2 or 0.0, self.clip) < 0:
            raise UsageError("penalties and the bound of the gradient must not be negative")
        for name, value in (("momentum", self.momentum), ("beta1", self.beta1), ("beta2", self.beta2)):
            if not 0 <= value < 1:
                raise UsageError(f"{name} must be from 0 to below 1, not {value}")


class Optimiser:
    """The state of one training: moments as long as the parameters, and the number of steps."""

    def __init__(self, rule: OptimiserSettings, size: int, dtype: type = np.float32) -> None:
        self.rule = rule
        self.moments: list[Array] = [np.zeros(size, dtype) for _ in range(STATES[rule.name])]
        self.steps = 0
        self._scratch: Array = np.empty((2, BLOCK), dtype)
        self.epsilon = {"adagrad": 1e-10}.get(rule.name, 1e-8) if rule.epsilon is None else rule.epsilon
        self.l2 = (0.01 if rule.name == "adamw" else 0.0) if rule.l2 is None else rule.l2

    def step(self, theta: Array, gradient: Array, rate: float, groups: Sequence[ParameterGroup]) -> None:
        """Change `theta` in place; `gradient` is used up. Vectors outside of `groups` stay as they are."""
        self.steps += 1
        if self.rule.clip:
            clip(gradient, self.rule.clip, groups)
        for group in groups:
            own = rate * group.factor
            for start in range(group.start, group.stop, BLOCK):
                part = slice(start, min(start + BLOCK, group.stop))
                self._update(theta[part], gradient[part], own, part, group.decays)

    def _update(self, w: Array, g: Array, rate: float, part: slice, decays: bool) -> None:
        rule, name = self.rule, self.rule.name
        a, b = self._scratch[:, : len(w)]
        if decays and self.l2:
            if name == "adamw":
                w *= 1 - rate * self.l2
            else:
                np.multiply(w, self.l2, out=a)
                g += a
        if decays and rule.l1:
            np.sign(w, out=a)
            a *= rule.l1
            g += a
        moments = [moment[part] for moment in self.moments]
        if name in ("gd", "sgd"):
            g *= rate
            w -= g
        elif name in ("momentum", "nesterov"):
            (velocity,) = moments
            velocity *= rule.momentum
            velocity += g
            np.multiply(velocity, rule.momentum if name == "nesterov" else 1.0, out=a)
            if name == "nesterov":
                a += g
            a *= rate
            w -= a
        elif name in ("adagrad", "rmsprop"):
            (squares,) = moments
            np.multiply(g, g, out=a)
            if name == "rmsprop":
                squares *= 0.99
                a *= 0.01
            squares += a
            np.sqrt(squares, out=a)
            a += self.epsilon
            np.divide(g, a, out=a)
            a *= rate
            w -= a
        else:
            self._adam(w, g, rate, moments, a, b)

    def _adam(self, w: Array, g: Array, rate: float, moments: list[Array], a: Array, b: Array) -> None:
        rule = self.rule
        first, second = moments
        first *= rule.beta1
        np.multiply(g, 1 - rule.beta1, out=a)
        first += a
        np.multiply(g, g, out=a)
        a *= 1 - rule.beta2
        second *= rule.beta2
        second += a
        np.sqrt(second, out=a)
        # m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon), with the corrections drawn into two numbers
        root = (1 - rule.beta2**self.steps) ** 0.5
        a += self.epsilon * root
        np.divide(first, a, out=b)
        b *= rate * root / (1 - rule.beta1**self.steps)
        w -= b


def joined(groups: Sequence[ParameterGroup]) -> list[ParameterGroup]:
    """Return neighbours of the same rate as one group: where nothing decays, fewer and longer steps."""
    found: list[ParameterGroup] = []
    for group in groups:
        if found and (found[-1].stop, found[-1].factor) == (group.start, group.factor):
            found[-1] = ParameterGroup(found[-1].start, group.stop, group.factor, False)
        else:
            found.append(ParameterGroup(group.start, group.stop, group.factor, False))
    return found


def clip(gradient: Array, bound: float, groups: Sequence[ParameterGroup]) -> float:
    """Scale the gradient so that its norm over all learnt parameters is at most `bound`; return the norm before."""
    square = sum(float(np.vdot(gradient[s.start : s.stop], gradient[s.start : s.stop])) for s in groups)
    norm = float(square**0.5)
    if norm > bound:
        gradient *= bound / (norm + 1e-6)
    return norm
