"""Bagging, random forests and extremely randomised trees on binned columns.

Breiman 1996 and 2001, Geurts et al. 2006: N trees, each on a bootstrap sample of the rows, the mean of their
probabilities (or values) as prediction; at every node the best of a random few features, or of random thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.jit.tree_nodes import LEAF_WEIGHT
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks
from mlkit.trees import kernels_forest_classes, kernels_forest_means
from mlkit.trees.binning import Bins, Encoder
from mlkit.trees.ensemble import Tree, Trees, join_trees

Reals = NDArray[np.float64]
LEAST = 1e-9  # of a leaf's weight, of rows that weigh 1 on average: less is a rounding error
Votes = tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.float32]]


@dataclass(frozen=True)
class ForestSettings:
    """Settings of bagged trees; the defaults are scikit-learn's for forests, with all features (bagging)."""

    rounds: int = 100
    features: str = "all"
    extra: bool = False
    bootstrap: bool | None = None  # None: unless extra
    rows: float = 1.0
    max_depth: int = 0
    min_split: int = 2
    min_leaf: int = 1
    min_leaf_weight: float = 0.0
    vote: bool = False
    out_of_bag: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError("rounds must be at least 1")
        if not 0 < self.rows <= 1:
            raise UsageError("the part of rows must be above 0 and at most 1")
        if self.out_of_bag and not self.bootstraps:
            raise UsageError("an out-of-bag score needs bootstrap samples")
        if not 0 <= self.min_leaf_weight <= 0.5:
            raise UsageError("the least weight of a leaf is a part of the whole, between 0 and 0.5")
        self.per_node(10)

    @property
    def bootstraps(self) -> bool:
        """Say whether samples are drawn with replacement."""
        return not self.extra if self.bootstrap is None else self.bootstrap

    def per_node(self, features: int) -> int:
        """Return how many features a node looks at: all, sqrt, log2, third, a part (0.3) or a number (5)."""
        named = {
            "all": features,
            "sqrt": int(features**0.5),
            "log2": int(np.log2(features)),
            "third": features // 3,
        }
        if self.features in named:
            return max(1, named[self.features])
        try:
            number = float(self.features)
        except ValueError:
            number = 0.0
        if number <= 0 or (number > 1 and number != int(number)):
            raise UsageError(
                f"--features must be all, sqrt, log2, third, a part or a number, not {self.features!r}"
            )
        is_part = number < 1 or "." in self.features
        return min(features, max(1, int(number * features) if is_part else int(number)))


@dataclass(frozen=True)
class Forest:
    """Bagged trees, and for every row the mean of the trees that have not seen it (NaN where all have)."""

    trees: Trees
    out_of_bag: Reals | None = None


def sample_weights(
    rows: int, settings: ForestSettings, weights: Reals | None, tree: int
) -> NDArray[np.float64]:
    """Return the weight of every row in the sample of one tree: how often it was drawn, times its own weight."""
    rng = np.random.default_rng((settings.seed, tree))
    size = max(1, round(settings.rows * rows))
    if settings.bootstraps:
        drawn = np.bincount(rng.integers(0, rows, size), minlength=rows).astype(np.float64)
    else:
        drawn = np.ones(rows)
        if size < rows:
            drawn[:] = 0
            drawn[rng.choice(rows, size, replace=False)] = 1
    if weights is None:
        return drawn
    found: Reals = drawn * weights
    return found if found.any() else weights  # only rows without weight were drawn


def grow_tree(
    columns: Bins, target: NDArray[Any], weights: Reals, classes: int, params: Reals, seed: int
) -> tuple[Tree, Votes | None]:
    """Grow one tree on the rows with a weight; columns uint8 [features, rows]; classes 0 for means of the target.

    With classes > 2 the leaves' shares of classes come back as (entries per leaf, classes, shares).
    """
    rows = np.flatnonzero(weights > 0).astype(np.int32)
    most = 2 * len(rows) - 1
    if len(rows) < len(weights):
        weights, target = weights[rows], target[rows]
    used = weights.astype(np.float32)
    left = np.empty(most, np.int32)
    feature = np.empty(most, np.uint16)
    threshold, missing = np.empty(most, np.uint8), np.empty(most, np.uint8)
    value, gain = np.empty(most, np.float32), np.empty(most, np.float32)
    counts = np.empty(most, np.int32)
    state = np.array([seed], np.uint64)
    nodes = (left, feature, threshold, missing, value, gain, counts)
    targets = target.astype(np.int32 if classes > 2 else np.float32)
    votes: Votes | None = None
    if classes > 2:
        vote_counts = np.empty(most, np.int32)
        vote_classes, shares = np.empty(len(rows), np.uint16), np.empty(len(rows), np.float32)
        count = kernels_forest_classes.grow_classes(
            columns, rows, used, targets, classes, params, state, *nodes, vote_counts, vote_classes, shares
        )
        votes = _gather_votes(left[:count], vote_counts[:count], vote_classes, shares)
    else:
        count = kernels_forest_means.grow_means(columns, rows, used, targets, params, state, *nodes)
    tree = Tree(
        left[:count].copy(), feature[:count].copy(), threshold[:count].copy(), missing[:count].copy(),
        np.full(count, -1, np.int32), np.zeros((0, 4), np.uint64), value[:count].copy(), gain[:count].copy(),
        counts[:count].copy(),
    )  # fmt: skip
    return tree, votes


def _gather_votes(
    left: NDArray[np.int32],
    counts: NDArray[np.int32],
    classes: NDArray[np.uint16],
    shares: NDArray[np.float32],
) -> Votes:
    """Bring the leaves' votes, noted at each leaf's first row, into the order of leaves."""
    leaves = np.flatnonzero(left < 0)
    starts = -left[leaves] - 1
    sizes = counts[leaves]
    offsets = np.cumsum(sizes) - sizes
    places = np.repeat(starts - offsets, sizes) + np.arange(sizes.sum())
    left[leaves] = 0
    return sizes, classes[places], shares[places]


def order_categories(
    encoder: Encoder, bins: Bins, target: Reals, classes: int, weights: Reals | None
) -> Encoder:
    """Return the encoder with categories in the order of their mean target (several classes: of frequency)."""
    if classes > 2:
        return encoder
    places: dict[int, NDArray[np.int64]] = {}
    for column, feature in enumerate(encoder.features):
        if feature.categorical:
            weight = np.bincount(bins[:, column], weights=weights, minlength=256)
            total = np.bincount(
                bins[:, column], weights=target if weights is None else target * weights, minlength=256
            )
            means = total[: feature.bins] / np.maximum(weight[: feature.bins], 1e-300)
            places[column] = np.argsort(means, kind="stable")
    return encoder.reordered(places)


def reorder_bins(bins: Bins, before: Encoder, after: Encoder) -> Bins:
    """Return the bins as `after` would make them, from those that `before` made."""
    out = bins.copy()
    for column, (old, new) in enumerate(zip(before.features, after.features, strict=True)):
        if old.categorical:
            table = np.full(256, 255, np.uint8)
            places = {name: place for place, name in enumerate(new.categories)}
            table[: old.bins] = [places[name] for name in old.categories]
            out[:, column] = table[bins[:, column]]
    return out


@dataclass(frozen=True)
class ForestJob:
    """What a forest is grown from: bins uint8 [rows, features], the target (places of classes if there are any)."""

    bins: Bins
    target: Reals
    classes: int
    weights: Reals | None
    settings: ForestSettings


@dataclass(frozen=True)
class Grown:
    """One tree of a forest; its leaves' shares of classes; the rows it has not seen, with its sums for them."""

    tree: Tree
    votes: Votes | None = None
    unseen: tuple[NDArray[np.int64], Reals] | None = None


class Grower:
    """Grow the trees of a forest: each depends on its number and the job only, so anyone may grow it anywhere."""

    def __init__(self, job: ForestJob) -> None:
        self.job = job
        self._columns = np.ascontiguousarray(job.bins.T)
        self._params = forest_params(job.settings, job.bins.shape[1])
        # the mean is taken out: what is left keeps its precision in float32
        self._centre = 0.0 if job.classes else float(np.average(job.target, weights=job.weights))
        self._targets = job.target - self._centre

    def grow(self, number: int) -> Grown:
        """Grow tree `number`."""
        job, settings = self.job, self.job.settings
        drawn = sample_weights(len(job.bins), settings, job.weights, number)
        seed = (settings.seed << 32) + number
        params = self._params.copy()
        params[LEAF_WEIGHT] = max(settings.min_leaf_weight * float(drawn.sum()), LEAST)
        grown, votes = grow_tree(self._columns, self._targets, drawn, job.classes, params, seed)
        if job.classes == 0:
            grown.value[:] += np.float32(self._centre)
        if settings.vote and job.classes:
            grown, votes = _hard(grown, votes)
        if not settings.out_of_bag:
            return Grown(grown, votes)
        outside = np.flatnonzero(drawn == 0)
        one = join_trees([grown], None if votes is None else [votes])
        return Grown(grown, votes, (outside, one.sums(job.bins[outside], outputs_of(job.classes))))


def outputs_of(classes: int) -> int:
    """Return how many numbers a tree predicts for a row."""
    return classes if classes > 2 else 1


def fit_forest(
    job: ForestJob,
    *,
    threads: int = 1,
    elsewhere: Callable[[ForestJob], Iterator[Grown]] | None = None,
    progress: Progress = silent,
) -> Forest:
    """Grow the trees of a forest; the result does not depend on `threads`.

    elsewhere: what gives the trees in their order instead, such as workers (see `shards.grow_on`).
    """
    settings = job.settings
    if elsewhere is not None:
        source = elsewhere(job)
    else:
        source = map_chunks(Grower(job).grow, range(settings.rounds), threads)
    grown: list[Tree] = []
    votes: list[Votes] = []
    rows = len(job.bins)
    sums, seen = np.zeros((rows, outputs_of(job.classes))), np.zeros(rows)
    for one in source:
        grown.append(one.tree)
        if one.votes is not None:
            votes.append(one.votes)
        if one.unseen is not None:
            sums[one.unseen[0]] += one.unseen[1]
            seen[one.unseen[0]] += 1
        if elsewhere is None:
            progress(Report("growing", len(grown), settings.rounds, "trees"))
    out_of_bag = None
    if settings.out_of_bag:
        out_of_bag = np.where(seen[:, None] > 0, sums / np.maximum(seen, 1)[:, None], np.nan)
    return Forest(join_trees(grown, votes or None), out_of_bag)


def forest_params(settings: ForestSettings, features: int) -> Reals:
    """Return the parameters of the tree kernels, the least weight of a leaf apart: that depends on the sample."""
    return np.array(
        [
            settings.max_depth, settings.min_split, LEAST, settings.per_node(features), float(settings.extra),
            settings.min_leaf,
        ],
        np.float64,
    )  # fmt: skip


def _hard(tree: Tree, votes: Votes | None) -> tuple[Tree, Votes | None]:
    """Let every leaf vote for its most frequent class only."""
    if votes is None:
        tree.value[:] = tree.value > 0.5
        return tree, None
    counts, classes, shares = votes
    starts = np.cumsum(counts) - counts
    best = np.array(
        [
            start + int(np.argmax(shares[start : start + size]))
            for start, size in zip(starts, counts, strict=True)
        ]
    )
    ones = np.ones(len(counts))
    return tree, (ones.astype(np.int32), classes[best], ones.astype(np.float32))
