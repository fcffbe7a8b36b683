"""AdaBoost: SAMME for classes (Zhu et al. 2009), AdaBoost.R2 for numbers (Drucker 1997), on binned columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, UsageError
from mlkit.progress import Progress, Report, silent
from mlkit.trees.binning import Bins, Encoder
from mlkit.trees.boosting import GradientSettings, Grower, Workspace
from mlkit.trees.ensemble import Tree, Trees, join_trees, single
from mlkit.trees.forest import Votes, grow_tree

Reals = NDArray[np.float64]
LOSSES = ("linear", "square", "exponential")


@dataclass(frozen=True)
class AdaBoostSettings:
    """Settings of AdaBoost; the defaults are scikit-learn's (trees of depth 3 for regression)."""

    rounds: int = 50
    learning_rate: float = 1.0
    max_depth: int = 1
    min_leaf: float = 1.0
    loss: str = "linear"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.learning_rate <= 0:
            raise UsageError("rounds and learning rate must be above 0")
        if self.loss not in LOSSES:
            raise UsageError(f"the loss of AdaBoost.R2 is one of {', '.join(LOSSES)}, not {self.loss!r}")


@dataclass(frozen=True)
class AdaBoosted:
    """Trees with the weight of each: their votes are already scaled by it (classes), or not (numbers)."""

    trees: Trees
    weights: Reals
    errors: tuple[float, ...]


class _Learner:
    """Weighted trees on the fast path of gradient boosting: gradient = -weight * target, hessian = weight."""

    def __init__(self, bins: Bins, encoder: Encoder, settings: AdaBoostSettings) -> None:
        depth = settings.max_depth
        leaves = min(2**depth, 4096) if 0 < depth < 16 else 4096
        grow = GradientSettings(
            leaves=max(2, min(leaves, len(bins))), max_depth=depth, min_leaf=0, min_hessian=1e-12, category_smooth=0,
            category_l2=0, category_most=256, category_group=0, rounds=1,
        )  # fmt: skip
        self.workspace: Workspace = Grower(bins, encoder, grow).workspace(len(bins))
        # half a row at least: without it splits of rounding errors would pass
        self.workspace.params[3] = 1e-3 if settings.min_leaf <= 1 else settings.min_leaf
        self.active = np.ones(len(encoder.features), np.uint8)
        self.pairs = np.empty((len(bins), 2), np.float32)
        self.every_row = np.arange(len(bins), dtype=np.int32)

    def fit(self, target: Reals, weights: Reals) -> tuple[Tree, Reals, NDArray[np.int64]]:
        """Return a tree, the values of its leaves and the leaf (by number) of every row."""
        scaled = weights * (len(weights) / weights.sum())
        np.multiply(scaled, -target, out=self.pairs[:, 0], casting="unsafe")
        self.pairs[:, 1] = scaled
        rows = self.every_row
        if not scaled.all():
            rows = np.flatnonzero(scaled).astype(np.int32)
        work = self.workspace
        work.grow(self.pairs, rows, self.active, None)
        start, end, node = work.leaf_spans()
        leaf = np.full(len(target), -1)
        for number, (first, last) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
            leaf[work.used[first:last]] = number
        return work.to_tree(), work.values()[node].copy(), leaf


def fit_samme(
    bins: Bins, encoder: Encoder, target: Reals, classes: int, weights: Reals | None, settings: AdaBoostSettings,
    *, progress: Progress = silent,
) -> AdaBoosted:  # fmt: skip
    """Boost classification trees: weights of misclassified rows grow by e**alpha, trees vote with alpha.

    alpha = rate * (log((1 - err) / err) + log(K - 1)); the end comes early at no error or err >= 1 - 1/K.
    """
    current = np.ones(len(bins)) if weights is None else weights.astype(np.float64)
    current = current / current.sum()
    two = classes == 2
    learner = _Learner(bins, encoder, settings) if two else None
    columns = None if two else np.ascontiguousarray(bins.T)
    grown: list[Tree] = []
    votes: list[Votes] = []
    alphas: list[float] = []
    errors: list[float] = []
    for number in range(settings.rounds):
        if learner is not None:
            tree, means, leaf = learner.fit(target, current)
            predicted = np.where(means > 0.5, 1.0, 0.0)[leaf]
            wrong = predicted != target
        else:
            tree, tree_votes, wrong = _fit_classes(columns, bins, target, classes, current, settings, number)
        error = float(current[wrong].sum() / current.sum())
        if error >= 1 - 1 / classes:
            if not alphas:
                raise DataError("AdaBoost: the first tree is no better than chance")
            break
        clipped = max(error, 1e-10)
        alpha = settings.learning_rate * (np.log((1 - clipped) / clipped) + np.log(classes - 1))
        if learner is not None:
            inner = tree.left > 0
            tree.value[~inner] = np.where(tree.value[~inner] > 0.5, alpha, -alpha)
        else:
            counts, of, shares = tree_votes
            votes.append((counts, of, np.full(len(shares), alpha, np.float32)))
        grown.append(tree)
        alphas.append(alpha)
        errors.append(error)
        progress(Report("boosting", number + 1, settings.rounds, "rounds", loss=error))
        if error <= 0:
            break
        current[wrong] *= np.exp(alpha)
        current /= current.sum()
    return AdaBoosted(join_trees(grown, votes or None), np.array(alphas), tuple(errors))


def _fit_classes(
    columns: Any,
    bins: Bins,
    target: Reals,
    classes: int,
    weights: Reals,
    settings: AdaBoostSettings,
    number: int,
) -> tuple[Tree, Votes, NDArray[np.bool_]]:
    """Grow a tree whose leaves vote for their heaviest class; return it, the votes and which rows it gets wrong."""
    scaled = weights * (len(weights) / weights.sum())
    params = np.array([settings.max_depth, 2, 1e-9, bins.shape[1], 0.0, 1])
    tree, found = grow_tree(columns, target, scaled, classes, params, number)
    assert found is not None
    counts, of, shares = found
    starts = np.cumsum(counts) - counts
    heaviest = np.maximum.reduceat(shares, starts)
    first = np.flatnonzero(shares == np.repeat(heaviest, counts))
    leaf_of = np.repeat(np.arange(len(counts)), counts)[first]
    best = first[np.searchsorted(leaf_of, np.arange(len(counts)))]
    votes = (np.ones(len(counts), np.int32), of[best], np.ones(len(counts), np.float32))
    class_of = np.zeros(len(tree.left))
    class_of[tree.left == 0] = of[best]
    reached = single(tree).leaves(bins)[:, 0]
    return tree, votes, class_of[reached] != target


def fit_r2(
    bins: Bins, encoder: Encoder, target: Reals, weights: Reals | None, settings: AdaBoostSettings,
    *, progress: Progress = silent,
) -> AdaBoosted:  # fmt: skip
    """Boost regression trees on weighted bootstrap samples; predictions are the weighted median of the trees'."""
    current = np.ones(len(bins)) if weights is None else weights.astype(np.float64)
    current = current / current.sum()
    learner = _Learner(bins, encoder, settings)
    grown: list[Tree] = []
    alphas: list[float] = []
    errors: list[float] = []
    centre = float(np.average(target, weights=weights))
    for number in range(settings.rounds):
        rng = np.random.default_rng((settings.seed, number))
        drawn = np.bincount(rng.choice(len(bins), len(bins), p=current), minlength=len(bins))
        tree, _, _ = learner.fit(target - centre, drawn.astype(np.float64))
        tree.value[tree.left == 0] += np.float32(centre)
        off = np.abs(single(tree).sums(bins, 1)[:, 0] - target)
        worst = off[current > 0].max()
        off = off / worst if worst > 0 else off
        if settings.loss == "square":
            off = off**2
        elif settings.loss == "exponential":
            off = 1 - np.exp(-off)
        error = float((current * off).sum())
        if error >= 0.5 and alphas:
            break
        clipped = min(max(error, 1e-10), 1 - 1e-10)
        beta = clipped / (1 - clipped)
        grown.append(tree)
        alphas.append(settings.learning_rate * np.log(1 / beta) if error < 0.5 else 1.0)
        errors.append(error)
        progress(Report("boosting", number + 1, settings.rounds, "rounds", loss=error))
        if error <= 0 or error >= 0.5:
            break
        current = current * beta ** ((1 - off) * settings.learning_rate)
        current /= current.sum()
    return AdaBoosted(join_trees(grown), np.array(alphas), tuple(errors))


def weighted_median(values: Reals, weights: Reals) -> Reals:
    """Return, for every row of values [rows, trees], the first value that at least half of the weight reaches."""
    order = np.argsort(values, axis=1, kind="stable")
    reached = np.cumsum(weights[order], axis=1)
    place = np.argmax(reached >= 0.5 * reached[:, -1:], axis=1)
    rows = np.arange(len(values))
    result: Reals = values[rows, order[rows, place]]
    return result
