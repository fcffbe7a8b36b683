"""Weights against distribution shift, for trainers to read with --weight.

Covariate shift: a domain classifier tells rows of one table from rows of another; its odds are the ratio of
densities (Shimodaira 2000; Bickel et al. 2009). Label shift: the confusion matrix of a classifier on held-out
rows and its predictions elsewhere give the new shares of classes (Lipton et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table, join_rows
from mlkit.linear.train import train_linear
from mlkit.tables.columns import Columns
from mlkit.tables.metrics import area_under_curve, predicted_classes
from mlkit.tables.predictor import Predictor
from mlkit.tables.target import target_values
from mlkit.tables.validation import fold_places
from mlkit.trees.boosting import GradientSettings
from mlkit.trees.importance import tree_importance
from mlkit.trees.train import train_gradient

Reals = NDArray[np.float64]
CLASSIFIERS = ("logistic", "boost")
DOMAIN = "mlkit_domain"


@dataclass(frozen=True)
class CovariateWeights:
    """Weights (mean 1) of the first table's rows, the domain classifier's AUC, and what the weights leave.

    auc 0.5: no shift that the classifier sees. effective_rows: (sum w)^2 / sum w^2.
    """

    weights: Reals
    auc: float
    effective_rows: float


def covariate_weights(
    table: Table,
    toward: Table,
    *,
    ignore: tuple[str, ...] = (),
    classifier: str = "logistic",
    clip: float = 10.0,
    folds: int = 5,
    seed: int = 1,
    threads: int = 1,
) -> CovariateWeights:
    """Return p_toward(x) / p_table(x) for every row of `table`, clipped at `clip` and scaled to a mean of 1.

    Only columns that both tables have are used. Every row is judged by a classifier that has not seen it.
    """
    if clip <= 0:
        raise UsageError("the clip must be above 0")
    found = judge_domains(
        table, toward, ignore=ignore, classifier=classifier, folds=folds, seed=seed, threads=threads
    )
    p = np.clip(found.scores, 1e-6, 1 - 1e-6)
    ratio = (p / (1 - p) * table.rows / toward.rows)[: table.rows]
    ratio = np.minimum(ratio, clip)
    weights = ratio / ratio.mean()
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return CovariateWeights(weights, found.auc, effective)


@dataclass(frozen=True)
class DomainScores:
    """The probability of every row, the first table's before the second's, to be of the second; and their AUC.

    importance: what each column contributed (gain of splits, summed over the folds; logistic: nothing).
    """

    scores: Reals
    auc: float
    importance: dict[str, float]


def judge_domains(
    table: Table, toward: Table, *, ignore: tuple[str, ...] = (), classifier: str = "logistic", folds: int = 5,
    seed: int = 1, threads: int = 1,
) -> DomainScores:  # fmt: skip
    """Tell rows of two tables apart; every row is judged by a classifier that has not seen it."""
    if classifier not in CLASSIFIERS:
        raise UsageError(f"the classifier is one of {', '.join(CLASSIFIERS)}, not {classifier!r}")
    shared = [name for name in table.names if name in toward.names and name not in ignore]
    if not shared:
        raise DataError("the tables have no column in common", path=toward.path)
    domain = np.repeat(["here", "there"], [table.rows, toward.rows])
    both = join_rows(table, toward, shared).with_column(DOMAIN, domain)
    both.settle(shared)
    label = (domain == "there").astype(np.float64)
    places = fold_places(label, folds, seed, stratified=True)
    columns = Columns(DOMAIN, task="classification")
    settings = GradientSettings(rounds=50, leaves=15, seed=seed)
    scores = np.empty(len(label))
    importance = dict.fromkeys(shared, 0.0)
    for fold in range(folds):
        train = both.take(places != fold)
        model: Predictor
        if classifier == "boost":
            trees = model = train_gradient(train, columns, settings, threads=threads)
            for name, gain in zip(trees.names, tree_importance(trees), strict=True):
                importance[name] += float(gain)
        else:
            model = train_linear(train, columns)
        scores[places == fold] = model.predict(both.take(places == fold), threads)[:, 1]
    auc = area_under_curve(scores, label == 1, np.ones(len(label)))
    return DomainScores(scores, 0.5 if auc is None else auc, importance)


@dataclass(frozen=True)
class LabelWeights:
    """The weight of every class (new share over old share), and the estimated new shares."""

    classes: tuple[str, ...]
    weights: Reals
    shares: Reals


def label_weights(model: Predictor, valid: Table, toward: Table, *, threads: int = 1) -> LabelWeights:
    """Return class weights for label shift: w >= 0 with C w = mu.

    C[i, j] is the share of held-out rows of class j that are predicted i, mu[i] the share of i among the
    predictions for `toward`.
    """
    if not model.classes:
        raise UsageError("label shift needs a classifier; this model predicts a number")
    count = len(model.classes)
    truth = target_values(valid, model.target, model.classes).astype(np.int64)
    predicted = predicted_classes(model.predict(valid, threads))
    confusion = np.bincount(predicted * count + truth, minlength=count * count).reshape(count, count) / len(
        truth
    )
    there = predicted_classes(model.predict(toward, threads))
    mu = np.bincount(there, minlength=count) / len(there)
    weights = nonnegative_solution(confusion, mu)
    shares = weights * confusion.sum(axis=0)
    total = shares.sum()
    if total <= 0:
        raise DataError("the confusion matrix does not tell the classes apart", path=valid.path)
    return LabelWeights(model.classes, weights / total, shares / total)


def nonnegative_solution(matrix: Reals, goal: Reals) -> Reals:
    """Return x >= 0 with least |matrix x - goal| (Lawson and Hanson's active sets)."""
    count = matrix.shape[1]
    x = np.zeros(count)
    free = np.zeros(count, np.bool_)
    for _ in range(10 * count):
        slope = matrix.T @ (goal - matrix @ x)
        candidates = ~free & (slope > 1e-12)
        if not candidates.any():
            break
        free[int(np.argmax(np.where(candidates, slope, -np.inf)))] = True
        while True:
            best = np.zeros(count)
            best[free] = np.linalg.lstsq(matrix[:, free], goal, rcond=None)[0]
            if best[free].min() > 0:
                break
            falling = free & (best <= 0)
            step = float(np.min(x[falling] / np.maximum(x[falling] - best[falling], 1e-300)))
            x = x + step * (best - x)
            free &= x > 1e-15
            if not free.any():
                break
        x = best
    return x
