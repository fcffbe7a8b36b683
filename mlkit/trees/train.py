"""From a table to a model: the public functions behind `mlkit boost train` and `mlkit bag train`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.errors import UsageError
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table, format_rows
from mlkit.linear.model import LinearModel, fit_design, fit_weights
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import FindRate, Point, Sweep
from mlkit.tables.columns import Columns, read_parts
from mlkit.tables.metrics import evaluate
from mlkit.tables.target import (  # fmt: skip
    Target,
    class_weighted,
    column_named,
    even_weights,
    read_weights,
    target_values,
    words_among_numbers,
)
from mlkit.tables.validation import hold_out
from mlkit.threads import map_chunks
from mlkit.trees.adaboost import AdaBoostSettings, fit_r2, fit_samme
from mlkit.trees.binning import Bins, Encoder, fit_encoder
from mlkit.trees.boosting import Booster, GradientSettings, Held, fit_gradient, restricted
from mlkit.trees.ensemble import Trees
from mlkit.trees.forest import (
    ForestJob,
    ForestSettings,
    Grown,
    fit_forest,
    order_categories,
    reorder_bins,
    sample_weights,
)
from mlkit.trees.losses import CLASSIFICATION, REGRESSION, make_loss
from mlkit.trees.model import FORMAT, TreeModel

Reals = NDArray[np.float64]
Remark = Callable[[str], None]
RATES = (1e-3, 10.0)  # between which a range test looks for a learning rate


@dataclass(frozen=True)
class Prepared:
    """A table ready for training."""

    table: Table
    target: Target
    weights: Reals | None
    encoder: Encoder
    bins: Bins


def prepare(
    table: Table,
    columns: Columns,
    *,
    threads: int = 1,
    remark: Remark = lambda text: None,
    keep: bool = True,
) -> Prepared:
    """Read target and weights, choose the bins, bin the rows; unless `keep`, the table is used up by it."""
    target, weights, names = read_parts(table, columns)
    encoder, bins, remarks = fit_encoder(
        table, names, categorical=columns.categorical, max_bins=columns.max_bins, min_rows=columns.min_bin_rows,
        threads=threads, keep=keep,
    )  # fmt: skip
    for text in remarks:
        remark(text)
    return Prepared(table, target, weights, encoder, bins)


def loss_for(target: Target, loss: str | None) -> str:
    """Return the loss for a target, or check the one that is asked for."""
    fitting = ("logistic" if len(target.classes) == 2 else "softmax",) if target.classes else REGRESSION
    if loss is None:
        return fitting[0]
    if loss not in (*CLASSIFICATION, *REGRESSION):
        raise UsageError(f"the loss is one of {', '.join((*CLASSIFICATION, *REGRESSION))}, not {loss!r}")
    if loss not in fitting:
        raise UsageError(
            f"loss {loss!r} does not fit column {target.name!r}, which has "
            + (f"{len(target.classes)} classes" if target.classes else "numbers"),
            hint="--task classification or --task regression says what the target is",
        )
    return loss


def train_gradient(
    table: Table,
    columns: Columns,
    settings: GradientSettings,
    *,
    loss: str | None = None,
    quantile: float = 0.5,
    valid: Table | None = None,
    valid_part: float = 0.1,
    before: TreeModel | None = None,
    checkpoint: Checkpoints | None = None,
    resume: bool = False,
    find_rate: FindRate | None = None,
    threads: int = 1,
    progress: Progress = silent,
    remark: Remark = lambda text: None,
    keep: bool = True,
) -> TreeModel:
    """Train gradient boosting on a table.

    With settings.early_stop, `valid` (or `valid_part` of the rows, chosen by the seed) is held out and the best round
    kept. `before` continues a model with its bins; its loss and columns are kept. `find_rate` chooses the learning
    rate (see `mlkit.range_test`).
    """
    if loss in REGRESSION:
        columns = replace(columns, task="regression")
    elif loss in CLASSIFICATION:
        columns = replace(columns, task="classification")
    if not 0 < quantile < 1:
        raise UsageError("the quantile must be between 0 and 1")
    names = set(table.names)
    if before is not None:
        ready = _prepare_again(table, columns, before, threads)
        if loss not in (None, before.loss):
            raise UsageError(
                f"--init-model was trained with loss {before.loss!r}, which goes on; not {loss!r}"
            )
        loss = before.loss
        quantile = before.quantile
    else:
        ready = prepare(table, columns, threads=threads, remark=remark, keep=keep)
    name = loss_for(ready.target, loss)
    objective = make_loss(name, len(ready.target.classes), quantile)
    if fault := objective.check(ready.target.values):
        raise table.fault(fault, ready.target.name, int(np.argmin(ready.target.values)))
    settings = restricted(settings, [*ready.encoder.names, *(set(settings.monotone) - names)])
    training, held = _hold(ready, settings, valid, valid_part, columns, threads)
    earlier = (None, None) if before is None else (before.start, before.trees)

    def fresh(own: GradientSettings) -> Booster:
        return Booster(
            training.bins, training.encoder, training.target.values, training.weights, objective, own,
            held=held, threads=threads, start=earlier[0], before=earlier[1],
        )  # fmt: skip

    if find_rate is not None:
        rate = find_rate(Sweep(partial(_sweep, fresh, settings), *RATES))
        settings = replace(settings, learning_rate=rate)
    booster = fresh(settings)
    described = _settings_of(settings, columns, table) | {"loss": name, "rows": len(training.bins)}
    identity = described | {"input": _fingerprint(training, earlier[1])}
    if resume and checkpoint is not None and checkpoint.path is not None and checkpoint.path.exists():
        booster.restore(*load_checkpoint(checkpoint.path, "boost train", identity, booster.schema()))

    def after_round(current: Booster) -> None:
        if checkpoint is not None and checkpoint.due():
            checkpoint.save("boost train", identity, *current.state())

    made = fit_gradient(booster, progress, after_round)
    if booster.finished:
        remark(
            f"nothing more to split after {booster.round} of {settings.rounds} rounds: "
            f"see --min-leaf ({settings.min_leaf}) and --min-gain ({settings.min_gain:g}); "
            f"{len(training.bins):,} rows"
        )
    metrics: dict[str, Any] = {"train_loss": made.train_loss, "rounds": made.rounds}
    if made.held_losses:
        kept = min(made.held_losses) if settings.early_stop else made.held_losses[-1]
        metrics |= {"valid_loss": kept, "valid_rows": 0 if held is None else len(held.bins)}
    return TreeModel(
        "boost", "gradient", ready.target.name, ready.target.classes, ready.encoder, made.trees, name, quantile,
        made.start, np.zeros(0), described, metrics,
    )  # fmt: skip


def _fingerprint(ready: Prepared, before: Trees | None) -> int:
    """Return a checksum of what is trained on: a checkpoint of other rows is refused."""
    mark = zlib.crc32(np.ascontiguousarray(ready.bins).data)
    mark = zlib.crc32(np.ascontiguousarray(ready.target.values).view(np.uint8).data, mark)
    for array in (ready.weights, None if before is None else before.value):
        if array is not None:
            mark = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data, mark)
    return mark


def _sweep(
    fresh: Callable[[GradientSettings], Booster],
    settings: GradientSettings,
    rates: Sequence[float],
    repeat: int,
) -> Iterator[Point]:
    """Yield (rate, loss of the training rows) after every round of a fresh booster, one round per rate."""
    booster = fresh(replace(settings, seed=settings.seed + repeat, early_stop=0))
    try:
        for rate in rates:
            booster.settings = replace(booster.settings, learning_rate=rate)
            if not booster.step():
                return
            with np.errstate(all="ignore"):
                loss = booster.loss.value(booster.scores, booster.target, booster.weights)
            yield rate, loss
    finally:
        booster.close()


def _prepare_again(table: Table, columns: Columns, before: TreeModel, threads: int) -> Prepared:
    """Bin a table as an earlier model did."""
    if before.algorithm != "gradient":
        raise UsageError("--init-model takes a model of gradient boosting")
    name = column_named(table, columns.target)
    if name != before.target:
        raise UsageError(f"--init-model was trained on target {before.target!r}, not {name!r}")
    target = Target(name, before.classes, target_values(table, name, before.classes))
    weights = class_weighted(target, read_weights(table, columns.weight), columns.class_weight)
    return Prepared(table, target, weights, before.encoder, before.encoder.encode(table, threads))


def _hold(
    ready: Prepared,
    settings: GradientSettings,
    valid: Table | None,
    part: float,
    columns: Columns,
    threads: int,
) -> tuple[Prepared, Held | None]:
    """Return the rows to train on, and those to stop early on."""
    if valid is not None:
        goal = target_values(valid, ready.target.name, ready.target.classes)
        return ready, Held(ready.encoder.encode(valid, threads), goal, read_weights(valid, columns.weight))
    if not settings.early_stop:
        return ready, None
    inside = ~hold_out(ready.target.values, part, settings.seed, stratified=bool(ready.target.classes))
    weights = ready.weights
    held = Held(
        ready.bins[~inside], ready.target.values[~inside], None if weights is None else weights[~inside]
    )
    target = replace(ready.target, values=ready.target.values[inside])
    kept = Prepared(
        ready.table, target, None if weights is None else weights[inside], ready.encoder, ready.bins[inside]
    )
    return kept, held


def train_adaboost(
    table: Table,
    columns: Columns,
    settings: AdaBoostSettings,
    *,
    threads: int = 1,
    progress: Progress = silent,
    remark: Remark = lambda text: None,
    keep: bool = True,
) -> TreeModel:
    """Train AdaBoost on a table: SAMME for classes, AdaBoost.R2 for numbers; a bin may hold one row."""
    ready = prepare(table, replace(columns, min_bin_rows=1), threads=threads, remark=remark, keep=keep)
    encoder, bins, target = ready.encoder, ready.bins, ready.target
    if target.classes:
        made = fit_samme(
            bins, encoder, target.values, len(target.classes), ready.weights, settings, progress=progress
        )
    else:
        made = fit_r2(bins, encoder, target.values, ready.weights, settings, progress=progress)
    metrics = {"rounds": len(made.trees), "last_error": made.errors[-1]}
    return TreeModel(
        "boost", "adaboost", target.name, target.classes, encoder, made.trees, weights=made.weights,
        settings=_settings_of(settings, columns, table), metrics=metrics,
    )  # fmt: skip


def train_bag(
    table: Table,
    columns: Columns,
    settings: ForestSettings,
    *,
    threads: int = 1,
    progress: Progress = silent,
    remark: Remark = lambda text: None,
    keep: bool = True,
    out_of_bag: Callable[[bytes], object] | None = None,
    elsewhere: Callable[[ForestJob], Iterator[Grown]] | None = None,
) -> TreeModel:
    """Train bagged trees, a random forest or extremely randomised trees on a table.

    `out_of_bag` is given the out-of-bag predictions of all rows as CSV (empty where every tree saw the row).
    `elsewhere` grows the trees, see `fit_forest`. A bin may hold one row; weights count by their proportions only.
    """
    ready = prepare(table, replace(columns, min_bin_rows=1), threads=threads, remark=remark, keep=keep)
    target, weights = ready.target, even_weights(ready.weights)
    classes = len(target.classes)
    encoder = order_categories(ready.encoder, ready.bins, target.values, classes, weights)
    bins = reorder_bins(ready.bins, ready.encoder, encoder)
    job = ForestJob(bins, target.values, classes, weights, settings)
    forest = fit_forest(job, threads=threads, elsewhere=elsewhere, progress=progress)
    metrics: dict[str, Any] = {"trees": len(forest.trees), "nodes": len(forest.trees.left)}
    model = TreeModel(
        "bag", "bag", target.name, target.classes, encoder, forest.trees,
        settings=_settings_of(settings, columns, table), metrics=metrics,
    )  # fmt: skip
    if forest.out_of_bag is None:
        return model
    if out_of_bag is not None:
        predictions = out_of_bag_predictions(model, forest.out_of_bag)
        names = [f"p_{name}" for name in model.classes] or ["prediction"]
        columns_out = np.atleast_2d(predictions.T)
        out_of_bag(
            format_rows(
                {
                    name: [None if np.isnan(v) else v for v in part]
                    for name, part in zip(names, columns_out, strict=True)
                }
            )
        )
    return replace(
        model, metrics=metrics | {"out_of_bag": out_of_bag_metrics(model, forest.out_of_bag, ready)}
    )


def out_of_bag_predictions(model: TreeModel, sums: Reals) -> Reals:
    """Return predictions from the out-of-bag means of a forest."""
    if not model.classes:
        return sums[:, 0]
    return np.hstack([1 - sums, sums]) if len(model.classes) == 2 else sums


def out_of_bag_metrics(model: TreeModel, sums: Reals, ready: Prepared) -> dict[str, Any]:
    """Return the metrics of the rows that at least one tree has not seen."""
    seen = ~np.isnan(sums).any(axis=1)
    if not seen.any():
        raise UsageError("every row is in the sample of every tree: there is no out-of-bag score")
    weights = None if ready.weights is None else ready.weights[seen]
    found = evaluate(
        out_of_bag_predictions(model, sums[seen]), ready.target.values[seen], model.classes, weights
    )
    return {name: value for name, value in found.items() if name not in ("confusion", "classes")}


def train_linear_bag(
    table: Table,
    columns: Columns,
    settings: ForestSettings,
    *,
    l2: float = 1.0,
    threads: int = 1,
    progress: Progress = silent,
    remark: Remark = lambda text: None,
) -> LinearModel:
    """Train a bag of logistic (classes) or ridge (numbers) regressions, one per bootstrap sample."""
    target, given, names = read_parts(table, columns)
    weights = even_weights(given)
    for text in words_among_numbers(table, names, columns.categorical):
        remark(text)
    design = fit_design(table, names, categorical=columns.categorical, remark=remark)
    matrix = design.matrix(table)

    def fit(number: int) -> Reals:
        drawn = sample_weights(table.rows, settings, weights, number)
        rows = np.flatnonzero(drawn)
        return fit_weights(matrix[rows], target.values[rows], len(target.classes), drawn[rows], l2)

    fitted = []
    for beta in map_chunks(fit, range(settings.rounds), threads):
        fitted.append(beta)
        progress(Report("fitting", len(fitted), settings.rounds, "models"))
    return LinearModel(
        target.name, target.classes, design, np.stack(fitted), "bag", _settings_of(settings, columns, table)
    )


def load_bag(path: PathLike) -> TreeModel | LinearModel:
    """Read a model of `mlkit bag`: of trees or of linear models."""
    return load_predictor(path, ("bag",))


def load_predictor(path: PathLike, kinds: tuple[str, ...] = ("bag", "boost")) -> TreeModel | LinearModel:
    """Read a model of `mlkit bag` or `mlkit boost`. Raises `ModelError` for anything else."""
    from mlkit.formats.model_file import load_model

    header, tensors = load_model(path, kinds, format_version=FORMAT)
    made = LinearModel if header.get("base") == "linear" else TreeModel
    return made.from_parts(header["_kind"], header, tensors, path)


def _settings_of(settings: Any, columns: Columns, table: Table) -> dict[str, Any]:
    described: Mapping[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in asdict(settings).items()
    }
    return {
        **described,
        "weight": columns.weight,
        "class_weight": columns.class_weight,
        "max_bins": columns.max_bins,
        **({} if columns.min_bin_rows == 3 else {"min_bin_rows": columns.min_bin_rows}),
        **table.own_marks,
    }
