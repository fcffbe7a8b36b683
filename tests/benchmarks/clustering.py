"""k-means and mixtures against scikit-learn: from the same start, BLAS and OpenMP at one thread, in one process."""

from __future__ import annotations

import resource
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.benchmarks.harness import UNPACKED, Table, data, measure, mlkit_command, ratio, verdict

TITLE = "Clusters and mixtures"
PEERS = ("scikit-learn",)


def cpu(work: Callable[..., Any], *arguments: Any, **settings: Any) -> tuple[float, Any]:
    """Return the CPU seconds of a call, and what it returned."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    found = work(*arguments, **settings)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, found


def words() -> np.ndarray:
    """Return unit vectors of about 75,000 words, trained on 10 MB of text."""
    from mlkit.formats.vectors import load_vectors

    path = UNPACKED / "words-75000.bin"  # kept between runs, as the texts are
    if not path.exists():
        text = data("corpus/enwiki.10mb.norm.txt")
        measure(mlkit_command("train-w2v", text, "-o", path, "--min-count", 1, "--max-vocab", 75000, "-q"))
    _, matrix = load_vectors(path)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def clouds() -> np.ndarray:
    """Return a million rows of 64 Gaussians in 32 dimensions."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.standard_normal((64, 32))
    noise = 1.6 * rng.standard_normal((1_000_000, 32))
    return (centres[rng.integers(64, size=1_000_000)] + noise).astype(np.float32)


def letters() -> np.ndarray:
    """Return the columns of the letters, mean 0 and spread 1."""
    rows = np.loadtxt(data("tabular/letter.csv"), delimiter=",", skiprows=1, usecols=range(16))
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def run() -> Iterator[Table]:
    """Yield k-means on two sets, and mixtures on letters."""
    from threadpoolctl import threadpool_limits

    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        yield kmeans_table()
        yield mixture_table()


def kmeans_table() -> Table:
    """Compare k-means++, the rounds and the threads."""
    from sklearn.cluster import KMeans, kmeans_plusplus

    from mlkit.clustering.kmeans import KMeansSettings, train_kmeans
    from mlkit.clustering.rows import Rows
    from mlkit.clustering.seeding import plus_plus

    lines: list[list[object]] = []
    for name, points, k, bar in (
        ("words x 100, k 100", words(), 100, 0.65),
        ("1 M x 32, k 64", clouds(), 64, 0.35),
    ):
        few = Rows(points[:2000].copy())
        plus_plus(few, 3, np.random.default_rng(1))
        train_kmeans(few, KMeansSettings(3))  # kernels are compiled
        rows = Rows(points)
        seeding, start = cpu(plus_plus, rows, k, np.random.default_rng(1))
        peer_seeding, _ = cpu(kmeans_plusplus, points, k, random_state=1)
        reached = f"{verdict(seeding <= 0.8 * peer_seeding)} (0.8x)"
        seconds = [f"{seeding:.2f}", f"{peer_seeding:.2f}", ratio(seeding, peer_seeding)]
        lines.append([name, "k-means++", *seconds, "", "", reached])
        ours, found = cpu(train_kmeans, rows, KMeansSettings(k), start)
        single = start.astype(np.float32)
        for algorithm in ("lloyd", "elkan"):
            theirs, peer = cpu(KMeans(k, init=single, n_init=1, algorithm=algorithm).fit, points)
            reached = f"{verdict(ours <= bar * theirs)} ({bar}x)"
            rounds, apart = f"{found.rounds} / {peer.n_iter_}", f"{found.inertia / peer.inertia_ - 1:+.1e}"
            seconds = [f"{ours:.2f}", f"{theirs:.2f}", ratio(ours, theirs)]
            lines.append([name, f"rounds, {algorithm}", *seconds, rounds, apart, reached])
        walls = []
        for threads in (1, 2):
            threaded = Rows(points, threads=threads)
            begin = time.perf_counter()
            train_kmeans(threaded, KMeansSettings(k), start)
            walls.append(time.perf_counter() - begin)
        faster = walls[0] / walls[1]
        lines.append(
            [
                name,
                "2 threads: times faster",
                f"{faster:.2f}x",
                "",
                "",
                "",
                "",
                f"{verdict(faster >= 1.7)} (1.7x)",
            ]
        )
    return Table(
        "k-means on word vectors and on a million rows",
        ["data", "what", "mlkit, CPU s", "scikit-learn", "ratio", "rounds", "inertia less peer's", "bar"], lines,
        "float32 rows: the peer's sums end a little elsewhere; on float64 rows labels are equal (see the tests).",
    )  # fmt: skip


def mixture_table() -> Table:
    """Compare EM from the same start."""
    from sklearn.mixture import GaussianMixture

    from mlkit.clustering.kmeans import KMeansSettings, train_kmeans
    from mlkit.clustering.mixture import MixtureSettings, train_mixture
    from mlkit.clustering.rows import Rows

    points = letters()
    lines: list[list[object]] = []
    for kind, k in (("full", 10), ("full", 26), ("diag", 10), ("tied", 10), ("spherical", 10)):
        labels = train_kmeans(Rows(points), KMeansSettings(k)).labels

        class Started(GaussianMixture):
            def _initialize_parameters(self, X: np.ndarray, *rest: object, **more: object) -> None:
                self._initialize(X, np.eye(self.n_components)[labels])  # noqa: B023

        train_mixture(points[:100], 2, MixtureSettings(kind, rounds=1))
        ours, found = cpu(train_mixture, points, k, MixtureSettings(kind), labels)
        theirs, peer = cpu(Started(k, covariance_type=kind).fit, points)
        steps, apart = f"{len(found.bounds)} / {peer.n_iter_}", f"{found.bounds[-1] - peer.lower_bound_:+.1e}"
        seconds = [f"{ours:.2f}", f"{theirs:.2f}", ratio(ours, theirs)]
        lines.append([f"{kind}, k {k}", *seconds, steps, apart, verdict(ours <= 0.5 * theirs)])
    return Table(
        "Mixtures, letter 20,000 x 16, scaled",
        ["covariance", "mlkit, CPU s", "scikit-learn", "ratio", "steps", "bound less peer's", "<= 0.5x"], lines,
    )  # fmt: skip
