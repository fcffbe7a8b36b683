"""Networks in the slowest way: one number at a time, by the documented formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def finite_differences(function: Callable[[], float], values: list[float], set_value: Callable[[int, float], None],
                       step: float = 1e-6) -> list[float]:  # fmt: skip
    """Return the derivative of `function` by each value, by central differences."""
    slopes = []
    for place, value in enumerate(values):
        ends = []
        for moved in (value + step, value - step):
            set_value(place, moved)
            ends.append(function())
        set_value(place, value)
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return slopes


def gelu(x: float) -> float:
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def gelu_slope(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2))) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def mean_rows(table: Sequence[Sequence[float]], bags: Sequence[Sequence[int]]) -> list[list[float]]:
    return [
        [sum(table[word][k] for word in bag) / len(bag) if bag else 0.0 for k in range(len(table[0]))]
        for bag in bags
    ]


def cross_entropy(
    logits: Sequence[Sequence[float]], places: Sequence[int], smoothing: float, of_class: Sequence[float],
    of_row: Sequence[float],
) -> float:  # fmt: skip
    """PyTorch's CrossEntropyLoss with label_smoothing and weight, rows weighted too."""
    total = mass = 0.0
    for row, y, weight in zip(logits, places, of_row, strict=True):
        norm = math.log(sum(math.exp(x) for x in row))
        minus = [norm - x for x in row]
        smooth = sum(w * m for w, m in zip(of_class, minus, strict=True)) / len(row)
        total += weight * ((1 - smoothing) * of_class[y] * minus[y] + smoothing * smooth)
        mass += weight * of_class[y]
    return total / mass


def optimise(
    name: str, start: Sequence[float], gradients: Sequence[Sequence[float]], rate: float, *, momentum: float = 0.9,
    l2: float = 0.0, l1: float = 0.0, bound: float = 0.0,
) -> list[float]:  # fmt: skip
    """Return the parameters after one step per gradient, as PyTorch's documentation of each optimiser says it."""
    w = list(start)
    first, second = [0.0] * len(w), [0.0] * len(w)
    for t, step in enumerate(gradients, 1):
        norm = math.sqrt(sum(g * g for g in step))
        factor = min(1.0, bound / (norm + 1e-6)) if bound else 1.0
        for k in range(len(w)):
            g = step[k] * factor
            if name == "adamw":
                w[k] -= rate * l2 * w[k]
            else:
                g += l2 * w[k]
            g += l1 * ((w[k] > 0) - (w[k] < 0))
            if name in ("momentum", "nesterov"):
                first[k] = momentum * first[k] + g
                w[k] -= rate * (first[k] if name == "momentum" else g + momentum * first[k])
            elif name == "adagrad":
                first[k] += g * g
                w[k] -= rate * g / (math.sqrt(first[k]) + 1e-10)
            elif name == "rmsprop":
                first[k] = 0.99 * first[k] + 0.01 * g * g
                w[k] -= rate * g / (math.sqrt(first[k]) + 1e-8)
            elif name in ("adam", "adamw"):
                first[k] = 0.9 * first[k] + 0.1 * g
                second[k] = 0.999 * second[k] + 0.001 * g * g
                w[k] -= rate * (first[k] / (1 - 0.9**t)) / (math.sqrt(second[k] / (1 - 0.999**t)) + 1e-8)
            else:
                w[k] -= rate * g
    return w
