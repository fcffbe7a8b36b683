"""A Gaussian mixture of a table's columns: fitting, choosing k, measuring, assigning, drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mlkit.clustering.assignments import table_blocks
from mlkit.clustering.fitting import Data
from mlkit.clustering.inputs import Reals, Space, space_of
from mlkit.clustering.mixture import (
    COVARIANCES,
    Mixture,
    MixtureSettings,
    collapsed,
    criteria,
    draw,
    predict,
    train_mixture,
)
from mlkit.clustering.quality import against_labels
from mlkit.errors import ModelError, UsageError
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table, TableFormat, format_rows, read_table
from mlkit.progress import Progress, Report, silent

KIND = "gmm"
CRITERIA = ("bic", "aic")
_ROWS = 1 << 16


@dataclass(frozen=True)
class MixtureModel:
    """A mixture in the space of a table's columns; report: bounds, BIC and so on, as JSON holds them."""

    mixture: Mixture
    space: Space
    settings: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def shift(self) -> float:
        """Return what a log density in scaled columns is less than one in the table's units."""
        return float(np.log(self.space.spreads).sum())

    def save(self, path: PathLike) -> None:
        """Write the model."""
        header = {
            "covariance": self.mixture.kind, "columns": list(self.space.names), "means": self.space.means.tolist(),
            "spreads": self.space.spreads.tolist(), "settings": self.settings, "report": self.report,
        }  # fmt: skip
        arrays = {
            "weights": self.mixture.weights, "means": self.mixture.means, "covariances": self.mixture.covariances,
        }  # fmt: skip
        save_model(path, KIND, header, arrays)


def load_mixture(path: PathLike) -> MixtureModel:
    """Read a model; raises `ModelError` for anything else."""
    header, tensors = load_model(path, KIND)
    try:
        kind = header["covariance"]
        arrays = [np.array(tensors[name], np.float64) for name in ("weights", "means", "covariances")]
        space = space_of(header["columns"], header["means"], header["spreads"])
        k, d = arrays[1].shape
        shapes = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}
        fits = kind in COVARIANCES and arrays[0].shape == (k,) and arrays[2].shape == shapes[kind]
        if not fits or len(space.names) != d or not all(np.isfinite(array).all() for array in arrays):
            raise ValueError
        return MixtureModel(Mixture(kind, *arrays), space, dict(header["settings"]), dict(header["report"]))
    except (KeyError, TypeError, ValueError):
        raise ModelError("a damaged model of a mixture", path=path) from None


def fit_mixtures(
    data: Data, settings: MixtureSettings, numbers: Sequence[int], by: str = "bic", *, threads: int = 1,
    progress: Progress = silent,
) -> tuple[MixtureModel, list[dict[str, Any]], list[str]]:  # fmt: skip
    """Fit mixtures of several sizes; return the one with the least `by`, a line about each, and remarks on the best."""
    if by not in CRITERIA:
        raise UsageError(f"--by is one of {', '.join(CRITERIA)}, not {by!r}")
    assert data.space is not None
    points = np.ascontiguousarray(data.points, np.float64)
    best: MixtureModel | None = None
    lines = []
    for done, k in enumerate(numbers):
        progress(Report(f"{k} components", done, len(numbers), "mixtures"))
        found = train_mixture(
            points, k, settings, threads=threads, progress=progress if len(numbers) == 1 else silent
        )
        kept = asdict(settings) | (data.table.own_marks if data.table is not None else {})
        model = MixtureModel(found.mixture, data.space, kept)
        _, densities = predict(points, found.mixture, threads=threads)
        score = float(densities.mean()) - model.shift
        line: dict[str, Any] = {
            "components": k, "log_likelihood": score, **criteria(found.mixture, score, len(points)),
            "steps": len(found.bounds), "stopped": found.stopped,
        }  # fmt: skip
        lines.append(line)
        model.report.update(
            line, rows=len(points), run=found.run, weights=found.mixture.weights.tolist(),
            bounds=[bound - model.shift for bound in found.bounds],
        )  # fmt: skip
        if best is None or line[by] < best.report[by]:
            best = model
    assert best is not None
    return best, lines, collapsed(best.mixture, settings.ridge, data.space.names)


def evaluate_mixture(
    model: MixtureModel, path: str, form: TableFormat, *, labels: str | None = None, threads: int = 1
) -> dict[str, Any]:
    """Measure a mixture on a table: mean log-likelihood, BIC, AIC, and clusters against labels."""
    table = read_table(path, form)
    chances, densities = predict(model.space.points(table), model.mixture, threads=threads)
    score = float(densities.mean()) - model.shift
    found: dict[str, Any] = {
        "rows": table.rows, "components": len(model.mixture.weights), "parameters": model.mixture.parameters,
        "log_likelihood": score, **criteria(model.mixture, score, table.rows),
    }  # fmt: skip
    if labels is not None:
        table.require([labels])
        codes, _ = table.coded_words(labels)
        if (codes < 0).any():
            raise table.fault("the label is missing", labels, int(np.argmax(codes < 0)))
        found |= against_labels(codes, chances.argmax(axis=1).astype(np.int32))
    return found


def assigned_components(
    model: MixtureModel, path: str, form: TableFormat, separator: str, *, chances: bool = False, density: bool = False,
    threads: int = 1,
) -> Iterator[bytes]:  # fmt: skip
    """Yield a table with the most probable component, and with probabilities and log densities if wanted."""

    def columns_of(table: Table) -> dict[str, Any]:
        parts, densities = predict(model.space.points(table), model.mixture, threads=threads)
        columns: dict[str, Any] = {"cluster": parts.argmax(axis=1)}
        if chances:
            columns |= {f"p{c}": np.ascontiguousarray(parts[:, c]) for c in range(parts.shape[1])}
        if density:
            columns["log_likelihood"] = densities - model.shift
        return columns

    yield from table_blocks(path, form, separator, columns_of)


def sampled(model: MixtureModel, count: int, seed: int) -> Iterator[bytes]:
    """Yield rows drawn from a mixture as CSV, in the units of the table, with their component."""
    for block in range(math.ceil(count / _ROWS)):
        size = min(_ROWS, count - block * _ROWS)
        points, components = draw(model.mixture, size, seed * 1_000_003 + block)
        rows: Reals = model.space.original(points)
        columns = {name: np.ascontiguousarray(rows[:, i]) for i, name in enumerate(model.space.names)}
        yield format_rows({**columns, "cluster": components}, header=block == 0)
