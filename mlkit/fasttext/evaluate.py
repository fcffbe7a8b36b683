"""Score a classifier on labelled lines: precision and recall at k, per label, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.fasttext.predict import Classifier, line_chunks
from mlkit.formats.streams import open_input

Longs = NDArray[np.int64]


@dataclass
class Scores:
    """Counts over the lines that have a label and a known part; the figures are fastText's."""

    examples: int
    gold: Longs  # [labels]
    predicted: Longs
    hits: Longs
    confusion: NDArray[np.int64]  # [labels, labels]: gold by best prediction; empty unless asked for

    @property
    def precision(self) -> float:
        """Share of the predictions that are right."""
        return _ratio(self.hits.sum(), self.predicted.sum())

    @property
    def recall(self) -> float:
        """Share of the gold labels that were found."""
        return _ratio(self.hits.sum(), self.gold.sum())

    @property
    def f1(self) -> float:
        """Twice the hits over gold labels and predictions together."""
        return _ratio(2 * self.hits.sum(), self.gold.sum() + self.predicted.sum())

    def of_label(self, label: int) -> tuple[float, float, float]:
        """Return (F1, precision, recall) of one label; NaN where there is nothing to divide by."""
        hits, gold, predicted = int(self.hits[label]), int(self.gold[label]), int(self.predicted[label])
        return _ratio(2 * hits, gold + predicted), _ratio(hits, predicted), _ratio(hits, gold)


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")


def evaluate(
    classifier: Classifier,
    path_or_chunks: str | Iterable[bytes],
    k: int = 1,
    threshold: float = 0.0,
    *,
    confusion: bool = False,
) -> Scores:
    """Classify labelled lines of a file ("-" is stdin) and count."""
    if isinstance(path_or_chunks, str):
        with open_input(path_or_chunks) as stream:
            return evaluate(classifier, line_chunks(stream), k, threshold, confusion=confusion)
    labels = classifier.labels
    scores = Scores(
        0, *(np.zeros(labels, np.int64) for _ in range(3)),
        np.zeros((labels, labels) if confusion else (0, 0), np.int64),
    )  # fmt: skip
    for chunk in path_or_chunks:
        lines = classifier.encoder.encode(chunk)
        ends = np.searchsorted(lines.label_line, np.arange(len(lines.rows) + 1))
        for line, found in enumerate(classifier.predict(lines, k, threshold)):
            gold = lines.label[ends[line] : ends[line + 1]].tolist()
            if not gold or not lines.rows[line]:
                continue
            scores.examples += 1
            for label in gold:
                scores.gold[label] += 1
            for label in found.labels:
                scores.predicted[label] += 1
                scores.hits[label] += label in gold
            if confusion and found.labels:
                for label in gold:
                    scores.confusion[label, found.labels[0]] += 1
    return scores
