"""What a training needs to know; the defaults are scikit-learn's: a hidden layer of 100, Adam, batches of 200."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlkit.errors import UsageError, unknown
from mlkit.nets.losses import CLASSIFICATION, REGRESSION
from mlkit.nets.optimisers import DEFAULT_RATES, OptimiserSettings
from mlkit.nets.schedules import Schedule

LAYERS = (100, "relu")


@dataclass(frozen=True)
class NetSettings:
    """Settings of a training. Raises `UsageError` for values out of range.

    layers None: those of the model that is continued, else `LAYERS`. lr None: the optimiser's usual rate. batch 0: all
    rows (optimiser gd means that too). rates: layer -> factor of the rate. freeze: layers that stay as they are.
    average: the result is the mean of the last so many epochs' weights. early_stop: stop after so many epochs without a
    better held-out loss and keep the best weights.
    """

    layers: tuple[Any, ...] | None = None
    init: str = "glorot-uniform"
    loss: str | None = None
    huber_delta: float = 1.0
    label_smoothing: float = 0.0
    rule: OptimiserSettings = field(default_factory=OptimiserSettings)
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
            raise unknown(f"no loss is called {self.loss!r}", self.loss, (*CLASSIFICATION, *REGRESSION))
        if self.lr is not None and not (self.lr > 0 and math.isfinite(self.lr)):
            raise UsageError(f"--lr must be above 0, not {self.lr}")
        if self.epochs < 1:
            raise UsageError(f"--epochs must be at least 1, not {self.epochs}")
        if self.batch < 0 or self.mixup < 0 or self.early_stop < 0 or self.average < 0:
            raise UsageError("--batch, --mixup, --early-stop and --average must not be negative")
        if self.precision not in ("float32", "float64"):
            raise unknown(
                f"no precision is called {self.precision!r}", self.precision, ("float32", "float64")
            )
        if self.average and self.early_stop:
            raise UsageError(
                "--average and --early-stop exclude each other: best weights, or the mean of the last"
            )

    @property
    def top_rate(self) -> float:
        """The rate that the schedule begins from."""
        return DEFAULT_RATES[self.rule.name] if self.lr is None else self.lr
