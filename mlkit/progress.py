"""What a room tells about a long job: plain numbers through a callback, never printing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Where a job stands: `done` of `total` `unit`s, and figures such as the loss or the learning rate."""

    stage: str
    done: float
    total: float | None = None
    unit: str = ""
    loss: float | None = None
    learning_rate: float | None = None
    valid_loss: float | None = None


Progress = Callable[[Report], None]


def silent(report: Report) -> None:
    """Ignore a report: the default of every room's `progress` argument."""
