"""Schedules: the learning rate of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlkit.errors import UsageError, unknown

SCHEDULES = ("constant", "step", "exponential", "cosine", "one-cycle", "plateau")


@dataclass(frozen=True)
class Schedule:
    """How the rate changes, beside the linear warm-up over the first `warm_up` steps.

    step: times `factor` every `every` epochs. exponential: times `factor` every epoch. cosine: down to 0 at the end.
    one-cycle: from rate / 25 up to the rate over 30 % of the steps, then down to rate / 250000, by cosines (Smith
    2018, PyTorch's constants). plateau: times `factor` after more than `every` epochs without a better loss.
    """

    kind: str = "constant"
    factor: float = 0.1
    every: int = 10
    warm_up: int = 0

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            raise unknown(f"no schedule is called {self.kind!r}", self.kind, SCHEDULES)
        if not 0 < self.factor <= 1 or self.every < 1 or self.warm_up < 0:
            raise UsageError("a schedule needs a factor above 0 and at most 1, and 1 epoch or more")

    def rate(self, top: float, step: int, steps: int, epoch: int, drops: int = 0) -> float:
        """Return the rate of `step` (from 0) of `steps` in `epoch`; `drops`: how often the loss stood still."""
        rate = top * self._part(step, steps, epoch, drops)
        return rate * min(1.0, (step + 1) / self.warm_up) if self.warm_up else rate

    def _part(self, step: int, steps: int, epoch: int, drops: int) -> float:
        if self.kind == "step":
            return float(self.factor ** (epoch // self.every))
        if self.kind == "exponential":
            return float(self.factor**epoch)
        if self.kind == "plateau":
            return float(self.factor**drops)
        if self.kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))
        if self.kind == "one-cycle":
            peak = max(0.3 * steps - 1, 1e-9)
            if step <= peak:
                return _between(1 / 25, 1.0, step / peak)
            return _between(1.0, 1 / 25 / 1e4, (step - peak) / max(steps - 1 - peak, 1e-9))
        return 1.0


def _between(first: float, last: float, part: float) -> float:
    """Return the value on a half cosine from `first` to `last`."""
    return last + (first - last) / 2 * (1 + math.cos(math.pi * min(part, 1.0)))
