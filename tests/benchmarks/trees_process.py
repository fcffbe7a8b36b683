"""Tree ensembles as whole processes: from CSV to a model, from CSV and model to predictions."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.harness import Table
from tests.benchmarks.trees import PEERS, processes

__all__ = ["PEERS", "TITLE", "run"]

TITLE = "Tree ensembles from CSV: whole processes"


def run() -> Iterator[Table]:
    """Yield the table of whole processes on every data set."""
    yield processes()
