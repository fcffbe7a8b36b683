"""What `mlkit net` does with a trained model: predict, eval, average; and folds, and the learning curve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import net_options as n
from mlkit.cli import options
from mlkit.cli import tree_options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App
from mlkit.cli.tree_models import Threshold

if TYPE_CHECKING:
    from mlkit.formats.tables import Table, TableFormat
    from mlkit.nets.training import History


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
    """Predict every row of a table (columns are matched by name), or every line of text, in order.

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
    form = t.table_format(delimiter, header, na, errors)
    blocks = _blocks(loaded.reads_text, table, form)
    rows = prediction_rows(loaded, blocks, proba=proba, keep=t.split(id), threshold=threshold)
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
    """Measure a model on a table or labelled text: accuracy, log loss, AUC, F1, confusion matrix; RMSE, MAE, R2.

    \b
    Example:
      mlkit net eval income.net test.csv --json
    """
    from mlkit.nets import load_net
    from mlkit.nets.report import evaluate_blocks

    loaded = load_net(model)
    form = t.table_format(delimiter, header, na, errors)
    found = evaluate_blocks(
        loaded, _blocks(loaded.reads_text, table, form), target, weight, threshold, out.warn
    )
    if json:
        out.json("mlkit/eval", found, {"model": model, "table": table, "threshold": threshold})
        return
    classes, confusion = found.pop("classes", []), found.pop("confusion", [])
    out.table(("metric", "value"), ((name, t.figure(value)) for name, value in found.items()))
    if classes and len(classes) <= 30:
        out.line("")
        rows = ((name, *row) for name, row in zip(classes, confusion, strict=True))
        out.table(("true \\ predicted", *classes), rows)


def average(
    models: Annotated[list[str], typer.Argument(help="Models of the same layers and columns.", show_default=False)],
    output: t.ModelOutput,
) -> None:  # fmt: skip
    """Average the weights of several models, such as checkpoints of one training with --init.

    \b
    Example:
      mlkit net average a.net b.net -o mean.net
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.nets import load_net
    from mlkit.nets.train import average_models

    refuse_same_file(output, models)
    average_models([load_net(path) for path in models]).save(output)


def run_folds(values: dict[str, Any]) -> None:
    """Cross-validate and print the metrics."""
    from mlkit.nets import train_net
    from mlkit.trees.report import fold_metrics

    settings = n.settings(values)
    data, roles, text = n.read(values["table"], values)
    with out.progress("Cross-validating") as report:
        summary, results = fold_metrics(
            data, lambda part: train_net(part, roles, settings, text=text, valid_part=values["valid_part"])[0], roles,
            folds=values["folds"], seed=values["seed"], group=values["group"], stratified=values["stratified"],
            progress=report,
        )  # fmt: skip
    if values["json"]:
        metrics = {name: {"mean": mean, "spread": spread} for name, (mean, spread) in summary.items()}
        out.json("mlkit/cv", {"folds": results, "metrics": metrics}, {"table": values["table"]})
    else:
        rows = ((name, f"{mean:.6g}", f"{spread:.3g}") for name, (mean, spread) in summary.items())
        out.table(("metric", "mean", "spread"), rows)


def draw(history: History, path: str) -> None:
    """Draw the learning curve."""
    from mlkit.plots import Figure, Series, save

    epochs = [float(epoch) for epoch in range(1, len(history.losses) + 1)]
    series = [Series(epochs, history.losses, "training")]
    if history.valid_losses:
        series.append(Series(epochs, history.valid_losses, "held-out"))
    save(Figure(series, "Learning curve", "epoch", "loss"), path)


def _blocks(text: bool, path: str, form: TableFormat) -> Iterator[Table]:
    from mlkit.formats.tables import read_blocks
    from mlkit.nets.features import text_blocks

    return text_blocks(path, form.errors) if text else read_blocks(path, form)
