"""The protocol of every model of a table."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table

Reals = NDArray[np.float64]


class Predictor(Protocol):
    """What every model of a table can do, whatever is inside."""

    @property
    def target(self) -> str:
        """Return the name of the target column."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes in the order of the probabilities; none for regression."""
        ...

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        ...

    def predict(self, table: Table, threads: int = 1) -> Reals:
        """Return probabilities float64 [rows, classes], or values float64 [rows]."""
        ...

    def save(self, path: PathLike) -> None:
        """Write the model file."""
        ...
