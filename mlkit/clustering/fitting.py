"""From a file to clusters: what the subcommands of `mlkit kmeans` do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mlkit.clustering.assignments import points_of, vector_points
from mlkit.clustering.inputs import Space, choose_columns, kind_of_input, unit_vectors
from mlkit.clustering.kmeans import KMeansResult, KMeansSettings, assign, inertia_of, train_kmeans
from mlkit.clustering.minibatch import train_batches
from mlkit.clustering.model import KIND, KMeansModel, load_kmeans
from mlkit.clustering.quality import against_labels, geometry, silhouette
from mlkit.clustering.rows import Labels, Matrix, Reals, Rows
from mlkit.errors import DataError, UsageError
from mlkit.formats.model_file import kind_of
from mlkit.formats.streams import Errors
from mlkit.formats.table_files import Table, TableFormat, read_table
from mlkit.plots import Figure, Series
from mlkit.progress import Progress, Report, silent
from mlkit.tables.target import read_weights


@dataclass(frozen=True)
class Data:
    """What is clustered: points, and the table or the words that they are of."""

    points: Matrix
    path: str
    space: Space | None = None
    table: Table | None = None
    words: list[str] = field(default_factory=list)
    weights: Reals | None = None
    words_columns: list[str] = field(default_factory=list)

    def rows(self, threads: int) -> Rows:
        """Return the points for training."""
        return Rows(self.points, self.weights if self.weights is not None else np.empty(0), threads)


def read_input(
    path: str, form: TableFormat, *, kind: str = "auto", left_out: Collection[str] = (), weight: str | None = None,
    scale: bool = False, cosine: bool = False, errors: Errors = "strict",
) -> Data:  # fmt: skip
    """Read a table or word vectors; options of tables are refused for vectors."""
    if kind_of_input(path, kind) == "vectors":
        if left_out or weight is not None or scale:
            raise UsageError(
                "--ignore, --id, --weight and --scale are for tables; this input holds word vectors"
            )
        words, points = vector_points(path, cosine, errors)
        return Data(points, path, words=words)
    table = read_table(path, form)
    weights = read_weights(table, weight)
    names = {*left_out, *([weight] if weight is not None else [])}
    space, words_columns = choose_columns(table, names, scale=scale)
    values = space.points(table)
    if cosine:
        values = unit_vectors([], values, path).astype(np.float64)
    return Data(values, path, space, table, weights=weights, words_columns=words_columns)


def cluster(
    data: Data, settings: KMeansSettings, batch: int | None = None, start: str | None = None, *, threads: int = 1,
    progress: Progress = silent,
) -> tuple[KMeansModel, KMeansResult]:  # fmt: skip
    """Cluster; start: a file of centres."""
    centres = None if start is None else read_centres(start, data)
    if centres is not None:
        settings = replace(settings, k=len(centres))
    rows = data.rows(threads)
    if batch is None:
        found = train_kmeans(rows, settings, centres, progress)
    else:
        found = train_batches(rows, settings, batch, centres, progress)
    return model_of(data, settings, found, batch), found


def model_of(data: Data, settings: KMeansSettings, found: KMeansResult, batch: int | None) -> KMeansModel:
    """Return the model of a clustering, with its report."""
    report: dict[str, Any] = {
        "clusters": len(found.sizes), "rows": len(data.points), "inertia": found.inertia,
        "share": found.inertia / found.total if found.total > 0 else None, "rounds": found.rounds,
        "stopped": found.stopped, "run": found.run, "empty_clusters_moved": found.moved,
        "centres_are_means": found.stopped == "labels" and not settings.cosine, "sizes": found.sizes.tolist(),
    }  # fmt: skip
    if settings.cosine:
        report["mean_cosine"] = float(1.0 - found.distances.mean() / 2.0)
    kept = asdict(settings) | ({"batch": batch} if batch is not None else {})
    if data.table is not None:
        kept |= data.table.own_marks
    return KMeansModel(found.centres, found.sizes, settings.cosine, data.space, kept, report)


def read_centres(path: str, data: Data) -> Reals:
    """Return the centres of a model, of the rows of a table (in its own units), or of a vector file."""
    try:
        is_model = kind_of(path) == KIND
    except (OSError, DataError):
        is_model = False
    if is_model:
        centres = load_kmeans(path).centres
    elif data.space is not None:
        centres = data.space.points(read_table(path))
    else:
        _, found = vector_points(path, False)
        centres = found.astype(np.float64)
    if centres.shape[1] != data.points.shape[1]:
        raise DataError(
            f"centres of {centres.shape[1]} numbers for rows of {data.points.shape[1]}", path=path
        )
    return centres


def sampled_silhouette(points: Matrix, labels: Labels, sample: int, seed: int) -> tuple[float | None, int]:
    """Return the silhouette of at most `sample` rows, and of how many it is; None where it is not defined."""
    if not sample:
        return None, 0
    if len(points) > sample:
        places = np.sort(np.random.default_rng((seed, 17)).choice(len(points), sample, replace=False))
        points, labels = points[places], labels[places]
    if not 2 <= len(np.unique(labels)) <= len(points) - 1:
        return None, len(points)
    return silhouette(points, labels), len(points)


def evaluate_kmeans(
    model: KMeansModel, path: str, form: TableFormat, *, labels: str | None = None, weight: str | None = None,
    sample: int = 10000, seed: int = 1, threads: int = 1, errors: Errors = "strict",
) -> dict[str, Any]:  # fmt: skip
    """Measure a model on a table or on word vectors."""
    weights = truth = None
    points: Matrix
    if model.space is None:
        if labels is not None or weight is not None:
            raise UsageError("--labels and --weight are for tables; this model is of word vectors")
        _, points = vector_points(path, model.cosine, errors)
        model.require_dimension(points.shape[1], path)
    else:
        table = read_table(path, form)
        points = points_of(model, table)
        weights = read_weights(table, weight)
        truth = _truth(table, labels) if labels is not None else None
    rows = Rows(points, weights if weights is not None else np.empty(0), threads)
    found, squared = assign(rows, model.centres)
    return {"rows": len(rows), "clusters": len(model.centres), **measures(rows, found, squared, model.cosine),
            **_sampled(points, found, sample, seed), **geometry(points, found),
            **(against_labels(truth, found) if truth is not None else {})}  # fmt: skip


def measures(rows: Rows, labels: Labels, squared: Reals, cosine: bool) -> dict[str, Any]:
    """Return inertia and its share of the total."""
    inertia, total = inertia_of(rows, squared)
    found: dict[str, Any] = {"inertia": inertia}
    if total > 0:
        found["share"] = inertia / total
    if cosine:
        found["mean_cosine"] = float(1.0 - squared.mean() / 2.0)
    return found


def _sampled(points: Matrix, labels: Labels, sample: int, seed: int) -> dict[str, Any]:
    value, count = sampled_silhouette(points, labels, sample, seed)
    return {} if value is None else {"silhouette": value, "silhouette_rows": count}


def _truth(table: Table, name: str) -> Labels:
    table.require([name])
    codes, _ = table.coded_words(name)
    if (codes < 0).any():
        raise table.fault("the label is missing", name, int(np.argmax(codes < 0)))
    return codes


def sweep_kmeans(
    data: Data, settings: KMeansSettings, numbers: Sequence[int], *, sample: int = 10000, threads: int = 1,
    progress: Progress = silent,
) -> list[dict[str, Any]]:  # fmt: skip
    """Cluster into several numbers of clusters and measure each."""
    rows = data.rows(threads)
    lines = []
    for done, k in enumerate(numbers):
        progress(Report(f"k = {k}", done, len(numbers), "clusterings"))
        found = train_kmeans(rows, replace(settings, k=k))
        value, _ = sampled_silhouette(data.points, found.labels, sample, settings.seed)
        lines.append({
            "clusters": k, "inertia": found.inertia, "share": found.inertia / found.total if found.total > 0 else 0.0,
            "silhouette": float("nan") if value is None else value, "rounds": found.rounds,
        })  # fmt: skip
    return lines


def sweep_plot(lines: Sequence[dict[str, Any]]) -> Figure:
    """Return the curves of a sweep: the share of the inertia, and the silhouette."""
    numbers = [line["clusters"] for line in lines]
    curves = [Series(numbers, [line["share"] for line in lines], "inertia, share of the total")]
    known = [line for line in lines if np.isfinite(line["silhouette"])]
    if known:
        curves.append(
            Series([line["clusters"] for line in known], [line["silhouette"] for line in known], "silhouette")
        )
    return Figure(curves, x_label="clusters", y_label="")
