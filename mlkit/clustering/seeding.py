"""Where k-means starts: greedy k-means++, random rows.

Source: Arthur and Vassilvitskii (2007), k-means++; of 2 + ln k candidates a step the one with the least potential is
kept, as scikit-learn does. Rows that no candidate can be nearer to (triangle inequality) are not measured, and the
choice of a step is entered together with the candidates of the next one: a step reads every row at most once.
"""

from __future__ import annotations

import numpy as np

from mlkit.clustering import kernels_kmeans as kernels
from mlkit.clustering.rows import Labels, Reals, Rows
from mlkit.progress import Progress, Report, silent

Generator = np.random.Generator


def random_rows(rows: Rows, k: int, rng: Generator) -> Reals:
    """Return k different rows, float64 [k, dimension]; a row of weight 0 is not drawn."""
    chances = rows.weights / rows.weights.sum() if len(rows.weights) else None
    if chances is not None and np.count_nonzero(chances) < k:
        chances = None
    places = rng.choice(len(rows), k, replace=False, p=chances)
    return rows.matrix[places].astype(np.float64)


def plus_plus(rows: Rows, k: int, rng: Generator, progress: Progress = silent) -> Reals:
    """Return k rows drawn by greedy k-means++, float64 [k, dimension]."""
    trial = _Trial(rows, k, rng)
    for number in range(1, k):
        trial.step(number)
        progress(Report("k-means++", number, k, "centres"))
    return trial.centres


class _Trial:
    """The state of k-means++: the centres so far, and of every row the squared distance to the nearest of them."""

    def __init__(self, rows: Rows, k: int, rng: Generator) -> None:
        self.rows, self.rng = rows, rng
        self.candidates = 2 + int(np.log(k))
        self.centres = np.empty((k, rows.dimension))
        chances = rows.weights / rows.weights.sum() if len(rows.weights) else None
        first = int(rng.choice(len(rows), p=chances)) if chances is not None else int(rng.integers(len(rows)))
        self.centres[0] = rows.matrix[first]
        self.closest = np.full(len(rows), np.finfo(np.float32).max, np.float32)
        self.nearest = np.zeros(len(rows), np.int32)
        self.parts = list(rows.parts())
        self.step_kernel = kernels.seed_step_double if rows.double else kernels.seed_step
        self.potentials = self._enter(0)  # of the centres so far, by chunk

    def _enter(self, number: int) -> Reals:
        """Measure all rows against centre `number`; return the potential of every chunk."""
        points = self.centres[number : number + 1]

        def work(part: slice) -> float:
            self._measure(part, points, number)
            return self._potential(part)

        return np.array(list(self.rows.map(work)))

    def _potential(self, part: slice) -> float:
        weights = self.rows.weights_of(part)
        closest = self.closest[part].astype(np.float64)
        return float((closest * weights).sum() if len(weights) else closest.sum())

    def _measure(self, part: slice, points: Reals, number: int, reach: Reals | None = None) -> Reals:
        """Enter centre `number` (the first point) and return the potentials that the points would leave."""
        rows = self.rows
        weights, closest, nearest = rows.weights_of(part), self.closest[part], self.nearest[part]
        picks = np.arange(len(closest), dtype=np.int32)
        potentials = np.zeros(len(points))
        if reach is not None:
            count = np.zeros(1, np.int64)
            far = kernels.seed_check(closest, nearest, reach, weights, picks, count)
            if 2 * count[0] < len(picks):  # else to copy rows costs more than to measure the others
                potentials += far
                picks = picks[: count[0]]
            else:
                picks = np.arange(len(closest), dtype=np.int32)
        offsets, _ = rows.offsets(points)
        for some, scores in rows.products(part, picks, rows.columns(points)):
            self.step_kernel(
                rows.matrix[part], some, scores, points, offsets, rows.epsilon, rows.square[part], weights, number,
                closest, nearest, potentials,
            )  # fmt: skip
        return potentials

    def _draw(self, number: int) -> Reals:
        """Return candidates, drawn by weight * squared distance; chunks they are in are brought up to date."""
        bounds = np.cumsum(self.potentials)
        places = self.rng.random(self.candidates) * bounds[-1]
        found = []
        for place in places:
            chunk = min(int(np.searchsorted(bounds, place, side="right")), len(bounds) - 1)
            part = self.parts[chunk]
            if number > 1:
                self._measure(part, self.centres[number - 1 : number], number - 1)
            weights = self.rows.weights_of(part)
            mass = self.closest[part].astype(np.float64)
            inside = np.cumsum(mass * weights if len(weights) else mass)
            before = bounds[chunk - 1] if chunk else 0.0
            row = min(int(np.searchsorted(inside, place - before, side="right")), len(inside) - 1)
            found.append(self.rows.matrix[part.start + row].astype(np.float64))
        return np.array(found)

    def step(self, number: int) -> None:
        """Choose centre `number`."""
        points = np.concatenate([self.centres[number - 1 : number], self._draw(number)])
        known = self.centres[:number]
        # a row is entered once its nearest centre is any but the newest: that one is among the points itself
        reach = np.array([((points - centre) ** 2).sum(axis=1).min() for centre in known[: number - 1]])
        reach = np.append(reach, 0.0)
        found = list(self.rows.map(lambda part: self._measure(part, points, number - 1, reach)))
        table = np.array(found)[:, 1:]
        best = int(np.argmin(table.sum(axis=0)))
        self.centres[number] = points[1 + best]
        self.potentials = table[:, best]


def start_of(rows: Rows, k: int, how: str, rng: Generator, progress: Progress = silent) -> Reals:
    """Return k centres: "++" or "random"."""
    return plus_plus(rows, k, rng, progress) if how == "++" else random_rows(rows, k, rng)


def distinct(labels: Labels, k: int) -> int:
    """Return how many of k clusters have rows."""
    return int(np.count_nonzero(np.bincount(labels, minlength=k)))
