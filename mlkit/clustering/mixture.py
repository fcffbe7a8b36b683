"""Gaussian mixtures by expectation-maximisation, in float64; from the same start scikit-learn's steps.

Soft EM shares every row out among the components; hard EM (classification EM, Celeux and Govaert 1992) gives it to
one. The bound of a step is the mean log density of the rows under the parameters before it; the run ends when it
changes by less than the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlkit.clustering import kernels_mixture as kernels
from mlkit.clustering.kmeans import KMeansSettings, train_kmeans
from mlkit.clustering.rows import Labels, Reals, Rows
from mlkit.errors import DataError, UsageError
from mlkit.progress import Progress, Report, silent
from mlkit.threads import blas_threads, map_chunks

COVARIANCES = ("full", "tied", "diag", "spherical")
CHUNK = 1 << 13  # rows: what is added up per chunk does not depend on the number of threads
_TINY = 10 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class MixtureSettings:
    """How a mixture is learnt; ridge is added to every variance, in the units of the points."""

    covariance: str = "full"
    hard: bool = False
    ridge: float = 1e-6
    tolerance: float = 1e-3
    rounds: int = 100
    runs: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.covariance not in COVARIANCES:
            raise UsageError(f"a covariance is one of {', '.join(COVARIANCES)}, not {self.covariance!r}")
        if not (0 <= self.ridge < np.inf and 0 <= self.tolerance < np.inf):
            raise UsageError("--reg and --tol are numbers from 0 on")
        if self.rounds < 1 or self.runs < 1:
            raise UsageError("rounds and runs are numbers from 1 on")


@dataclass(frozen=True)
class Mixture:
    """A mixture of k Gaussians in d dimensions.

    weights [k], means [k, d], covariances: full [k, d, d], tied [d, d], diag [k, d], spherical [k].
    """

    kind: str
    weights: Reals
    means: Reals
    covariances: Reals

    @property
    def parameters(self) -> int:
        """Return the number of free parameters."""
        k, d = self.means.shape
        spread = {"full": k * d * (d + 1) // 2, "tied": d * (d + 1) // 2, "diag": k * d, "spherical": k}
        return int(k - 1 + k * d + spread[self.kind])

    def matrix(self, component: int) -> Reals:
        """Return the covariance of a component, [d, d]."""
        d = self.means.shape[1]
        if self.kind == "tied":
            return self.covariances
        found = self.covariances[component]
        return found if self.kind == "full" else np.diag(np.broadcast_to(found, d))


@dataclass(frozen=True)
class MixtureResult:
    """A mixture and the mean log density after every step; stopped: "tolerance" or "limit"."""

    mixture: Mixture
    bounds: tuple[float, ...]
    stopped: str
    run: int = 1


@dataclass
class _Sums:
    """What an M step needs, added up over rows: about the means of the step before."""

    mass: Reals
    first: Reals
    second: Reals
    likelihood: float = 0.0

    def add(self, other: _Sums) -> None:
        self.mass += other.mass
        self.first += other.first
        self.second += other.second
        self.likelihood += other.likelihood


def train_mixture(
    points: Reals, k: int, settings: MixtureSettings, start: Labels | None = None, *, threads: int = 1,
    progress: Progress = silent,
) -> MixtureResult:  # fmt: skip
    """Fit k Gaussians; start: a component for every row (default: k-means). The run with the best bound is kept.

    Raises `DataError` that names a component whose covariance has no inverse.
    """
    if k > len(points):
        raise DataError(f"{k:,} components for {len(points):,} rows")
    best: MixtureResult | None = None
    with blas_threads(1):
        for run in range(1, settings.runs + 1 if start is None else 2):
            labels = start
            if labels is None:
                rows = Rows(points, threads=threads)
                labels = train_kmeans(rows, KMeansSettings(k, seed=settings.seed + run - 1)).labels
            found = replace(_maximise(points, k, settings, labels, threads, progress), run=run)
            if best is None or found.bounds[-1] > best.bounds[-1]:
                best = found
    assert best is not None
    return best


def _maximise(
    points: Reals, k: int, settings: MixtureSettings, labels: Labels, threads: int, progress: Progress
) -> MixtureResult:
    mean = points.mean(axis=0)
    total = (points - mean).T @ (points - mean) if settings.covariance == "tied" else np.empty(0)
    old = np.array([_mean_of(points[labels == c], mean) for c in range(k)])
    sums = _sums_of_labels(points, labels, old, settings.covariance)
    bounds: list[float] = []
    stopped = "limit"
    mixture = _next(old, sums, settings, mean, total)
    for done in range(1, settings.rounds + 1):
        sums = expectation(points, mixture, hard=settings.hard, threads=threads)
        mixture = _next(mixture.means, sums, settings, mean, total)
        bounds.append(sums.likelihood / len(points))
        progress(Report("EM", done, settings.rounds, "steps", loss=-bounds[-1]))
        if len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < settings.tolerance:
            stopped = "tolerance"
            break
    Densities(mixture)  # a covariance without inverse is an error here, not in prediction
    return MixtureResult(mixture, tuple(bounds), stopped)


def _mean_of(rows: Reals, otherwise: Reals) -> Reals:
    return rows.mean(axis=0) if len(rows) else otherwise


def _sums_of_labels(points: Reals, labels: Labels, means: Reals, covariance: str) -> _Sums:
    """Return the sums of an M step from labels, about the clusters' means."""
    k, d = means.shape
    mass = np.bincount(labels, minlength=k).astype(np.float64)
    first = np.zeros((k, d))
    second = np.zeros((k, d, d) if covariance == "full" else (k, d))
    for c in range(k):
        steps = points[labels == c] - means[c]
        first[c] = steps.sum(axis=0)
        second[c] = steps.T @ steps if covariance == "full" else (steps**2).sum(axis=0)
    return _Sums(mass, first, second)


def _next(means: Reals, sums: _Sums, settings: MixtureSettings, centre: Reals, total: Reals) -> Mixture:
    """Return the mixture of the M step; `sums` are about `means`."""
    mass = sums.mass + _TINY
    weights = mass / mass.sum()
    steps = sums.first / mass[:, None]
    moved = means + steps
    kind, ridge = settings.covariance, settings.ridge
    d = means.shape[1]
    if kind == "tied":
        offsets = moved - centre
        found = (total - (mass[:, None] * offsets).T @ offsets) / mass.sum() + ridge * np.eye(d)
    elif kind == "full":
        found = sums.second / mass[:, None, None] - steps[:, :, None] * steps[:, None, :]
        found = (found + found.transpose(0, 2, 1)) / 2 + ridge * np.eye(d)
    else:
        found = np.maximum(sums.second / mass[:, None] - steps**2, 0.0) + ridge
        found = found.mean(axis=1) if kind == "spherical" else found
    return Mixture(kind, weights, moved, found)


@dataclass
class Densities:
    """What a pass over rows needs of a mixture: factors of the inverse covariances, and constants."""

    mixture: Mixture
    factors: Reals = field(init=False)
    means: Reals = field(init=False)
    logs: Reals = field(init=False)

    def __post_init__(self) -> None:
        kind, means = self.mixture.kind, self.mixture.means
        k, d = means.shape
        self.means = means
        if kind == "full":
            lower = np.array([_cholesky(self.mixture.covariances[c], c) for c in range(k)])
            self.factors = np.array([np.tril(np.linalg.inv(one)) for one in lower])
            logdet = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        elif kind == "tied":
            lower = _cholesky(self.mixture.covariances, None)
            self.factors = np.tril(np.linalg.inv(lower))
            self.means = means @ self.factors.T
            logdet = np.full(k, np.log(np.diag(lower)).sum())
        else:
            spreads = np.broadcast_to(self.mixture.covariances.reshape(k, -1), (k, d))
            if not (spreads > 0).all():
                raise _collapsed(int(np.argmin(spreads.min(axis=1))))
            self.factors = 1.0 / np.sqrt(spreads)
            logdet = 0.5 * np.log(spreads).sum(axis=1)
        self.logs = np.log(self.mixture.weights) - logdet - 0.5 * d * math.log(2 * math.pi)

    def run(self, rows: Reals, hard: bool, chances: Reals) -> tuple[_Sums, Reals]:
        """Take rows through the kernel; return sums and log densities."""
        k, d = self.means.shape
        kind = self.mixture.kind
        block = kernels.BLOCK
        scratch = (np.empty((d, block)), np.empty((d, block)), np.empty((k, block)), np.empty((2, block)))
        likelihood = np.empty(len(rows))
        sums = _Sums(np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d) if kind == "full" else (k, d)))
        out = (sums.mass, sums.first, sums.second, likelihood, chances)
        if kind == "full":
            kernels.full_step(rows, self.means, self.factors, self.logs, hard, *scratch, *out)
            sums.second = np.tril(sums.second) + np.tril(sums.second, -1).transpose(0, 2, 1)
        elif kind == "tied":
            white = np.ascontiguousarray(rows @ self.factors.T)
            kernels.diagonal_step(white, self.means, np.ones((k, d)), self.logs, hard, *scratch, *out)
            sums.first = np.linalg.solve(self.factors, sums.first.T).T.astype(np.float64, copy=False)
        else:
            kernels.diagonal_step(rows, self.means, self.factors, self.logs, hard, *scratch, *out)
        sums.likelihood = float(likelihood.sum())
        return sums, likelihood


def expectation(points: Reals, mixture: Mixture, *, hard: bool = False, threads: int = 1) -> _Sums:
    """Return what an M step needs; chunks are added in their order."""
    densities = Densities(mixture)
    none = np.empty((0, len(mixture.weights)))
    parts = map_chunks(lambda rows: densities.run(rows, hard, none)[0], _chunks(points), threads)
    total = next(parts)
    for part in parts:
        total.add(part)
    return total


def predict(points: Reals, mixture: Mixture, *, threads: int = 1) -> tuple[Reals, Reals]:
    """Return the probabilities of the components [rows, k] and the log density of every row."""
    densities = Densities(mixture)

    def work(rows: Reals) -> tuple[Reals, Reals]:
        chances = np.empty((len(rows), len(mixture.weights)))
        return chances, densities.run(rows, False, chances)[1]

    with blas_threads(1):
        parts = list(map_chunks(work, _chunks(points), threads))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def draw(mixture: Mixture, count: int, seed: int) -> tuple[Reals, NDArray[np.int64]]:
    """Return points drawn from a mixture, float64 [count, d], and the components they are of."""
    rng = np.random.default_rng((seed, 19))
    components = rng.choice(len(mixture.weights), count, p=mixture.weights / mixture.weights.sum())
    noise = rng.standard_normal((count, mixture.means.shape[1]))
    points = np.empty_like(noise)
    for c in range(len(mixture.weights)):
        rows = components == c
        lower = _cholesky(mixture.matrix(c), c)
        points[rows] = mixture.means[c] + noise[rows] @ lower.T
    return points, components


def criteria(mixture: Mixture, mean_log_likelihood: float, rows: int) -> dict[str, float]:
    """Return BIC and AIC: less is better. Source: Schwarz (1978), Akaike (1974)."""
    fit = -2.0 * mean_log_likelihood * rows
    return {"bic": fit + mixture.parameters * math.log(rows), "aic": fit + 2.0 * mixture.parameters}


def collapsed(mixture: Mixture, ridge: float, names: Sequence[str]) -> list[str]:
    """Return remarks on components that hardly have rows, or no spread in some column but the ridge."""
    found = []
    for c, weight in enumerate(mixture.weights):
        if weight < 1e-9:
            found.append(f"component {c} has no rows left")
            continue
        if ridge <= 0 or mixture.kind == "spherical":
            continue
        spread = np.diag(mixture.matrix(c))
        for i in np.flatnonzero(spread <= 1.001 * ridge).tolist():
            found.append(f"component {c} has no spread in column {names[i]!r} but --reg")
    return found


def _cholesky(matrix: Reals, component: int | None) -> Reals:
    try:
        lower = np.linalg.cholesky(matrix).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        raise _collapsed(component) from None
    return lower


def _collapsed(component: int | None) -> DataError:
    name = "the shared covariance" if component is None else f"component {component}"
    return DataError(
        f"{name} has collapsed: its covariance has no inverse",
        hint="fewer components, --covariance diag, or a larger --reg",
    )


def _chunks(points: Reals) -> Iterator[Reals]:
    for start in range(0, len(points), CHUNK):
        yield points[start : start + CHUNK]
