"""What `mlkit bag`, `boost` and `stack` do with a trained model: predict, eval, and the views of `tree_views`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App
from mlkit.cli.workers import Workers, paths

if TYPE_CHECKING:
    from mlkit.tables.columns import Columns

Threshold = Annotated[
    float,
    typer.Option(
        "--threshold", metavar="P", help="Predict the second of two classes from this probability on."
    ),
]


@dataclass(frozen=True)
class FoldRun:
    """A cross-validation: the table, which columns play which part, the folds, who works, and how it is printed."""

    table: str
    roles: Columns
    folds: t.FoldOptions
    seed: int
    workers: options.WorkerOptions
    threads: int | None
    json: bool


def run_folds(
    job: FoldRun, trainer: Callable[[int], Callable[..., Any]], reader: Callable[[str], Callable[[], Any]]
) -> None:
    """Cross-validate and print the metrics.

    trainer: gives what trains on a table with so many threads. reader: gives what reads the table of that name.
    Both give functions that workers can import.
    """
    from mlkit.tables.validation import Folds, fold_metrics, summarise
    from mlkit.threads import thread_count

    folds = Folds(job.roles, job.folds.folds, job.seed, job.folds.group, job.folds.stratified)
    workers = Workers(job.workers.cluster, job.workers.processes, "-", threads=job.threads)
    with out.progress("Cross-validating") as report:
        if workers:
            results = _folds_on_workers(workers, job.table, folds, trainer, reader, report)
        else:
            count = thread_count(job.threads)
            table = reader(job.table)()
            results = fold_metrics(table, trainer(count), folds, threads=count, progress=report)
    summary = summarise(results)
    if job.json:
        metrics = {name: {"mean": mean, "spread": spread} for name, (mean, spread) in summary.items()}
        out.json("mlkit.cv", {"folds": results, "metrics": metrics})
    else:
        rows = ((name, f"{mean:.6g}", f"{spread:.3g}") for name, (mean, spread) in summary.items())
        out.table(("metric", "mean", "spread"), rows)


def _folds_on_workers(
    workers: Workers, path: str, folds: Any, trainer: Any, reader: Any, report: Any
) -> list[dict[str, Any]]:
    from mlkit.errors import UsageError
    from mlkit.trees.distributed import FoldJob, folds_on

    if path == "-":
        raise UsageError("workers need a file; a pipe can be read once only")
    with workers.engine() as engine:
        threads = workers.threads_each(engine)
        job = FoldJob(reader(paths(engine, [path])[0]), trainer(threads or 1), folds, threads)
        return folds_on(engine, job, report)


def add_model_commands(app: App, kind: str, *, trees: bool = True) -> None:
    """Add the commands that use a model of `kind` to `app`."""
    load = _loader(kind)

    @app.command()
    def predict(
        model: t.ModelArgument, table: t.TableArgument = "-", output: options.Output = "-",
        proba: Annotated[bool, typer.Option("--proba", help="Add the probability of every class.")] = False,
        raw: Annotated[bool, typer.Option("--raw", help="Scores before the link, such as log odds.")] = False,
        leaf: Annotated[bool, typer.Option("--leaf", help="The leaf of every tree.")] = False,
        id: t.Id = None, threshold: Threshold = 0.5, delimiter: t.Delimiter = None, header: t.Header = None,
        na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
    ) -> None:  # fmt: skip
        """Predict every row of a table, in order; columns are matched by name.

        Columns named by --id are copied. Reads and writes a part at a time.

        \b
        Example:
          mlkit KIND predict MODEL test.csv --proba > predictions.csv
        """
        from mlkit.formats.streams import open_output, refuse_same_file
        from mlkit.threads import thread_count
        from mlkit.trees.report import prediction_blocks

        refuse_same_file(output, [model, table])
        what = "leaf" if leaf else "raw" if raw else "proba" if proba else "class"
        loaded = load(model)
        form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
        blocks = prediction_blocks(
            loaded, table, form, what, keep=t.split(id), threshold=threshold, threads=thread_count(threads),
            remark=out.warn,
        )  # fmt: skip
        first = next(blocks)  # nothing is written before a first part has been predicted
        with open_output(output) as stream:
            stream.write(first)
            for block in blocks:
                stream.write(block)

    @app.command("eval")
    def evaluate(
        model: t.ModelArgument, table: t.TableArgument = "-", target: t.TargetOrModels = None, weight: t.Weight = None,
        threshold: Threshold = 0.5, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
        errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
        json: options.Json = False,
    ) -> None:  # fmt: skip
        """Measure a model on a table.

        Classes: accuracy, log loss, AUC, F1, confusion matrix; numbers: RMSE, MAE, R2.

        \b
        Example:
          mlkit KIND eval MODEL test.csv --json
        """
        from mlkit.tables.metrics import evaluate_table
        from mlkit.threads import thread_count

        loaded = load(model)
        form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
        count = thread_count(threads)
        found = evaluate_table(loaded, table, form, target, weight, threshold, count, out.warn)
        if json:
            out.json("mlkit.eval", found)
            return
        t.show_metrics(found)

    predict.__doc__ = _for_kind(predict.__doc__, kind)
    evaluate.__doc__ = _for_kind(evaluate.__doc__, kind)
    for command in app.registered_commands:
        if command.callback in (predict, evaluate):
            command.help = command.callback.__doc__
    if trees:
        from mlkit.cli.commands.tables.tree_views import add_view_commands

        add_view_commands(app, kind)


def _loader(kind: str) -> Callable[[str], Any]:
    def load(path: str) -> Any:
        if kind == "stack":
            from mlkit.stacking import load_stack

            return load_stack(path)
        from mlkit.trees import load_predictor

        return load_predictor(path, (kind,))

    return load


def _for_kind(text: str | None, kind: str) -> str:
    return (text or "").replace("KIND", kind).replace("MODEL", f"{kind}.model")
