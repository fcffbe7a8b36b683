"""Mini-batch k-means: centres follow small samples of the rows; a fraction of the time, a little more inertia.

The rules are scikit-learn's: a centre is the running mean of all rows it has been given, clusters that get next to
nothing are put anew on rows of the batch, and the run ends when the smoothed inertia has not fallen for a while.
Source: Sculley (2010), Web-scale k-means clustering.
"""

from __future__ import annotations

import numpy as np

from mlkit.clustering.kmeans import KMeansResult, KMeansSettings, assign, inertia_of, unit_rows
from mlkit.clustering.rows import Labels, Reals, Rows
from mlkit.clustering.seeding import start_of
from mlkit.errors import DataError
from mlkit.progress import Progress, Report, silent
from mlkit.threads import blas_threads

PATIENCE = 10  # batches without a lower smoothed inertia
EPOCHS = 100
RARE = 0.01  # part of the largest count below which a centre is put elsewhere


def train_batches(
    rows: Rows, settings: KMeansSettings, batch: int, start: Reals | None = None, progress: Progress = silent
) -> KMeansResult:
    """Cluster rows by samples of `batch` rows (drawn with their weights' chance); inertia is that of all rows."""
    k = settings.k
    if k > len(rows):
        raise DataError(f"{k:,} clusters for {len(rows):,} rows")
    rng = np.random.default_rng((settings.seed, 13))
    chances = rows.weights / rows.weights.sum() if len(rows.weights) else None

    def sample(size: int) -> Rows:
        places = rng.choice(len(rows), size, p=chances)
        return Rows(rows.matrix[places], threads=rows.threads)

    with blas_threads(1):
        first = max(3 * batch, 3 * k)
        centres = start
        if centres is None:
            centres = start_of(sample(min(first, len(rows))), k, settings.init, rng)
        centres = unit_rows(centres) if settings.cosine else centres.copy()
        counts = np.zeros(k)
        smoothed, least, waited, seen = 0.0, np.inf, 0, 0
        alpha = min(2.0 * batch / (len(rows) + 1), 1.0)
        most = max(EPOCHS * len(rows) // batch, 1)
        stopped = "limit"
        done = moved = 0
        for done in range(1, most + 1):
            part = sample(min(batch, len(rows)))
            labels, distances = assign(part, centres)
            _follow(part, labels, centres, counts)
            seen += len(part)
            if (counts == 0).any() or seen >= 10 * k:
                moved += _put_elsewhere(part, centres, counts, rng)
                seen = 0
            if settings.cosine:
                centres = unit_rows(centres)
            inertia = float(distances.mean())
            smoothed = inertia if done <= 2 else (1 - alpha) * smoothed + alpha * inertia
            progress(Report("mini-batches", done, most, "batches", loss=smoothed))
            waited = 0 if smoothed < least else waited + 1
            least = min(least, smoothed)
            if waited >= PATIENCE:
                stopped = "patience"
                break
        final_labels, squared = assign(rows, centres)
    inertia, total = inertia_of(rows, squared)
    sizes = np.bincount(final_labels, minlength=k)
    return KMeansResult(centres, final_labels, squared, sizes, inertia, total, done, stopped, moved)


def _follow(part: Rows, labels: Labels, centres: Reals, counts: Reals) -> None:
    """Move centres to the running mean of the rows that they have been given."""
    found = np.bincount(labels, minlength=len(centres)).astype(np.float64)
    sums = np.zeros_like(centres)
    np.add.at(sums, labels, part.matrix)
    hit = found > 0
    counts += found
    centres[hit] += (sums[hit] - found[hit, None] * centres[hit]) / counts[hit, None]


def _put_elsewhere(part: Rows, centres: Reals, counts: Reals, rng: np.random.Generator) -> int:
    """Put centres that got next to nothing on random rows of the batch; return how many."""
    rare = counts < RARE * counts.max()
    if rare.sum() > len(part) / 2:  # never more than half a batch
        rare[np.argsort(counts, kind="stable")[len(part) // 2 :]] = False
    many = int(rare.sum())
    if many:
        centres[rare] = part.matrix[rng.choice(len(part), many, replace=False)]
        counts[rare] = counts[~rare].min() if (~rare).any() else 1.0
    return many
