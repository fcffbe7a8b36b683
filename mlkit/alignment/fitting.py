"""Aligning two languages: from a dictionary, from words spelled alike, or from nothing but the vectors.

The unsupervised way is that of Artetxe, Labaka and Agirre (2018): a first dictionary from sorted similarities, then
Procrustes and induction in turns, with scores dropped at random, less and less often. It runs on the most frequent
words; a few rounds of mutual pairs among more words follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.alignment.csls import Scores, best_partners, neighbourhoods
from mlkit.alignment.mapping import Mapping, Matrix, check_sides, prepared, procrustes, reweighted, unit_rows
from mlkit.errors import DataError, UsageError
from mlkit.progress import Progress, Report, silent

Rows = NDArray[np.int64]
METHODS = ("procrustes", "reweight")
_GAIN = 1e-6  # what counts as an improvement
_MOST_ROUNDS = 2000


@dataclass(frozen=True)
class AlignSettings:
    """How to align; the defaults are those of the command.

    refine: rounds of mutual CSLS pairs after the start; refine_words: the words they look at on each side;
    start_words: the words of the unsupervised start; interval: rounds without a gain before fewer scores are dropped.
    """

    method: str = "procrustes"
    refine: int = 5
    refine_words: int = 10_000
    start_words: int = 4_000
    interval: int = 5
    keep: float = 0.1
    neighbours: int = 10
    seed: int = 1


@dataclass(frozen=True)
class Alignment:
    """The mapping; the pairs (rows, confidences) it was fitted on; rounds of the start; criterion and mutual share.

    `criterion` is the mean cosine of the mutual pairs, `mutual` their share of the smaller side's words.
    """

    mapping: Mapping
    source_rows: Rows
    target_rows: Rows
    confidence: Matrix
    rounds: int
    criterion: float
    mutual: float


def align(
    source: Matrix,
    target: Matrix,
    pairs: tuple[Rows, Rows] | None = None,
    settings: AlignSettings | None = None,
    progress: Progress = silent,
) -> Alignment:
    """Align `source` float32 [n, d] with `target` [m, d]; rows in order of frequency.

    `pairs`: rows (source, target) of a dictionary; None starts from nothing. Raises `DataError` for vectors that do
    not fit together and for fewer pairs than dimensions, which leave the map free.
    """
    chosen = settings or AlignSettings()
    if chosen.method not in METHODS:
        raise UsageError(f"no method {chosen.method!r}; choose one of {', '.join(METHODS)}")
    check_sides(source, target)
    x, source_centre = prepared(source)
    y, target_centre = prepared(target)
    rounds = 0
    if pairs is None:
        rows, partners, rounds = _from_nothing(x, y, chosen, progress)
    else:
        rows, partners = pairs
    _check_pairs(len(rows), x.shape[1])
    confidence = np.ones(len(rows), np.float32)
    rotation = procrustes(x[rows], y[partners])
    criterion, mutual = _criterion(x[rows], y[partners], rotation), float("nan")
    for number in range(chosen.refine):
        rows, partners, confidence, mutual = mutual_pairs(
            x @ rotation, y, chosen.refine_words, chosen.neighbours
        )
        _check_pairs(len(rows), x.shape[1])
        rotation = procrustes(x[rows], y[partners])
        criterion = _criterion(x[rows], y[partners], rotation)
        progress(Report("refinement", number + 1, chosen.refine, "rounds", loss=None))
    if chosen.method == "procrustes":
        mapping = Mapping(rotation)
    else:
        mapping = Mapping(*reweighted(x[rows], y[partners]), source_centre, target_centre)
    return Alignment(mapping, rows, partners, confidence, rounds, criterion, mutual)


def mutual_pairs(x: Matrix, y: Matrix, words: int, k: int) -> tuple[Rows, Rows, Matrix, float]:
    """Return the pairs of the first `words` that choose each other by CSLS, confidences, and their share.

    The confidence is the smaller of the two leads over the next best partner.
    """
    scores = Scores(np.ascontiguousarray(x[:words]), np.ascontiguousarray(y[:words]))
    best = best_partners(scores, neighbourhoods(scores, k))
    rows, partners = best.mutual()
    confidence = np.minimum(best.source_lead[rows], best.target_lead[partners])
    return rows, partners, confidence, len(rows) / max(1, min(len(scores.source), len(scores.target)))


def _criterion(x: Matrix, y: Matrix, rotation: Matrix) -> float:
    return float(np.einsum("ij,ij->i", x @ rotation, y).mean(dtype=np.float64))


def _check_pairs(pairs: int, dimension: int) -> None:
    if pairs < dimension:
        raise DataError(
            f"{pairs} pairs of words for {dimension} dimensions: the map would be arbitrary",
            hint="give a larger dictionary, or look at more words",
        )


def _from_nothing(
    x: Matrix, y: Matrix, settings: AlignSettings, progress: Progress
) -> tuple[Rows, Rows, int]:
    size = min(len(x), len(y), settings.start_words)
    x, y = np.ascontiguousarray(x[:size]), np.ascontiguousarray(y[:size])
    rows, partners = first_dictionary(x, y, settings.neighbours)
    keep, best, stalled = settings.keep, -np.inf, 0
    for number in range(1, _MOST_ROUNDS + 1):
        scores = Scores(x @ procrustes(x[rows], y[partners]), y)
        means = neighbourhoods(scores, settings.neighbours)
        objective = (
            float(means.source_best.mean(dtype=np.float64) + means.target_best.mean(dtype=np.float64)) / 2
        )
        stalled = 0 if objective > best + _GAIN else stalled + 1
        best = max(best, objective)
        if stalled >= settings.interval:
            if keep >= 1:
                break
            keep, stalled = min(1.0, 2 * keep), 0
        drawn = settings.seed * 1_000_003 + number
        rows, partners = best_partners(scores, means, drop=1 - keep, seed=drawn).union()
        progress(Report("start", number, None, "rounds", loss=None))
    return rows, partners, number


def first_dictionary(x: Matrix, y: Matrix, k: int) -> tuple[Rows, Rows]:
    """Return pairs of words whose similarities to all words of their own language, sorted, are most alike.

    x, y: prepared rows [n, d] of equally many words. The similarity is (X X')^1/2: it needs no common axes.
    """
    sorted_rows = [prepared(_sorted_similarities(matrix))[0] for matrix in (x, y)]
    scores = Scores(unit_rows(sorted_rows[0]), unit_rows(sorted_rows[1]))
    return best_partners(scores, neighbourhoods(scores, k)).union()


def _sorted_similarities(x: Matrix) -> Matrix:
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    similarity: Matrix = (left * values) @ left.T
    similarity.sort(axis=1)
    return similarity


def named_pairs(
    alignment: Alignment, source: Sequence[str], target: Sequence[str]
) -> list[tuple[str, str, float]]:
    """Return the pairs of an alignment as (source word, target word, confidence), the surest first."""
    order = np.lexsort((alignment.source_rows, -alignment.confidence))
    return [
        (source[alignment.source_rows[i]], target[alignment.target_rows[i]], float(alignment.confidence[i]))
        for i in order
    ]
