"""Gradient boosting: histogram trees grown leaf by leaf, as LightGBM does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError, UsageError
from mlkit.formats.schema import Schema, like, list_of, real, whole
from mlkit.progress import Progress, Report, silent
from mlkit.trees import kernels_grow as kg
from mlkit.trees import kernels_predict
from mlkit.trees.binning import Bins, Encoder, pack, plan_packing
from mlkit.trees.ensemble import Tree, Trees, append_trees, join_trees
from mlkit.trees.losses import Loss, weighted_quantile

Reals = NDArray[np.float64]
Rows = NDArray[np.int32]
Result = TypeVar("Result")
PART_SIZE = 1 << 14  # histogram updates of a part, the least that one thread does for another
MOST_PARTS = 64
BLOCK = 1 << 14  # rows from which threads share what is done row by row


@dataclass(frozen=True)
class GradientSettings:
    """Settings of gradient boosting; the defaults are LightGBM's."""

    rounds: int = 100
    learning_rate: float = 0.1
    leaves: int = 31
    max_depth: int = 0
    min_leaf: int = 20
    min_hessian: float = 1e-3
    l1: float = 0.0
    l2: float = 0.0
    min_gain: float = 0.0
    rows: float = 1.0
    columns: float = 1.0
    goss: bool = False
    goss_top: float = 0.2
    goss_other: float = 0.1
    category_smooth: float = 10.0
    category_l2: float = 10.0
    category_most: int = 32
    category_group: int = 100  # rows of a group of categories; in tables below 1,000 rows a tenth of them
    one_hot: int = 4
    early_stop: int = 0
    seed: int = 1
    monotone: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = {
            "rounds must be at least 1": self.rounds >= 1,
            "the learning rate must be above 0": self.learning_rate > 0,
            "leaves must be between 2 and 65536": 2 <= self.leaves <= 65536,
            "the part of rows must be above 0 and at most 1": 0 < self.rows <= 1,
            "the part of columns must be above 0 and at most 1": 0 < self.columns <= 1,
            "penalties must not be negative": min(self.l1, self.l2, self.min_gain) >= 0,
            "GOSS takes the place of row sampling": not (self.goss and self.rows < 1),
            "monotone constraints are 1, -1 or 0": set(self.monotone.values()) <= {-1, 0, 1},
        }
        for message, fine in checks.items():
            if not fine:
                raise UsageError(message)


class Grower:
    """The workspace of one growing tree at a time."""

    def __init__(self, bins: Bins, encoder: Encoder, settings: GradientSettings, workers: int = 1) -> None:
        packing = plan_packing(encoder)
        self.packed = pack(bins, encoder, packing)
        self.sizes = packing.sizes
        self.encoder, self.settings, self.workers = encoder, settings, workers
        widths = np.array([feature.bins + feature.missing for feature in encoder.features], np.int64)
        self.features = np.array(
            [
                (
                    packing.column[k], packing.stride[k], feature.bins, feature.missing, feature.categorical,
                    offset, settings.monotone.get(feature.name, 0),
                )
                for k, (feature, offset) in enumerate(
                    zip(encoder.features, np.cumsum(widths) - widths, strict=True)
                )
            ],
            np.int32,
        )  # fmt: skip
        self._check_monotone()
        self.total_bins = int(widths.sum())

    def _check_monotone(self) -> None:
        for name, sign in self.settings.monotone.items():
            found = [f for f in self.encoder.features if f.name == name]
            if not found:
                raise UsageError(f"monotone constraint on {name!r}: no such column")
            if sign and found[0].categorical:
                raise UsageError(f"monotone constraint on {name!r}: the column is categorical")

    def workspace(self, rows: int) -> Workspace:
        """Return the arrays that one tree needs while it grows."""
        return Workspace(self, rows)


class Workspace:
    """Arrays for one tree; several threads that grow trees have one each."""

    def __init__(self, grower: Grower, rows: int) -> None:
        self.grower = grower
        s = grower.settings
        leaves = s.leaves
        self.rows = np.empty(rows, np.int32)
        self.scratch = np.empty(rows, np.int32)
        self.joint = np.zeros(512 * grower.packed.shape[1])
        self.hists = np.zeros((leaves, 2 * grower.total_bins))
        self.numbers = np.zeros((leaves, 9), np.int64)
        self.reals = np.zeros((leaves, 8))
        self.chosen = np.zeros((leaves, 256), np.uint8)
        self.node_numbers = np.zeros((2 * leaves - 1, 6), np.int32)
        self.node_reals = np.zeros((2 * leaves - 1, 3))
        self.sets = np.zeros((leaves, 4), np.uint64)
        self.goes_left = np.zeros(256, np.uint8)
        self.state = np.zeros(8, np.int64)
        self.lefts = np.zeros(MOST_PARTS, np.int64)
        self.team = np.zeros(kg.SHARED, np.int64)
        self.params = np.array(
            [
                s.l1, s.l2, s.min_gain, s.min_leaf, s.min_hessian, s.max_depth, s.category_smooth, s.category_l2,
                s.category_most, min(s.category_group, max(rows // 10, 1)), s.one_hot, PART_SIZE,
            ]
        )  # fmt: skip

    def grow(
        self,
        pairs: NDArray[np.float32],
        rows: Rows,
        active: NDArray[np.uint8],
        pool: ThreadPoolExecutor | None,
    ) -> None:
        """Grow a tree on `rows`; afterwards the leaf tables and self.used tell its shape.

        Threads of the pool help where the rows are many enough to be cut into parts.
        """
        grower = self.grower
        self.used = self.rows[: len(rows)]
        self.used[:] = rows
        helpers = 0
        if pool is not None and kg.TEAMS and len(rows) * grower.packed.shape[1] >= 2 * PART_SIZE:
            helpers = grower.workers - 1
        self.team[:] = 0
        self.team[kg.HELPED] = helpers
        arguments: tuple[Any, ...] = (
            grower.packed, pairs, grower.features, active, grower.sizes, self.params, self.used,
            self.scratch, self.joint, self.hists, self.numbers, self.reals, self.chosen,
            self.goes_left, self.node_numbers, self.node_reals, self.sets, self.state, self.lefts, self.team,
        )  # fmt: skip
        waiting = []
        if pool is not None:
            waiting = [pool.submit(lambda: kg.grow(*arguments, True)) for _ in range(helpers)]
        try:
            kg.grow(*arguments, False)
        finally:
            self.team[kg.STOP] = 1
            for job in waiting:
                if not job.cancel():
                    job.result()

    def leaf_spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return (start, end, node) of every leaf."""
        spans = np.ascontiguousarray(self.numbers[: self.state[kg.LEAVES], :3].T)
        return spans[0], spans[1], spans[2]

    def values(self) -> Reals:
        """Return the values of all nodes (a view)."""
        return self.node_reals[: self.state[kg.NODES], kg.NODE_VALUE]

    def sketch(self) -> Sketch:
        """Return a copy of the tree as it was grown."""
        nodes, leaves = int(self.state[kg.NODES]), int(self.state[kg.LEAVES])
        return Sketch(
            self.node_numbers[:nodes].copy(), self.node_reals[:nodes].copy(), self.sets[: leaves - 1].copy()
        )

    def to_tree(self) -> Tree:
        """Return the tree as flat arrays."""
        return join_sketches([self.sketch()], self.grower.features).tree(0)


@dataclass(frozen=True)
class Sketch:
    """A grown tree as the kernel left it: its nodes, the sets of categories in the order of their splits."""

    numbers: Rows
    reals: Reals
    sets: NDArray[np.uint64]


def join_sketches(sketches: Sequence[Sketch], features: Rows) -> Trees:
    """Return grown trees as flat arrays, all at once; values that training never saw go where most rows went."""
    sizes = np.array([len(sketch.numbers) for sketch in sketches], np.int64)
    roots = np.cumsum(sizes) - sizes
    splits = sizes // 2  # rows of `sets`
    first, first_set = np.repeat(roots, sizes), np.repeat(np.cumsum(splits) - splits, sizes)
    numbers = np.concatenate([sketch.numbers for sketch in sketches])
    reals = np.concatenate([sketch.reals for sketch in sketches])
    inner = numbers[:, kg.LEFT] > 0
    left = np.where(inner, numbers[:, kg.LEFT] + first, 0)
    feature = np.where(inner, numbers[:, kg.NODE_FEATURE], 0)
    missing_left = numbers[:, kg.NODE_MISSING_LEFT] == 1
    unseen = inner & (features[feature, kg.MISSING] == 0)
    counts = numbers[:, kg.NODE_COUNT].copy()
    missing_left[unseen] = counts[left[unseen]] >= counts[left[unseen] + 1]
    # sets were numbered as they were made: put them into the order of nodes
    set_of = np.where(inner, numbers[:, kg.NODE_SET], -1)
    with_set = np.flatnonzero(set_of >= 0)
    sets = np.concatenate([sketch.sets for sketch in sketches])[(set_of + first_set)[with_set]]
    sets[missing_left[with_set], 3] |= np.uint64(1 << 63)
    set_of[with_set] = np.arange(len(with_set))
    return Trees(
        roots, np.where(inner, left - np.arange(len(left)), 0).astype(np.int32), feature.astype(np.uint16),
        np.where(inner, numbers[:, kg.NODE_THRESHOLD], 0).astype(np.uint8),
        np.where(inner & missing_left, 255, 0).astype(np.uint8), set_of.astype(np.int32), sets,
        np.where(inner, 0, reals[:, kg.NODE_VALUE]).astype(np.float32),
        np.where(inner, reals[:, kg.NODE_GAIN], 0).astype(np.float32), counts,
    )  # fmt: skip


def in_parts(pool: ThreadPoolExecutor, work: Callable[[int], Result], parts: int) -> list[Result]:
    """Do parts 1.. in the pool and part 0 here; return the results in order."""
    waiting = [pool.submit(work, part) for part in range(1, parts)]
    first = work(0)
    return [first, *(job.result() for job in waiting)]


@dataclass(frozen=True)
class Held:
    """Rows kept out of training, to stop early on."""

    bins: Bins
    target: Reals
    weights: Reals | None = None


@dataclass(frozen=True)
class Boosted:
    """What boosting made: the start value of every output, trees (round by round, one per output), the losses."""

    start: Reals
    trees: Trees
    rounds: int
    train_loss: float
    held_losses: tuple[float, ...] = ()


class Booster:
    """Gradient boosting, one round at a time; `state` and `restore` carry it through a checkpoint."""

    def __init__(
        self,
        bins: Bins,
        encoder: Encoder,
        target: Reals,
        weights: Reals | None,
        loss: Loss,
        settings: GradientSettings,
        *,
        held: Held | None = None,
        threads: int = 1,
        start: Reals | None = None,
        before: Trees | None = None,
    ) -> None:
        self.loss, self.settings, self.target, self.held = loss, settings, target, held
        self.weights = None if weights is None else weights * (len(weights) / weights.sum())
        self.bins = bins
        self.threads = threads
        self.grower = Grower(bins, encoder, settings, threads)
        self.start = loss.start(target, weights) if start is None else start
        count = len(bins)
        self.scores = np.repeat(self.start[:, None], count, axis=1)
        self.held_scores = np.repeat(self.start[:, None], 0 if held is None else len(held.bins), axis=1)
        self.before = before
        # a continued model draws on where the earlier one stopped
        self.earlier = 0 if before is None else len(before) // loss.outputs
        if settings.monotone and any(settings.monotone.values()) and loss.percentile is not None:
            raise UsageError(
                f"loss {loss.name!r} cannot keep monotone constraints: its leaves are renewed one by one",
                hint="losses squared, poisson, gamma and logistic can",
            )
        if before is not None:
            self.scores += before.sums(bins, loss.outputs, threads).T
            if held is not None:
                self.held_scores += before.sums(held.bins, loss.outputs, threads).T
        self.pairs = np.empty((loss.outputs, count, 2), np.float32)
        self.every_row = np.arange(count, dtype=np.int32)
        self.sketches: list[Sketch] = []
        self.restored: Trees | None = None  # trees of a checkpoint
        self.held_losses: list[float] = []
        self.round = 0
        self.finished = False  # nothing is left to split
        together = min(threads, loss.outputs)
        self.workspaces = [self.grower.workspace(count) for _ in range(together)]
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()

    def step(self) -> bool:
        """Do one round; return False when no output found anything to split, or it is time to stop early."""
        loss = self.loss
        self._fill_pairs()
        rows, inside = self._sample()
        active = self._columns()
        outputs = range(loss.outputs)
        if self.pool is not None and loss.outputs > 1:
            # tree k waits for workspace k mod threads: outputs are dealt out in fixed turns
            lanes = [outputs[lane :: len(self.workspaces)] for lane in range(len(self.workspaces))]

            def work(lane: int) -> list[tuple[Sketch, bool]]:
                return [self._tree(k, self.workspaces[lane], rows, inside, active, None) for k in lanes[lane]]

            dealt = list(self.pool.map(work, range(len(lanes))))
            made = [dealt[k % len(lanes)][k // len(lanes)] for k in outputs]
        else:
            made = [self._tree(k, self.workspaces[0], rows, inside, active, self.pool) for k in outputs]
        if not any(split for _, split in made):
            self.finished = True
            return False
        self.sketches += [sketch for sketch, _ in made]
        self.round += 1
        return self._judge()

    def _fill_pairs(self) -> None:
        """Compute gradients and hessians, rows in parts where there are threads."""
        count = len(self.target)
        parts = self.threads if self.pool is not None and count >= BLOCK else 1
        cuts = [count * part // parts for part in range(parts + 1)]

        def fill(part: int) -> None:
            self.loss.fill_pairs(
                self.scores, self.target, self.weights, self.pairs, cuts[part], cuts[part + 1]
            )

        if parts == 1:
            fill(0)
        elif self.pool is not None:
            in_parts(self.pool, fill, parts)

    def _judge(self) -> bool:
        """Note the loss on held-out rows; return False when it has not improved for long enough."""
        if self.held is None:
            return True
        last = join_sketches(self.sketches[-self.loss.outputs :], self.grower.features)
        self.held_scores += last.sums(self.held.bins, self.loss.outputs).T
        self.held_losses.append(self.loss.value(self.held_scores, self.held.target, self.held.weights))
        patience = self.settings.early_stop
        best = int(np.argmin(self.held_losses))
        return not patience or len(self.held_losses) - 1 - best < patience

    def _tree(
        self, k: int, work: Workspace, rows: Rows, inside: NDArray[np.bool_] | None, active: Any, pool: Any
    ) -> tuple[Sketch, bool]:
        work.grow(self.pairs[k], rows, active, pool)
        start, end, node = work.leaf_spans()
        values = work.values()
        if self.loss.percentile is not None:
            self._renew(k, work, start, end, node)
        values *= self.settings.learning_rate
        values[:] = values.astype(np.float32)  # what the model will hold
        self._add_scores(k, work.used, start, end, values[node], pool)
        sketch = work.sketch()
        if inside is not None and len(node) > 1:
            outside = ~inside
            tree = join_sketches([sketch], self.grower.features)
            self.scores[k, outside] += tree.sums(self.bins[outside], 1)[:, 0]
        elif inside is not None:
            self.scores[k, ~inside] += values[0]
        return sketch, len(node) > 1

    def _add_scores(self, k: int, rows: Rows, start: Any, end: Any, values: Reals, pool: Any) -> None:
        """Add the leaves' values to the scores of their rows; threads take leaves in turns."""
        parts = self.threads if pool is not None and len(rows) >= BLOCK else 1

        def add(part: int) -> None:
            mine = slice(part, None, parts)
            spans = (np.ascontiguousarray(array[mine]) for array in (start, end, values))
            kernels_predict.add_by_leaf(rows, *spans, self.scores[k])

        if parts == 1:
            add(0)
        else:
            in_parts(pool, add, parts)

    def _renew(self, k: int, work: Workspace, start: Any, end: Any, node: Any) -> None:
        """Replace the leaves' Newton steps by the percentile of their rows' residuals."""
        residuals = self.target - self.scores[k]
        for first, last, place in zip(start.tolist(), end.tolist(), node.tolist(), strict=True):
            rows = work.used[first:last]
            weights = None if self.weights is None else self.weights[rows]
            work.node_reals[place, kg.NODE_VALUE] = weighted_quantile(
                residuals[rows], weights, self.loss.percentile or 0.5
            )

    def _random(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.settings.seed, self.earlier + self.round, purpose))

    def _sample(self) -> tuple[Rows, NDArray[np.bool_] | None]:
        """Choose the rows of a round: all, a part at random, or by gradient (GOSS, Ke et al. 2017)."""
        settings = self.settings
        count = len(self.target)
        if settings.goss and self.earlier + self.round >= 1 / settings.learning_rate:
            weight = np.abs(self.pairs[:, :, 0] * self.pairs[:, :, 1]).sum(axis=0)
            top = max(1, int(settings.goss_top * count))
            other = max(1, int(settings.goss_other * count))
            order = np.argpartition(-weight, top - 1)
            rest = np.sort(order[top:])
            picked = self._random(0).choice(rest, min(other, len(rest)), replace=False)
            self.pairs[:, picked] *= np.float32((1 - settings.goss_top) / settings.goss_other)
            inside = np.zeros(count, np.bool_)
            inside[order[:top]] = True
            inside[picked] = True
        elif settings.rows < 1:
            inside = np.zeros(count, np.bool_)
            inside[self._random(0).choice(count, max(1, round(settings.rows * count)), replace=False)] = True
        else:
            return self.every_row, None
        return np.flatnonzero(inside).astype(np.int32), inside

    def _columns(self) -> NDArray[np.uint8]:
        """Choose the features of a round."""
        count = len(self.grower.features)
        active = np.ones(count, np.uint8)
        if self.settings.columns < 1:
            kept = max(1, round(self.settings.columns * count))
            active[:] = 0
            active[self._random(1).choice(count, kept, replace=False)] = 1
        return active

    def _trees(self, count: int) -> Trees:
        """Return the first trees."""
        old = [] if self.restored is None else [self.restored.tree(t) for t in range(len(self.restored))]
        if count <= len(old):
            return join_trees(old[:count])
        fresh = join_sketches(self.sketches[: count - len(old)], self.grower.features)
        return append_trees(join_trees(old), fresh) if old else fresh

    def result(self) -> Boosted:
        """Return the trees so far; with early stopping those up to the best round."""
        rounds = self.round
        if self.settings.early_stop and self.held_losses:
            rounds = int(np.argmin(self.held_losses)) + 1
        all_kept = rounds == self.round
        if rounds:
            joined = self._trees(rounds * self.loss.outputs)
        else:
            joined = join_trees([_stump() for _ in range(self.loss.outputs)])
            rounds = 1
        if self.before is not None:
            rounds += self.earlier
            joined = append_trees(self.before, joined)
        scores = self.scores
        if not all_kept:  # those of the rounds that are
            scores = joined.sums(self.bins, self.loss.outputs, self.threads).T + self.start[:, None]
        train_loss = self.loss.value(scores, self.target, self.weights)
        return Boosted(self.start, joined, rounds, train_loss, tuple(self.held_losses))

    # checkpoints

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what a checkpoint keeps: where training stands, and its arrays."""
        arrays: dict[str, NDArray[Any]] = {"scores": self.scores, "held_scores": self.held_scores}
        if self.round:
            trees = self._trees(self.round * self.loss.outputs)
            arrays |= {f"trees.{name}": array for name, array in trees.to_tensors().items()}
        return {"round": self.round, "held_losses": self.held_losses}, arrays

    def schema(self) -> Schema:
        """Return what a checkpoint holds beside the trees, which are checked as those of a model."""
        arrays = like({"scores": self.scores, "held_scores": self.held_scores})
        return Schema(arrays, {"round": whole(), "held_losses": list_of(real(finite=False))})

    def restore(self, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` returned."""
        self.round = int(state["round"])
        self.held_losses = list(state["held_losses"])
        self.scores[:] = arrays["scores"]
        self.held_scores[:] = arrays["held_scores"]
        tensors = {name[6:]: array for name, array in arrays.items() if name.startswith("trees.")}
        self.restored = Trees.from_tensors(tensors) if tensors else None
        if self.restored is not None:
            self.restored.check(self.bins.shape[1], 1)
        if (0 if self.restored is None else len(self.restored)) != self.round * self.loss.outputs:
            raise ModelError("damaged checkpoint (its trees are not those of its rounds)")


def _stump() -> Tree:
    """Return a tree of one leaf that adds nothing."""
    one = np.zeros(1, np.int32)
    real = np.zeros(1, np.float32)
    byte = np.zeros(1, np.uint8)
    return Tree(one, one.astype(np.uint16), byte, byte, one - 1, np.zeros((0, 4), np.uint64), real, real, one)


def fit_gradient(
    booster: Booster, progress: Progress = silent, after_round: Callable[[Booster], None] | None = None
) -> Boosted:
    """Run all rounds that are left; `after_round` is called after each (for checkpoints)."""
    total = booster.settings.rounds
    try:
        while booster.round < total and booster.step():
            held = booster.held_losses[-1] if booster.held_losses else None
            progress(Report("boosting", booster.round, total, "rounds", valid_loss=held))
            if after_round is not None:
                after_round(booster)
    finally:
        booster.close()
    return booster.result()


def restricted(settings: GradientSettings, names: Sequence[str]) -> GradientSettings:
    """Return the settings without constraints on columns that are left out."""
    return replace(settings, monotone={k: v for k, v in settings.monotone.items() if k in names})
