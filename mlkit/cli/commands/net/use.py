"""What `mlkit net` does with a trained model: predict, eval, average; and folds, and the learning curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.net import options as n
from mlkit.cli.commands.tables import model_commands
from mlkit.cli.commands.tables import options as t
from mlkit.cli.commands.tables.model_commands import Threshold
from mlkit.cli.learning_rate import Choice
from mlkit.cli.output import out
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.formats.table_files import Table, TableFormat
    from mlkit.nets import NetSettings
    from mlkit.nets.loop import History
    from mlkit.range_test import FindRate


def add_commands(app: App) -> None:
    """Add the commands that use a model to `app`."""
    app.command()(predict)
    app.command("eval")(evaluate)
    app.command()(average)


def predict(
    model: t.ModelArgument, table: t.TableArgument = "-", output: options.Output = "-",
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of every class.")] = False,
    id: t.Id = None, threshold: Threshold = 0.5, delimiter: t.Delimiter = None, header: t.Header = None,
    na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
) -> None:  # fmt: skip
    """Predict every row of a table, or every line of text, in order.

    Columns are matched by name.

    \b
    Example:
      mlkit net predict income.net test.csv --proba > predictions.csv
    """
    from mlkit.errors import UsageError
    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.nets import load_net
    from mlkit.nets.report import prediction_rows

    refuse_same_file(output, [model, table])
    loaded = load_net(model)
    if proba and not loaded.classes:
        raise UsageError("--proba needs a classifier; this model predicts a number")
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    blocks = _blocks(loaded.reads_text, table, form)
    rows = prediction_rows(
        loaded, blocks, proba=proba, keep=t.split(id), threshold=threshold, remark=out.warn
    )
    first = next(rows, b"")  # nothing is written before a first part has been predicted
    with open_output(output) as stream:
        stream.write(first)
        for part in rows:
            stream.write(part)


def evaluate(
    model: t.ModelArgument, table: t.TableArgument = "-", target: t.TargetOrModels = None, weight: t.Weight = None,
    threshold: Threshold = 0.5, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, json: options.Json = False,
) -> None:  # fmt: skip
    """Measure a model on a table or labelled text.

    Classes: accuracy, log loss, AUC, F1, confusion matrix; numbers: RMSE, MAE, R2.

    \b
    Example:
      mlkit net eval income.net test.csv --json
    """
    from mlkit.nets import load_net
    from mlkit.nets.report import evaluate_blocks

    loaded = load_net(model)
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    blocks = _blocks(loaded.reads_text, table, form, out.warn)
    found = evaluate_blocks(loaded, blocks, target, weight, threshold, out.warn)
    if json:
        out.json("mlkit.eval", found)
        return
    t.show_metrics(found)


def average(
    models: Annotated[list[str], typer.Argument(help="Models of the same layers and columns.", show_default=False)],
    output: t.ModelOutput,
) -> None:  # fmt: skip
    """Average the weights of several models.

    They may be checkpoints of one training, or trainings that began with --init from one model.

    \b
    Example:
      mlkit net average a.net b.net -o mean.net
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.nets import load_net
    from mlkit.nets.train import average_models

    refuse_same_file(output, models)
    average_models([load_net(path) for path in models]).save(output)


def run_folds(
    source: n.Source, settings: NetSettings, learning: n.Learning, table: str, folds: t.FoldOptions,
    workers: options.WorkerOptions, *, json: bool,
) -> None:  # fmt: skip
    """Cross-validate and print the metrics."""
    from functools import partial

    data, roles, text = source.read(table)
    find_rate = Choice(learning.lr).finder()
    remote = workers.cluster is not None or workers.processes is not None
    job = model_commands.FoldRun(table, roles, folds, settings.seed, workers, None, json)
    model_commands.run_folds(
        job, lambda threads: partial(_fit, roles, settings, text, learning.valid_part, find_rate),
        lambda path: partial(_read, source, path) if remote else lambda: data,
    )  # fmt: skip


def _read(source: n.Source, path: str) -> Table:
    """Read a table on a worker."""
    return source.read(path)[0]


def _fit(
    roles: Any, settings: Any, text: str | None, valid_part: float, find_rate: FindRate | None, table: Table
) -> Any:
    """Train on some rows of a table."""
    from mlkit.nets import train_net

    return train_net(table, roles, settings, text=text, valid_part=valid_part, find_rate=find_rate)[0]


def draw(history: History, path: str) -> None:
    """Draw the learning curve."""
    from mlkit.plots import Figure, Series, save

    epochs = [float(epoch) for epoch in range(1, len(history.losses) + 1)]
    series = [Series(epochs, history.losses, "training")]
    if history.valid_losses:
        series.append(Series(epochs, history.valid_losses, "held-out"))
    best = [(float(history.best_epoch), "best")] if history.valid_losses else []
    save(Figure(series, "Learning curve", "epoch", "loss", marks=best), path)


def _blocks(
    text: bool, path: str, form: TableFormat, remark: Callable[[str], None] = lambda text: None
) -> Iterator[Table]:
    from mlkit.formats.table_files import read_blocks
    from mlkit.nets.features import text_blocks

    return text_blocks(path, form.errors, remark=remark) if text else read_blocks(path, form)
