"""Score a classifier on labelled lines: precision and recall at k, per label, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.fasttext.predict import Classifier, line_chunks
from mlkit.formats.streams import open_text

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
        with open_text(path_or_chunks) as stream:
            return evaluate(classifier, line_chunks(stream), k, threshold, confusion=confusion)
    labels = classifier.labels
    empty = np.zeros(labels, np.int64)
    table = np.zeros((labels, labels) if confusion else (0, 0), np.int64)
    scores = Scores(0, empty, empty.copy(), empty.copy(), table)
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


def precision_recall(
    classifier: Classifier, chunks: Iterable[bytes], label: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (precision, recall) at every threshold, falling; of one label, or of all labels together."""
    parts: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []
    for chunk in chunks:
        lines = classifier.encoder.encode(chunk)
        gold = np.zeros((len(lines.rows), classifier.labels), bool)
        gold[lines.label_line, lines.label] = True
        used = gold.any(axis=1) & (lines.rows > 0)
        scores = classifier.probabilities(lines.hidden)[used]
        gold = gold[used]
        if label is not None:
            scores, gold = scores[:, [label]], gold[:, [label]]
        parts.append((scores.ravel(), gold.ravel()))
    scores = np.concatenate([part[0] for part in parts])
    hits = np.concatenate([part[1] for part in parts])[np.argsort(-scores, kind="stable")]
    found = np.cumsum(hits)
    total = max(int(found[-1]) if len(found) else 0, 1)
    return found / np.arange(1, len(found) + 1), found / total
