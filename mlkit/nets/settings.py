"""What a training needs to know; the defaults are scikit-learn's: a hidden layer of 100, Adam, batches of 200."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlkit.errors import UsageError
from mlkit.nets.losses import CLASSIFICATION, REGRESSION
from mlkit.nets.optimisers import DEFAULT_RATES, Rule
from mlkit.nets.schedules import Schedule


@dataclass(frozen=True)
class NetSettings:
    """Settings of a training. Raises `UsageError` for values out of range.

    lr None: the optimiser's usual rate. batch 0: all rows (optimiser gd means that too). rates: layer -> factor of the
    rate. freeze: layers that stay as they are. average: the result is the mean of the last so many epochs' weights.
    early_stop: stop after so many epochs without a better held-out loss and keep the best weights.
    """

    layers: tuple[Any, ...] = (100, "relu")
    init: str = "glorot-uniform"
    loss: str | None = None
    huber_delta: float = 1.0
    label_smoothing: float = 0.0
    rule: Rule = field(default_factory=Rule)
    lr: float | None = None
    schedule: Schedule = field(default_factory=Schedule)
    batch: int = 200
    epochs: int = 20
    mixup: float = 0.0
    early_stop: int = 0
    average: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    freeze: tuple[str, ...] = ()
    categories: str = "auto"
    embedding_dim: int | None = None
    min_count: int = 1
    precision: str = "float32"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.loss is not None and self.loss not in (*CLASSIFICATION, *REGRESSION):
            close = difflib.get_close_matches(self.loss, (*CLASSIFICATION, *REGRESSION), n=1)
            raise UsageError(
                f"the loss is one of {', '.join((*CLASSIFICATION, *REGRESSION))}, not {self.loss!r}",
                hint=f"did you mean {close[0]!r}?" if close else None,
            )
        if self.lr is not None and not (self.lr > 0 and math.isfinite(self.lr)):
            raise UsageError(f"--lr must be above 0, not {self.lr}")
        for name in ("epochs",):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} must be at least 1, not {getattr(self, name)}")
        if self.batch < 0 or self.mixup < 0 or self.early_stop < 0 or self.average < 0:
            raise UsageError("--batch, --mixup, --early-stop and --average must not be negative")
        if self.precision not in ("float32", "float64"):
            raise UsageError(f"--precision is float32 or float64, not {self.precision!r}")
        if self.average and self.early_stop:
            raise UsageError(
                "--average and --early-stop exclude each other: best weights, or the mean of the last"
            )

    @property
    def top_rate(self) -> float:
        """The rate that the schedule begins from."""
        return DEFAULT_RATES[self.rule.name] if self.lr is None else self.lr
