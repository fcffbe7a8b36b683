"""A fastText classifier as a predictor of tables: a teacher of networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError
from mlkit.fasttext.model import Model
from mlkit.fasttext.predict import Classifier, Encoder
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table

LINES = 10_000


@dataclass(frozen=True)
class FastTextTeacher:
    """A fastText classifier as a model of tables that have a column of text."""

    model: Model
    column: str = "text"
    target: str = "label"

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the labels without their prefix."""
        prefix = self.model.label_prefix
        return tuple(label.decode("utf-8", "replace").removeprefix(prefix) for label in self.model.labels)

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return [self.column]

    def predict(self, table: Table, threads: int = 1) -> NDArray[np.float64]:
        """Return probabilities float64 [rows, classes]; those of independent labels are scaled to a sum of 1."""
        table.require(self.names)
        encoder, classifier = Encoder(self.model), Classifier(self.model)
        texts = [text.replace("\n", " ") for text in table.values(self.column)]
        parts = [np.zeros((0, len(self.classes)))]
        for start in range(0, len(texts), LINES):
            lines = encoder.encode(("\n".join(texts[start : start + LINES]) + "\n").encode())
            found = np.maximum(classifier.probabilities(lines.hidden).astype(np.float64), 1e-12)
            parts.append(found / found.sum(axis=1, keepdims=True))
        return np.concatenate(parts)

    def save(self, path: PathLike) -> None:
        """Refuse: `mlkit fasttext` writes its models."""
        raise ModelError("a teacher is only read", path=path)
