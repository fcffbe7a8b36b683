"""k-means: Lloyd's rounds, with Hamerly's bounds to leave out what cannot have changed.

The rules are scikit-learn's: the tolerance is a part of the mean variance of the columns, an unchanged labelling ends
the run before it, an empty cluster takes the row that is farthest from its centre, and after a stop by tolerance rows
are labelled once more, so that labels are what `assign` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlkit.clustering import kernels_kmeans as kernels
from mlkit.clustering.rows import Labels, Reals, Rows
from mlkit.clustering.seeding import distinct, start_of
from mlkit.errors import DataError, UsageError
from mlkit.progress import Progress, Report, silent
from mlkit.threads import blas_threads

ALGORITHMS = ("hamerly", "lloyd")
STARTS = ("++", "random")
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class KMeansSettings:
    """How k-means runs; tolerance: part of the mean variance. cosine: rows have length 1, and so have centres."""

    k: int = 8
    runs: int = 1
    tolerance: float = 1e-4
    rounds: int = 300
    init: str = "++"
    algorithm: str = "hamerly"
    cosine: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if self.k < 1 or self.runs < 1 or self.rounds < 1:
            raise UsageError("clusters, runs and rounds are numbers from 1 on")
        if not 0 <= self.tolerance < np.inf:
            raise UsageError(f"the tolerance is a number from 0 on, not {self.tolerance}")
        if self.algorithm not in ALGORITHMS:
            raise UsageError(f"the algorithm is one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        if self.init not in STARTS:
            raise UsageError(f"a start is one of {', '.join(STARTS)} or a file, not {self.init!r}")


@dataclass(frozen=True)
class KMeansResult:
    """Clusters: float64 centres [k, dimension], int32 labels [rows], and how they were found.

    inertia: sum of weight * squared distance to the own centre, over all rows; total: that to the mean of all rows.
    stopped: "labels", "tolerance" or "limit". moved: empty clusters that took a far row. distances: squared.
    """

    centres: Reals
    labels: Labels
    distances: Reals
    sizes: NDArray[np.int64]
    inertia: float
    total: float
    rounds: int
    stopped: str
    moved: int
    run: int = 1

    @property
    def used(self) -> int:
        """Return how many clusters have rows."""
        return distinct(self.labels, len(self.centres))


def train_kmeans(
    rows: Rows, settings: KMeansSettings, start: Reals | None = None, progress: Progress = silent
) -> KMeansResult:
    """Cluster rows; of several runs the one with the least inertia is kept, the first of equal ones.

    start: float64 [k, dimension], instead of settings.init. Raises `DataError` for more clusters than rows.
    """
    k = settings.k
    if k > len(rows):
        raise DataError(f"{k:,} clusters for {len(rows):,} rows")
    if start is not None and start.shape != (k, rows.dimension):
        raise DataError(
            f"the start has {start.shape[0]} centres of {start.shape[1]} numbers, not {k} of {rows.dimension}"
        )
    best: KMeansResult | None = None
    for run in range(1, settings.runs + 1 if start is None else 2):
        rng = np.random.default_rng((settings.seed, 11, run))
        with blas_threads(1):
            first = start if start is not None else start_of(rows, k, settings.init, rng, progress)
            found = replace(_Rounds(rows, settings, first).run(progress), run=run)
        if best is None or found.inertia < best.inertia:
            best = found
    assert best is not None
    return best


class _Rounds:
    """One run: labels, two bounds a row, and the sums of the clusters, kept up to date by what changes."""

    def __init__(self, rows: Rows, settings: KMeansSettings, start: Reals) -> None:
        self.rows, self.settings = rows, settings
        self.centres = np.array(start, np.float64, order="C")
        if settings.cosine:
            self.centres = unit_rows(self.centres)
        self.labels = np.full(len(rows), -1, np.int32)
        self.upper = np.empty(len(rows), np.float32)
        self.lower = np.empty(len(rows), np.float32)
        self.sums = np.zeros_like(self.centres)
        self.mass = np.zeros(len(self.centres))
        self.moved = 0

    def run(self, progress: Progress) -> KMeansResult:
        """Repeat rounds until labels or centres stay."""
        limit = self.settings.tolerance * self.rows.variance
        every = self.settings.algorithm == "lloyd"
        steps: Reals | None = None
        stopped = "limit"
        done = 0
        while done < self.settings.rounds and stopped == "limit":
            changed = self.label(None if every else steps)
            steps = self.move()
            done += 1
            shift = float((steps**2).sum())
            if not changed:
                stopped = "labels"
            elif shift <= limit:
                stopped = "tolerance"
            progress(Report("k-means", done, self.settings.rounds, "rounds", loss=changed / len(self.rows)))
        if stopped != "labels":
            self.label(None if every else steps)
        return self.result(done, stopped)

    def label(self, steps: Reals | None) -> int:
        """Give every row the label of its nearest centre; return how many changed.

        steps: how far each centre has moved since the last time (None: every row is measured).
        """
        nearest = Nearest(self.rows, self.centres)
        check = self._checker(steps)

        def work(part: slice) -> tuple[int, Reals, Reals] | None:
            picks = check(part)
            if not len(picks):
                return None
            sums, mass = np.zeros_like(self.centres), np.zeros(len(self.centres))
            state = (self.labels[part], self.upper[part], self.lower[part])
            return nearest.settle(part, picks, *state, sums, mass), sums, mass

        changed = 0
        for found in self.rows.map(work):
            if found is not None and found[0]:
                changed += found[0]
                self.sums += found[1]
                self.mass += found[2]
        return changed

    def _checker(self, steps: Reals | None) -> Callable[[slice], Labels]:
        """Return what gives the rows of a chunk whose label may have changed."""
        rows = self.rows
        if steps is None:
            return lambda part: np.arange(part.stop - part.start, dtype=np.int32)
        up = np.nextafter(steps.astype(np.float32), np.float32(np.inf))
        mover = int(np.argmax(up))
        others = np.delete(up, mover)
        gap = half_gaps(self.centres)
        kernel = kernels.check_bounds_double if rows.double else kernels.check_bounds

        def check(part: slice) -> Labels:
            picks = np.empty(part.stop - part.start, np.int32)
            count = kernel(
                rows.matrix[part], self.centres, self.labels[part], self.upper[part], self.lower[part], up,
                up[mover], others.max(initial=np.float32(0)), mover, gap, picks,
            )  # fmt: skip
            return picks[:count]

        return check

    def move(self) -> Reals:
        """Put every centre at the mean of its rows; return how far each went."""
        sums, mass = self.sums, self.mass
        counts = np.bincount(self.labels, minlength=len(mass))
        empty = np.flatnonzero((counts == 0) | (mass <= 0))
        if len(empty):
            sums, mass = self._fill(empty)
        weighty = mass > 0
        means = np.where(weighty[:, None], sums / np.where(weighty, mass, 1.0)[:, None], self.centres)
        if self.settings.cosine:
            means = unit_rows(means)
        steps: Reals = np.sqrt(((means - self.centres) ** 2).sum(axis=1))
        self.centres = means
        return steps

    def _fill(self, empty: NDArray[np.int64]) -> tuple[Reals, Reals]:
        """Return sums and masses in which empty clusters have the rows farthest from their centres."""
        sums, mass = self.sums.copy(), self.mass.copy()
        distances = self._distances()
        far = np.lexsort((np.arange(len(distances)), -distances))[: len(empty)]
        for cluster, row in zip(empty, far, strict=True):
            weight = float(self.rows.weights[row]) if len(self.rows.weights) else 1.0
            point = weight * self.rows.matrix[row].astype(np.float64)
            sums[self.labels[row]] -= point
            mass[self.labels[row]] -= weight
            sums[cluster], mass[cluster] = point, weight
        self.moved += len(empty)
        return sums, mass

    def _distances(self) -> Reals:
        return own_distances(self.rows, self.centres, self.labels)

    def result(self, rounds: int, stopped: str) -> KMeansResult:
        """Measure what has been found, on all rows."""
        distances = self._distances()
        inertia, total = inertia_of(self.rows, distances)
        sizes = np.bincount(self.labels, minlength=len(self.centres))
        return KMeansResult(
            self.centres, self.labels, distances, sizes, inertia, total, rounds, stopped, self.moved
        )


class Nearest:
    """Finds the nearest of some centres for rows: products in the rows' type, decisions in float64."""

    def __init__(self, rows: Rows, centres: Reals) -> None:
        self.rows, self.centres = rows, centres
        self.columns = rows.columns(centres)
        offsets, self.longest = rows.offsets(centres)
        self.offsets = offsets.astype(rows.matrix.dtype)
        self.kernel = kernels.settle_double if rows.double else kernels.settle

    def settle(
        self,
        part: slice,
        picks: Labels,
        labels: Labels,
        upper: Singles,
        lower: Singles,
        sums: Reals,
        mass: Reals,
    ) -> int:
        """Label the rows `picks` of a chunk; see the kernel `settle`."""
        rows = self.rows
        changed = 0
        for some, scores in rows.products(part, picks, self.columns):
            changed += self.kernel(
                rows.matrix[part], some, scores, self.offsets, self.longest, rows.bias, rows.epsilon,
                self.centres, rows.square[part], rows.weights_of(part), labels, upper, lower, sums, mass,
            )  # fmt: skip
        return changed


def assign(rows: Rows, centres: Reals) -> tuple[Labels, Reals]:
    """Return the label of the nearest centre (int32) and the squared distance to it (float64) of every row."""
    labels = np.full(len(rows), -1, np.int32)
    nearest = Nearest(rows, centres)

    def work(part: slice) -> None:
        size = part.stop - part.start
        bounds = np.empty((2, size), np.float32)
        picks = np.arange(size, dtype=np.int32)
        sums, mass = np.zeros_like(centres), np.zeros(len(centres))
        nearest.settle(part, picks, labels[part], bounds[0], bounds[1], sums, mass)

    with blas_threads(1):
        for _ in rows.map(work):
            pass
    return labels, own_distances(rows, centres, labels)


def own_distances(rows: Rows, centres: Reals, labels: Labels) -> Reals:
    """Return the squared distance of every row to the centre of its label."""
    found = np.empty(len(rows))
    measure = kernels.own_distances_double if rows.double else kernels.own_distances
    for _ in rows.map(lambda part: measure(rows.matrix[part], centres, labels[part], found[part])):
        pass
    return found


def inertia_of(rows: Rows, distances: Reals) -> tuple[float, float]:
    """Return the weighted sum of squared distances, and that of the distances to the mean of all rows."""
    if not len(rows.weights):
        return float(distances.sum()), rows.variance * rows.matrix.size
    weights = rows.weights
    mean = sum(rows.map(lambda part: weights[part] @ rows.matrix[part].astype(np.float64))) / weights.sum()
    to_mean = own_distances(rows, mean[None, :], np.zeros(len(rows), np.int32))
    return float(distances @ weights), float(to_mean @ weights)


def half_gaps(centres: Reals) -> Singles:
    """Return half the distance of every centre to the nearest other one, rounded down."""
    if len(centres) == 1:
        return np.full(1, np.inf, np.float32)
    lengths = (centres**2).sum(axis=1)
    squared = lengths[:, None] + lengths[None, :] - 2.0 * (centres @ centres.T)
    # what rounding can make too large is taken off: a bound must hold
    squared -= 1e-15 * (centres.shape[1] + 8) * (lengths[:, None] + lengths[None, :])
    np.fill_diagonal(squared, np.inf)
    half = 0.5 * np.sqrt(np.maximum(squared.min(axis=1), 0.0))
    found: Singles = np.nextafter(half.astype(np.float32), np.float32(-np.inf))
    return found


def unit_rows(matrix: Reals) -> Reals:
    """Return rows of length 1; one of length 0 stays."""
    lengths = np.sqrt((matrix**2).sum(axis=1, keepdims=True))
    found: Reals = matrix / np.where(lengths > 0, lengths, 1.0)
    return found
